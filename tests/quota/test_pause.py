"""One refusal teaches everybody: pause, one probe, then the rest."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.quota.pause import BACKOFF, SILENCE, Pause

ANY = float("inf")
LONG_AGO = float("-inf")


def refuse(
    pause: Pause, now: float, *, granted_at: float | None = None, after: float | None = None
) -> bool:
    """Refuse an attempt granted at the same moment, unless said otherwise."""
    at = now if granted_at is None else granted_at
    return pause.refused(now, granted_at=at, after=after, spread=0.0)


def test_nothing_is_paused_at_first() -> None:
    """Any number may go, and an acceptance changes nothing."""
    pause = Pause()
    pause.granted(0.0)
    pause.accepted(granted_at=0.0)
    assert (pause.allowance(0.0), pause.opens_at()) == (ANY, LONG_AGO)


def test_a_refusal_stops_everybody_then_lets_one_probe_go() -> None:
    """Nothing goes until the pause ends, then exactly one."""
    pause = Pause()
    assert refuse(pause, 10.0)
    assert (pause.allowance(10.999), pause.opens_at()) == (0, 11.0)
    assert pause.allowance(11.0) == 1
    pause.granted(11.0)
    assert pause.allowance(11.5) == 0
    assert pause.snapshot().probing


def test_an_accepted_probe_lets_the_rest_go() -> None:
    """When the server lets the probe in, the pause and its count of refusals are over."""
    pause = Pause()
    refuse(pause, 0.0)
    pause.granted(1.0)
    pause.accepted(granted_at=1.0)
    assert pause.allowance(1.1) == ANY
    assert pause.snapshot().refusals == 0


def test_an_answer_from_before_the_refusal_says_nothing() -> None:
    """An attempt that was let in before the refusal does not end the pause."""
    pause = Pause()
    refuse(pause, 5.0, granted_at=4.0)
    pause.accepted(granted_at=4.5)
    assert pause.allowance(5.5) == 0
    assert pause.allowance(6.0) == 1


def test_backoff_doubles_while_the_probes_are_refused() -> None:
    """Without a Retry-After the pauses are 1, 2, 4, 8, 8 … seconds."""
    pause, now = Pause(), 0.0
    lengths: list[float] = []
    for _ in range(6):
        assert refuse(pause, now)
        lengths.append(pause.opens_at() - now)
        now = pause.opens_at()
        pause.granted(now)
    assert lengths == [*BACKOFF, BACKOFF[-1], BACKOFF[-1]]


@given(spread=st.floats(0, 1, exclude_max=True))
def test_backoff_varies_by_a_quarter_at_most(spread: float) -> None:
    """Jitter only lengthens a pause, by a quarter at most."""
    pause = Pause()
    pause.refused(0.0, granted_at=0.0, after=None, spread=spread)
    assert BACKOFF[0] <= pause.opens_at() <= 1.25 * BACKOFF[0]


def test_echoes_of_one_refusal_do_not_lengthen_the_backoff() -> None:
    """Attempts under way when the pause began belong to the same refusal."""
    pause = Pause()
    assert refuse(pause, 0.5, granted_at=0.0)
    assert not any(refuse(pause, 0.5 + 0.1 * n, granted_at=0.1) for n in range(4))
    assert (pause.opens_at(), pause.snapshot().refusals) == (1.5, 1)


def test_the_longest_retry_after_counts() -> None:
    """Of all Retry-Afters of an episode the one that ends last decides, echoes included."""
    pause = Pause()
    refuse(pause, 0.5, granted_at=0.0, after=5.0)
    refuse(pause, 0.6, granted_at=0.1, after=2.0)
    assert pause.opens_at() == 5.5
    refuse(pause, 0.7, granted_at=0.1, after=30.0)
    assert pause.opens_at() == 30.7


@pytest.mark.parametrize("after", [0.0, -3.0])
def test_a_retry_after_of_nothing_is_at_once(after: float) -> None:
    """A server that names no time to wait gets its probe at once, never in the past."""
    pause = Pause()
    refuse(pause, 7.0, after=after)
    assert (pause.allowance(7.0), pause.opens_at()) == (1, 7.0)


def test_a_retry_after_of_nothing_is_believed_once() -> None:
    """From the second refusal in a row on a Retry-After only lengthens the back-off."""
    pause, now, waits = Pause(), 0.0, list[float]()
    for _ in range(5):
        pause.granted(now)
        refuse(pause, now, after=0.0)
        waits.append(pause.opens_at() - now)
        now = pause.opens_at()
    assert waits == [0.0, 2.0, 4.0, 8.0, 8.0]


def test_an_undecided_probe_is_followed_by_another() -> None:
    """A probe that failed for another reason leaves the question open: one more goes."""
    pause = Pause()
    refuse(pause, 0.0)
    pause.granted(1.0)
    pause.undecided(granted_at=1.0)
    assert pause.allowance(1.1) == 1


def test_who_was_sent_before_the_refusal_decides_no_probe() -> None:
    """An old attempt that fails otherwise does not stand for the probe under way."""
    pause = Pause()
    refuse(pause, 1.0, granted_at=0.5)
    pause.granted(2.0)
    pause.undecided(granted_at=0.7)
    assert pause.allowance(2.1) == 0


def test_silence_ends_the_probe() -> None:
    """A refusal comes at once, an answer may take minutes: two quiet seconds are a yes."""
    pause = Pause()
    refuse(pause, 0.0)
    pause.granted(1.0)
    assert pause.opens_at() == 1.0 + SILENCE
    assert pause.allowance(1.0 + SILENCE - 0.001) == 0
    assert pause.allowance(1.0 + SILENCE) == ANY


def test_an_episode_that_ended_in_silence_is_over() -> None:
    """A refusal hours after the last one begins with the shortest pause again."""
    pause = Pause()
    for hour in range(4):
        now = 3_600.0 * hour
        refuse(pause, now)
        assert pause.opens_at() - now == BACKOFF[0]
        pause.granted(now + 1.0)
        assert pause.allowance(now + 10.0) == ANY
        pause.accepted(granted_at=now + 1.0)


def test_a_pause_by_hand_lasts_until_it_is_ended_by_hand() -> None:
    """An operator stops everything without a time, and lets everything go again."""
    pause = Pause()
    pause.set_by_hand(paused=True)
    assert (pause.allowance(1e9), pause.opens_at()) == (0, ANY)
    assert pause.snapshot().by_hand
    pause.set_by_hand(paused=False)
    assert pause.allowance(0.0) == ANY


def test_resuming_by_hand_does_not_end_the_servers_pause() -> None:
    """What the server asked for holds, whatever the operator does."""
    pause = Pause()
    refuse(pause, 0.0, after=60.0)
    pause.set_by_hand(paused=True)
    pause.set_by_hand(paused=False)
    assert (pause.allowance(59.0), pause.opens_at()) == (0, 60.0)


DEEDS = st.lists(
    st.tuples(
        st.sampled_from(["send", "refuse", "accept", "unsure"]),
        st.sampled_from([0.0, 0.1, 0.6, 1.5, 9.0]),
        st.none() | st.sampled_from([0.0, 3.0, 20.0]),
        st.integers(0, 10**6),
    ),
    max_size=60,
)


@settings(max_examples=60)
@given(deeds=DEEDS)
def test_the_pause_only_moves_later_and_lets_one_probe_go(
    deeds: list[tuple[str, float, float | None, int]],
) -> None:
    """Its end never moves back; between a refusal and an answer at most one attempt goes."""
    pause, now = Pause(), 0.0
    flying: list[float] = []
    probe: float | None = None
    waiting = False
    for deed, step, after, pick in deeds:
        now += step
        until = pause.snapshot().until
        if probe is not None and now - probe >= SILENCE:
            probe, waiting = None, False
        allowance = pause.allowance(now)
        assert allowance == (0 if now < until or probe is not None else 1 if waiting else ANY)
        if deed == "send" and allowance:
            pause.granted(now)
            flying.append(now)
            probe = now if waiting else None
        elif flying and deed != "send":
            granted_at = flying.pop(pick % len(flying))
            mine = granted_at == probe
            if deed == "refuse":
                fresh = refuse(pause, now, granted_at=granted_at, after=after)
                waiting, probe = True, None if fresh or mine else probe
            elif mine and deed == "accept":
                pause.accepted(granted_at=granted_at)
                waiting, probe = False, None
            elif mine:
                pause.undecided(granted_at=granted_at)
                probe = None
        assert pause.snapshot().until >= until


def test_nobody_is_answered() -> None:
    """A server that answers nobody pauses everybody alike, but its silence says less."""
    pause = Pause()
    assert pause.unanswered(0.0, granted_at=0.0, silence=15.0, spread=0.0)
    assert (pause.allowance(0.9), pause.allowance(1.0)) == (0, 1)
    pause.granted(1.0)
    assert (pause.allowance(1.0 + SILENCE), pause.opens_at()) == (0, 16.0)
    snapshot = pause.snapshot()
    assert (snapshot.refusals, snapshot.why) == (0, "the server answers nobody")
    assert pause.allowance(16.0) == ANY
    refuse(pause, 20.0)
    pause.granted(21.0)
    assert pause.opens_at() == 21.0 + SILENCE
    assert (pause.snapshot().refusals, pause.snapshot().why) == (1, "the server refused for quota")


def test_an_operator_can_have_it_look_at_once() -> None:
    """Where nobody is answered the next probe goes at once; a refusal for quota stands."""
    pause = Pause()
    pause.unanswered(10.0, granted_at=9.0, silence=15.0, spread=0.0)
    assert pause.allowance(10.1) == 0
    pause.look_now()
    assert pause.allowance(10.1) == 1
    pause.granted(10.1)
    pause.refused(10.2, granted_at=10.1, after=30.0, spread=0.0)
    pause.look_now()
    assert pause.allowance(10.3) == 0
