"""An answer as it grows, event by event. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from supervisor.messages import Usage
from supervisor.terminal.clean import clean
from supervisor.terminal.session import Exchange
from supervisor.upstream.usage import usage_of

_WHOLE = frozenset({"stop", ""})


@dataclass(slots=True)
class Answer:
    """What has come so far.

    Attributes:
        text: What was said, as it came.
        model: Who says it.
        finish: Why it ended, in the API's words; empty while it goes on.
        usage: Tokens and price; None until told.
        begun: Whether the API has begun to answer, if only to think.
    """

    text: str = ""
    model: str = ""
    finish: str = ""
    usage: Usage | None = None
    begun: bool = False

    @property
    def shortened(self) -> str:
        """Why the API ended it early, such as `length`; empty when it did not."""
        return "" if self.finish in _WHOLE else clean(self.finish)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was said."""
        return not self.text.strip()

    def exchange(self, question: str, *, cut: str, at: float) -> Exchange:
        """What is kept of it.

        Args:
            question: What it answers.
            cut: Why it is not whole; empty when it is.
            at: Seconds since the epoch.
        """
        return Exchange(
            question=question, answer=self.text, model=self.model, cut=cut, usage=self.usage, at=at
        )

    def take(self, document: Mapping[str, Any]) -> str:
        """Add one event of a streamed chat completion.

        Returns:
            The text that it brought.
        """
        self.begun = True
        model: Any = document.get("model")
        if isinstance(model, str) and model:
            self.model = model
        self.usage = usage_of(document) or self.usage
        choices: list[Any] | None = document.get("choices")
        return self._take_choice(choices[0]) if isinstance(choices, list) and choices else ""

    def _take_choice(self, value: object) -> str:
        if not isinstance(value, dict):
            return ""
        choice = cast("dict[str, Any]", value)
        self.finish = str(choice.get("finish_reason") or self.finish)
        delta: Any = choice.get("delta")
        content: Any = (
            cast("dict[str, Any]", delta).get("content") if isinstance(delta, dict) else ""
        )
        piece = content if isinstance(content, str) else ""
        self.text += piece
        return piece
