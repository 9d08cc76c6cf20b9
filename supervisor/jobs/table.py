"""The table of promises: one row a job, and every statement that reads or changes it.

The same SQLAlchemy Core statements serve SQLite and PostgreSQL. Each function takes a connection
inside a transaction; nothing here opens, commits, waits or knows of threads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import sqlalchemy as sa

from supervisor.errors import UnknownJob
from supervisor.jobs.job import POISONED, Job, JobStatus
from supervisor.jobs.suspects import SUSPECT, Casualty, Finding, Suspect
from supervisor.jobs.verdict import Ending
from supervisor.messages import Cost

metadata = sa.MetaData()

# SQLite numbers rows by itself only for a column that is exactly INTEGER PRIMARY KEY.
_SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _values(kind: type[JobStatus]) -> list[str]:
    return [status.value for status in kind]


_STATUS = sa.Enum(JobStatus, native_enum=False, length=16, values_callable=_values)

jobs = sa.Table(
    "supervisor_jobs",
    metadata,
    sa.Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("parent", sa.Text, nullable=False),
    sa.Column("priority", sa.Integer),
    sa.Column("input", sa.Text, nullable=False),
    sa.Column("status", _STATUS, nullable=False),
    sa.Column("result", sa.Text),
    sa.Column("error", sa.Text),
    sa.Column("detail", sa.Text),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("started", sa.Float),
    sa.Column("ended", sa.Float),
    sa.Column("runs", sa.Integer, nullable=False, default=0),
    sa.Column("crashes", sa.Integer, nullable=False, default=0),
    sa.Column("retries", sa.Integer, nullable=False, default=0),
    # What its own answers have cost. A store of an earlier version gets these columns on opening.
    sa.Column("requests", sa.Integer, nullable=False, server_default="0"),
    sa.Column("tokens", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("ticks", sa.BigInteger),
    # Ends of the process in a row that it did not outlive, and in how many of them it was alone;
    # and how far its record went at the last.
    sa.Column("deaths", sa.Integer, nullable=False, server_default="0"),
    sa.Column("alone", sa.Integer, nullable=False, server_default="0"),
    sa.Column("reached", sa.Integer, nullable=False, server_default="0"),
    # Whether it waited for an answer, as far as that was noted: of suspects alone.
    sa.Column("asking", sa.Integer, nullable=False, server_default="0"),
    # Whether its parent was retried after it had ended badly: then it runs again when asked for.
    sa.Column("again", sa.Integer, nullable=False, server_default="0"),
    # Finding who is next, and counting who waits, is one probe of this index.
    sa.Index("supervisor_jobs_next", "status", "role", "priority", "seq"),
    sa.Index("supervisor_jobs_parent", "parent"),
)

_OPEN = (JobStatus.QUEUED, JobStatus.RUNNING)
_UNDONE = (JobStatus.FAILED, JobStatus.CANCELLED)
_TICKS_PER_DOLLAR = 10_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """What is to be written down for a job; attributes as in `Job`, `input` as JSON text."""

    id: str
    role: str
    key: str
    parent: str
    priority: int | None
    input: str
    created: float


@dataclass(frozen=True, slots=True)
class PutBack:
    """A job that is in the queue again."""

    id: str
    role: str


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A job that has been cancelled just now, and how it stood before."""

    id: str
    role: str
    retries: int
    before: JobStatus


def add_missing_columns(connection: sa.Connection) -> None:
    """Bring a table that an earlier version has made up to date."""
    present = {column["name"] for column in sa.inspect(connection).get_columns(jobs.name)}
    for column in jobs.c:
        if column.name not in present:
            definition = sa.schema.CreateColumn(column).compile(dialect=connection.dialect)
            connection.execute(sa.text(f"ALTER TABLE {jobs.name} ADD COLUMN {definition}"))


def insert(connection: sa.Connection, new: NewJob) -> tuple[Job, bool]:
    """Write a job down, unless its id is there already.

    Returns:
        The job as it stands, and whether it is new.
    """
    present = _select_one(connection, new.id) if new.key else None
    if present is not None:
        return present, False
    values = {slot: getattr(new, slot) for slot in NewJob.__slots__}
    statement = sa.insert(jobs).values(**values, status=JobStatus.QUEUED).returning(*jobs.c)
    return _job(connection.execute(statement).mappings().one()), True


def select(connection: sa.Connection, job_id: str) -> Job:
    """Read a job.

    Raises:
        UnknownJob: There is none of that id.
    """
    job = _select_one(connection, job_id)
    if job is None:
        raise UnknownJob(f"no job has the id {job_id!r}", hint="`jobs` lists them")
    return job


def select_newest(
    connection: sa.Connection, *, role: str | None, status: JobStatus | None, limit: int
) -> list[Job]:
    """Read the newest jobs, newest first; None means any."""
    statement = sa.select(jobs).order_by(jobs.c.seq.desc()).limit(limit)
    if role is not None:
        statement = statement.where(jobs.c.role == role)
    if status is not None:
        statement = statement.where(jobs.c.status == status)
    return [_job(row) for row in connection.execute(statement).mappings()]


def count_queued(connection: sa.Connection) -> dict[str, int]:
    """How many jobs wait to start, by role."""
    statement = (
        sa.select(jobs.c.role, sa.func.count())
        .where(jobs.c.status == JobStatus.QUEUED)
        .group_by(jobs.c.role)
    )
    return {role: count for role, count in connection.execute(statement)}


def requeue_interrupted(connection: sa.Connection) -> list[Casualty]:
    """Put back what runs; to be called when nothing does any more, or before anything starts.

    Returns:
        What that was.
    """
    child = jobs.alias()
    waits = sa.exists().where(child.c.parent == jobs.c.id, child.c.status.in_(_OPEN))
    counts = jobs.c.deaths, jobs.c.alone, jobs.c.reached, jobs.c.asking
    statement = sa.select(jobs.c.id, jobs.c.role, jobs.c.retries, *counts, waits).where(
        jobs.c.status == JobStatus.RUNNING
    )
    found = [Casualty(*row) for row in connection.execute(statement)]
    connection.execute(
        sa.update(jobs)
        .where(jobs.c.status == JobStatus.RUNNING)
        .values(status=JobStatus.QUEUED, asking=0)
    )
    return found


def set_asking(connection: sa.Connection, job_id: str, *, asking: bool) -> None:
    """Note whether a job waits for an answer."""
    statement = sa.update(jobs).where(jobs.c.id == job_id)
    connection.execute(statement.values(asking=int(asking)))


def record_deaths(connection: sa.Connection, findings: Sequence[Finding], *, now: float) -> None:
    """Write down what an end of the process has come to."""
    for finding in findings:
        connection.execute(
            sa.update(jobs)
            .where(jobs.c.id == finding.id)
            .values(deaths=finding.deaths, alone=finding.alone, reached=finding.reached)
        )
        if finding.ending is not None:
            end(connection, finding.id, finding.ending, now=now)


def select_suspects(connection: sa.Connection) -> list[Suspect]:
    """The queued jobs that may be what ends the process, the oldest first."""
    statement = sa.select(jobs.c.id, jobs.c.role, jobs.c.alone).where(
        jobs.c.status == JobStatus.QUEUED, jobs.c.deaths >= SUSPECT
    )
    return [Suspect(*row) for row in connection.execute(statement.order_by(jobs.c.seq))]


def claim(  # noqa: PLR0913 - one statement's conditions
    connection: sa.Connection,
    role: str,
    *,
    default_priority: int,
    count: int,
    now: float,
    urgent: bool = False,
    held: Sequence[str] = (),
) -> list[tuple[Job, int]]:
    """Take the next jobs of a role out of the queue: by priority, then by age.

    Args:
        connection: A connection in a transaction.
        role: Whose jobs.
        default_priority: What a job without a priority of its own counts as.
        count: Most to take.
        now: Unix time, in seconds.
        urgent: Only jobs that are more urgent than the default.
        held: Ids of those that may not start now.

    Returns:
        Each job, running now, with the number of its crashes so far.
    """
    queued = sa.and_(jobs.c.role == role, jobs.c.status == JobStatus.QUEUED)
    if held:
        queued = sa.and_(queued, jobs.c.id.not_in(held))
    # Two short index scans instead of one sort of the whole queue by coalesce(priority, default).
    bound = jobs.c.priority < default_priority if urgent else jobs.c.priority.is_not(None)
    prioritized = (
        sa.select(jobs.c.priority, jobs.c.seq)
        .where(queued, bound)
        .order_by(jobs.c.priority, jobs.c.seq)
        .limit(count)
    )
    plain = (
        sa.select(sa.literal(default_priority), jobs.c.seq)
        .where(queued, jobs.c.priority.is_(None))
        .order_by(jobs.c.seq)
        .limit(0 if urgent else count)
    )
    ranked = [*connection.execute(prioritized), *connection.execute(plain)]
    order = [seq for _, seq in sorted((priority, seq) for priority, seq in ranked)[:count]]
    if not order:
        return []
    statement = (
        sa.update(jobs)
        .where(jobs.c.seq.in_(order), jobs.c.status == JobStatus.QUEUED)
        .values(
            status=JobStatus.RUNNING,
            started=sa.func.coalesce(jobs.c.started, now),
            runs=jobs.c.runs + 1,
        )
        .returning(*jobs.c)
    )
    rows = {row["seq"]: row for row in connection.execute(statement).mappings()}
    return [(_job(rows[seq]), rows[seq]["crashes"]) for seq in order if seq in rows]


def count_before(connection: sa.Connection, job_id: str, *, default_priority: int) -> int:
    """How many queued jobs of its role start before this one.

    Args:
        connection: A connection.
        job_id: Id of a queued job.
        default_priority: What a job without a priority of its own counts as.
    """
    one = jobs.alias()
    priority = sa.func.coalesce(jobs.c.priority, default_priority)
    own = sa.func.coalesce(one.c.priority, default_priority)
    before = sa.or_(priority < own, sa.and_(priority == own, jobs.c.seq < one.c.seq))
    statement = (
        sa.select(sa.func.count())
        .select_from(jobs)
        .join(one, sa.and_(one.c.id == job_id, jobs.c.role == one.c.role))
        .where(jobs.c.status == JobStatus.QUEUED, before)
    )
    return int(connection.execute(statement).scalar_one())


def record_crash(connection: sa.Connection, job_id: str, *, detail: str, again: bool) -> None:
    """Write a crash down, and that the job is run again where it is."""
    connection.execute(
        sa.update(jobs)
        .where(jobs.c.id == job_id)
        .values(
            crashes=jobs.c.crashes + 1,
            detail=detail,
            runs=jobs.c.runs + (1 if again else 0),
        )
    )


def set_cost(connection: sa.Connection, job_id: str, cost: Cost) -> None:
    """Write down what a job's own answers have cost so far."""
    ticks = None if cost.usd is None else int(cost.usd * _TICKS_PER_DOLLAR)
    connection.execute(
        sa.update(jobs)
        .where(jobs.c.id == job_id)
        .values(requests=cost.requests, tokens=cost.tokens, ticks=ticks)
    )


def cost_below(connection: sa.Connection, job_id: str) -> Cost:
    """What all that a job has delegated, and they in turn, has cost so far."""
    below = sa.select(jobs.c.id).where(jobs.c.parent == job_id).cte("below", recursive=True)
    below = below.union(sa.select(jobs.c.id).join(below, jobs.c.parent == below.c.id))
    statement = sa.select(
        sa.func.coalesce(sa.func.sum(jobs.c.requests), 0).label("requests"),
        sa.func.coalesce(sa.func.sum(jobs.c.tokens), 0).label("tokens"),
        sa.func.sum(jobs.c.ticks).label("ticks"),
    ).where(jobs.c.id.in_(sa.select(below.c.id)))
    return _cost(connection.execute(statement).mappings().one())


def end(connection: sa.Connection, job_id: str, ending: Ending, *, now: float) -> tuple[Job, bool]:
    """Write a job's end down, unless it has ended already.

    Returns:
        The job as it stands, and whether this was its end.
    """
    statement = (
        sa.update(jobs)
        .where(jobs.c.id == job_id, jobs.c.status.in_(_OPEN))
        .values(status=ending.status, result=ending.result, error=ending.error, ended=now)
        .returning(*jobs.c)
    )
    row = connection.execute(statement).mappings().one_or_none()
    return (select(connection, job_id), False) if row is None else (_job(row), True)


def cancel(connection: sa.Connection, job_id: str, *, now: float) -> list[Cancelled]:
    """Cancel a job that has not ended, and all that it has delegated.

    Returns:
        What has been cancelled by this, the job itself first.
    """
    cancelled: list[Cancelled] = []
    level: Sequence[str] = [job_id]
    while level:
        statement = sa.select(jobs.c.id, jobs.c.role, jobs.c.retries, jobs.c.status).where(
            jobs.c.id.in_(level), jobs.c.status.in_(_OPEN)
        )
        found = [Cancelled(*row) for row in connection.execute(statement)]
        open_ids = [each.id for each in found]
        connection.execute(
            sa.update(jobs)
            .where(jobs.c.id.in_(open_ids))
            .values(status=JobStatus.CANCELLED, ended=now)
        )
        cancelled += found
        level = [*connection.scalars(sa.select(jobs.c.id).where(jobs.c.parent.in_(open_ids)))]
    return cancelled


def retry(connection: sa.Connection, job_id: str, *, delegated: bool) -> tuple[Job, list[PutBack]]:
    """Put a failed or cancelled job back into the queue, at its old place.

    Args:
        connection: Of the transaction.
        job_id: Its id.
        delegated: Only when its parent was retried after it had ended. How often either was retried
            says nothing of that: somebody may have retried it alone before.

    Returns:
        The job as it stands, and what this put back.
    """
    wanted = [jobs.c.id == job_id, jobs.c.status.in_(_UNDONE)]
    if delegated:
        wanted.append(jobs.c.again != 0)
    put_back = _put_back(connection, *wanted)
    return select(connection, job_id), put_back


def retry_failed(connection: sa.Connection, *, role: str | None, poisoned: bool) -> list[PutBack]:
    """Put failed jobs back into the queue, each at its old place.

    Args:
        connection: A connection in a transaction.
        role: Only this role's; None for all.
        poisoned: Those that were set aside, instead of all others.
    """
    wanted = [jobs.c.status == JobStatus.FAILED]
    is_poisoned = jobs.c.error.startswith(POISONED, autoescape=True)
    wanted.append(is_poisoned if poisoned else sa.not_(is_poisoned))
    if role is not None:
        wanted.append(jobs.c.role == role)
    return _put_back(connection, *wanted)


def _put_back(connection: sa.Connection, *wanted: sa.ColumnElement[bool]) -> list[PutBack]:
    parents = sa.select(jobs.c.id).where(*wanted).correlate(None)
    connection.execute(
        sa.update(jobs)
        .where(jobs.c.parent.in_(parents), jobs.c.status.in_(_UNDONE))
        .values(again=1)
    )
    statement = (
        sa.update(jobs)
        .where(*wanted)
        .values(
            status=JobStatus.QUEUED,
            error=None,
            ended=None,
            crashes=0,
            deaths=0,
            alone=0,
            reached=0,
            again=0,
            retries=jobs.c.retries + 1,
        )
        .returning(jobs.c.id, jobs.c.role)
    )
    return [PutBack(*row) for row in connection.execute(statement)]


def _select_one(connection: sa.Connection, job_id: str) -> Job | None:
    row = connection.execute(sa.select(jobs).where(jobs.c.id == job_id)).mappings().one_or_none()
    return None if row is None else _job(row)


def _job(row: sa.RowMapping | Mapping[str, object]) -> Job:
    fields = {name: row[name] for name in Job.__slots__ if name != "cost"}
    result = row["result"]
    fields |= {
        "cost": _cost(row),
        "input": json.loads(str(row["input"])),
        "result": None if result is None else json.loads(str(result)),
    }
    return Job(**fields)  # type: ignore[arg-type]


def _cost(row: sa.RowMapping | Mapping[str, object]) -> Cost:
    ticks = row["ticks"]
    usd = None if ticks is None else Decimal(int(str(ticks))) / _TICKS_PER_DOLLAR
    return Cost(int(str(row["requests"])), int(str(row["tokens"])), usd)
