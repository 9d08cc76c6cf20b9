"""Knows folders and git repositories: indexes and describes them, finds passages, answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import anyio
from pydantic import BaseModel, ConfigDict, Field

from supervisor import Brief, Context, Document, Hit, Priority, Role

_AT_ONCE = 8
"""Files described side by side."""
_BATCH = 64
_LONGEST = 12_000
"""Characters of a file that the model is shown."""
_PASSAGES = 8

_DESCRIBE = """\
Say in one to three sentences what this file is for and what it holds, in words that somebody who
looks for it would use. No introduction."""
_ANSWER = """\
Answer the question from the numbered passages only. Give the numbers of the passages that the
answer rests on. If they do not hold the answer, say so and give no numbers."""


class Work(BaseModel):
    """What is to be done; all parts that are given, in this order."""

    model_config = ConfigDict(extra="forbid")

    index: list[str] = []
    describe: bool = False
    search: str = ""
    question: str = ""


class Found(BaseModel):
    """What came out."""

    indexed: list[dict[str, Any]] = []
    described: int = 0
    hits: list[dict[str, Any]] = []
    answer: str = ""
    sources: list[str] = []


class Reply(BaseModel):
    """What the model fills in."""

    answer: str
    passages: list[int] = Field(max_length=_PASSAGES)


class Memory(Role[Work | Brief | str, Found]):
    """The archivist of the team."""

    name = "memory"
    description = "indexes folders, finds passages, answers questions about them"
    priority = Priority.LOWEST
    share = 0.05

    async def handle(self, job: Work | Brief | str, ctx: Context) -> Found:
        """Do all that is asked for."""
        work, found = _work(job), Found()
        for folder in work.index:
            indexed = await _add(folder, ctx)
            found.indexed.append(indexed)
            if work.describe:
                found.described += await _describe(indexed["source"], ctx)
        if work.search:
            found.hits = [asdict(hit) for hit in await _search(work.search, work.index, ctx)]
        if work.question:
            found.answer, found.sources = await _answer(work, ctx)
        ctx.log.info("memory.worked", folders=len(found.indexed), described=found.described)
        return found


def _work(job: Work | Brief | str) -> Work:
    """A brief is a question: about its repository, or about all that is known.

    What it says beside that is for roles that do more than answer: results of others are no
    passages, and one answer is all that is asked for.
    """
    match job:
        case Brief():
            return Work(index=[job.repository] if job.repository else [], question=job.task)
        case str():
            return Work(question=job)
        case _:
            return job


async def _add(folder: str, ctx: Context) -> dict[str, Any]:
    """Bring a folder into the index, once for each job."""

    async def add() -> Any:
        return asdict(await ctx.index.add(folder))

    indexed: Any = await ctx.record(f"index {folder}", add)
    return dict(indexed)


async def _describe(source: str, ctx: Context) -> int:
    """Describe every file that has no description; each is kept at once."""
    room, count = anyio.CapacityLimiter(_AT_ONCE), 0

    async def one(document: Document) -> None:
        async with room:
            shown = f"{document.path}\n\n{document.text[:_LONGEST]}"
            answer = await ctx.ask(shown, system=_DESCRIBE, temperature=0)
            await ctx.index.describe(document, answer.text)

    while documents := await ctx.index.undescribed(source, limit=_BATCH):
        async with anyio.create_task_group() as tasks:
            for document in documents:
                tasks.start_soon(one, document)
        count += len(documents)
    return count


async def _search(query: str, folders: Sequence[str], ctx: Context) -> list[Hit]:
    """Hits in the folders of the job, in all where it names none."""
    hits = [hit for folder in folders or [""] for hit in await ctx.search(query, source=folder)]
    return sorted(hits, key=lambda hit: -hit.score)


async def _answer(work: Work, ctx: Context) -> tuple[str, list[str]]:
    """An answer, and the places it rests on; only passages that were found can be such places."""

    async def look() -> Any:
        # On record, so that a later run asks the same though the files have changed meanwhile.
        hits = (await _search(work.question, work.index, ctx))[:_PASSAGES]
        return [[f"{hit.path}:{hit.start}-{hit.end}", hit.text] for hit in hits]

    recorded: Any = await ctx.record("passages", look)
    passages: list[tuple[str, str]] = [(str(place), str(text)) for place, text in recorded]
    if not passages:
        return "Nothing that is indexed says anything about this.", []
    numbered = [
        {"number": number, "place": place, "text": text}
        for number, (place, text) in enumerate(passages, start=1)
    ]
    prompt = f"{json.dumps(numbered, ensure_ascii=False)}\n\nQuestion: {work.question}"
    reply = await ctx.ask(prompt, system=_ANSWER, schema=Reply, temperature=0)
    known = [number for number in dict.fromkeys(reply.passages) if 1 <= number <= len(passages)]
    return reply.answer, [passages[number - 1][0] for number in known]
