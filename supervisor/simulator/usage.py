"""Tokens and their price, in the two forms in which the endpoints report them.

The trap that every client has to know: in chat `completion_tokens` leaves reasoning out, in
`/responses` `output_tokens` has it in.
"""

from __future__ import annotations

from dataclasses import dataclass

from supervisor.simulator.document import Json
from supervisor.simulator.settings import Model

TICKS_PER_DOLLAR = 10_000_000_000
"""`cost_in_usd_ticks` counts in these."""

_LONG_PROMPT = 200_000
_CHARACTERS_PER_TOKEN = 4


def count_tokens(text: str) -> int:
    """Tokens of a text: a token is four characters here, so that everybody can check the sums."""
    return -(-len(text) // _CHARACTERS_PER_TOKEN)


def tokens_of(text: str) -> list[str]:
    """The text cut into its tokens."""
    size = _CHARACTERS_PER_TOKEN
    return [text[start : start + size] for start in range(0, len(text), size)]


def ticks_per_token(dollars_per_million: float) -> int:
    """A price as `/language-models` and `cost_in_usd_ticks` have it."""
    return round(dollars_per_million * TICKS_PER_DOLLAR / 1_000_000)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer.

    Attributes:
        prompt: Prompt tokens, cached ones included.
        completion: Answer tokens without reasoning.
        reasoning: Reasoning tokens.
        cached: The part of `prompt` that was cached.
        ticks: The price, in ten-billionths of a US dollar.
    """

    prompt: int
    completion: int
    reasoning: int
    cached: int
    ticks: int

    @property
    def output(self) -> int:
        """What became known only with the answer."""
        return self.completion + self.reasoning

    def for_chat(self) -> Json:
        """As chat completions report it."""
        return {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.output,
            "prompt_tokens_details": {
                "text_tokens": self.prompt,
                "audio_tokens": 0,
                "image_tokens": 0,
                "cached_tokens": self.cached,
            },
            "completion_tokens_details": {
                "reasoning_tokens": self.reasoning,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
            "num_sources_used": 0,
            "cost_in_usd_ticks": self.ticks,
        }

    def for_responses(self) -> Json:
        """As responses report it."""
        return {
            "input_tokens": self.prompt,
            "input_tokens_details": {"cached_tokens": self.cached},
            "output_tokens": self.output,
            "output_tokens_details": {"reasoning_tokens": self.reasoning},
            "total_tokens": self.prompt + self.output,
            "num_sources_used": 0,
            "num_server_side_tools_used": 0,
            "cost_in_usd_ticks": self.ticks,
        }


def price(model: Model, *, prompt: int, cached: int, output: int) -> int:
    """What an answer costs, in ticks. From 200,000 prompt tokens the whole request is double."""
    ticks = (
        (prompt - cached) * ticks_per_token(model.prompt)
        + cached * ticks_per_token(model.cached)
        + output * ticks_per_token(model.completion)
    )
    return ticks * 2 if prompt >= _LONG_PROMPT else ticks


class PromptCache:
    """Remembers how long a conversation's last prompt was; that much of the next one is cached.

    Args:
        size: Most conversations that are remembered; the one used longest ago goes first.
    """

    def __init__(self, size: int = 4096) -> None:
        self._size = size
        self._prompts: dict[tuple[str, str], int] = {}

    def cached(self, model: str, conversation: str, *, prompt: int) -> int:
        """Cached tokens of a prompt, which then is the conversation's last.

        Args:
            model: Models share nothing.
            conversation: The cache key; empty for none, where nothing is cached.
            prompt: The prompt's tokens.
        """
        if not conversation:
            return 0
        before = self._prompts.pop((model, conversation), 0)
        self._prompts[model, conversation] = prompt
        if len(self._prompts) > self._size:
            del self._prompts[next(iter(self._prompts))]
        return min(before, prompt)
