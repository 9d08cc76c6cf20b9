"""Tokens and their price."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from supervisor.simulator.settings import Model
from supervisor.simulator.usage import PromptCache, Usage, count_tokens, price, tokens_of


@given(text=st.text())
def test_a_text_has_as_many_tokens_as_it_is_cut_into(text: str) -> None:
    """Counting and cutting agree, and nothing gets lost."""
    assert len(tokens_of(text)) == count_tokens(text)
    assert "".join(tokens_of(text)) == text


@given(prompt=st.integers(0, 10**6), completion=st.integers(0, 10**5), reasoning=st.integers(0, 9))
def test_both_forms_have_the_same_total(prompt: int, completion: int, reasoning: int) -> None:
    """Chat leaves reasoning out of the completion, responses has it in; the total is one."""
    usage = Usage(prompt, completion, reasoning, 0, 0)
    chat, responses = usage.for_chat(), usage.for_responses()
    assert chat["total_tokens"] == responses["total_tokens"] == prompt + completion + reasoning
    assert chat["completion_tokens"] + reasoning == responses["output_tokens"]


def test_cached_tokens_are_cheaper() -> None:
    """A million tokens cost what the model's table says."""
    model = Model(id="m", prompt=2.0, cached=0.5, completion=6.0)
    assert price(model, prompt=100_000, cached=60_000, output=10_000) == (
        40_000 * 20_000 + 60_000 * 5_000 + 10_000 * 60_000
    )


def test_the_cache_forgets_the_conversation_used_longest_ago() -> None:
    """Only so many conversations are remembered, and models share none."""
    cache = PromptCache(size=2)
    for name in ("a", "b", "a", "c"):
        cache.cached("m", name, prompt=10)
    assert [cache.cached("m", name, prompt=20) for name in ("a", "c")] == [10, 10]
    assert cache.cached("m", "b", prompt=20) == 0
    assert cache.cached("other", "c", prompt=20) == 0
    assert cache.cached("m", "", prompt=20) == 0
