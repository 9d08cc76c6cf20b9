"""What a role author writes must satisfy mypy and pyright; checked, never run."""

from __future__ import annotations

from typing import assert_type

from pydantic import BaseModel

from supervisor import Answer, Context, JobFailed, JsonValue, Priority, Role, get_stats


class Question(BaseModel):
    """What the role takes."""

    text: str
    urgent: bool = False


class Verdict(BaseModel):
    """What the model fills in."""

    yes: bool
    why: str


class Oracle(Role[Question, Verdict]):
    """Uses everything a role may use."""

    name = "oracle"
    description = "answers yes or no"
    priority = Priority.HIGH
    share = 0.1
    concurrency = 2
    deferred = True

    async def start(self) -> None:
        """Open what jobs share."""

    async def handle(self, job: Question, ctx: Context) -> Verdict:
        """Answer one question."""
        plain = await ctx.ask(job.text)
        assert_type(plain, Answer)
        tuned = await ctx.ask([{"role": "user", "content": job.text}], temperature=0, model="x")
        assert_type(tuned.text, str)
        soon = await ctx.ask(job.text, deferred=False)
        assert_type(soon, Answer)
        async for piece in ctx.stream(job.text, system="be brief"):
            assert_type(piece, str)
        result = await ctx.delegate("quality", {"diff": plain.text}, key="again")
        assert_type(result, JsonValue)
        ctx.state["asked"] = 1
        ctx.log.info("oracle.asked", job=ctx.job_id, role=ctx.role, stats=len(get_stats()))
        verdict = await ctx.ask(job.text, schema=Verdict)
        assert_type(verdict, Verdict)
        if not verdict.why:
            raise JobFailed("no reason given")
        return verdict
