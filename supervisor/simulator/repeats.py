"""Notices a question that comes again although it was answered whole: somebody pays twice."""

from __future__ import annotations


class Repeats:
    """Questions by their exact bodies.

    Args:
        most: Answered questions that are remembered; later ones are not noticed.

    Attributes:
        again: Questions that came again after a whole answer.
    """

    def __init__(self, *, most: int = 1_000_000) -> None:
        self._most = most
        self._answered: set[int] = set()
        self.again = 0

    def asked(self, body: bytes) -> None:
        """A question arrived."""
        self.again += hash(body) in self._answered

    def answered(self, body: bytes) -> None:
        """All of the answer to a question was sent."""
        if len(self._answered) < self._most:
            # 64 bits tell a million bodies apart but for one chance in ten million.
            self._answered.add(hash(body))
