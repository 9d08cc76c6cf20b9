"""When is a transaction written on the event loop's own thread?"""

from __future__ import annotations

from supervisor.ledger.shortcut import FEW, IN_A_ROW, REST, SLOW, Shortcut


def test_only_few_rows() -> None:
    """Many rows take long, and then the way to another thread is nothing."""
    shortcut = Shortcut()
    assert shortcut.allows(FEW, 0.0)
    assert not shortcut.allows(FEW + 1, 0.0)


def test_a_slow_one_is_followed_by_a_rest() -> None:
    """A disk that makes writers wait makes the loop wait once, not each time."""
    shortcut = Shortcut()
    shortcut.took(SLOW, 100.0)
    assert shortcut.allows(1, 100.0)
    shortcut.took(SLOW * 1.01, 100.0)
    assert not shortcut.allows(1, 100.0 + REST * 0.99)
    assert shortcut.allows(1, 100.0 + REST)


def test_now_and_then_one_goes_by_the_other_thread() -> None:
    """The other thread is the one that checkpoints."""
    shortcut = Shortcut()
    for _ in range(IN_A_ROW):
        assert shortcut.allows(1, 0.0)
        shortcut.took(0.0, 0.0)
    assert not shortcut.allows(1, 0.0)
    shortcut.avoided()
    assert shortcut.allows(1, 0.0)
