"""What can be told of a store on PostgreSQL without changing anything in it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import psycopg

from supervisor.errors import StoreError
from supervisor.ledger.postgresql_connection import KEEPALIVES, failure
from supervisor.ledger.postgresql_owner import LOCK
from supervisor.ledger.sqlite import SCHEMA
from supervisor.ledger.survey import expected, require_ours

Connection = psycopg.Connection[tuple[Any, ...]]

_PREFIX = "supervisor_"
_ABLE = """
SELECT current_setting('server_version'), current_setting('transaction_read_only') = 'on',
    coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)
    AND (to_regnamespace('dbos') IS NOT NULL
         OR has_database_privilege(current_database(), 'CREATE'))
"""
_COLUMNS = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name LIKE 'supervisor\\_%'
"""
_HELD = """
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = 0
    AND objid = %s AND objsubid = 1
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@dataclass(frozen=True, slots=True)
class ServerSurvey:
    """What a server says.

    Attributes:
        version: Its version.
        owned: Whether a process owns the key of this store right now.
    """

    version: str
    owned: bool


def examine_server(url: str, *, patience: float) -> ServerSurvey:
    """Connect, and see whether our tables are there or can be made.

    Args:
        url: `postgresql://USER:PASSWORD@HOST/NAME`.
        patience: Seconds to connect; libpq takes 2 where it is less.

    Raises:
        StoreError: It cannot be reached or used.
    """
    try:
        with psycopg.connect(
            url, autocommit=True, connect_timeout=int(patience), **KEEPALIVES
        ) as connection:
            return _examine(connection)
    except (psycopg.Error, OSError) as error:
        raise failure(error) from error


def _examine(connection: Connection) -> ServerSurvey:
    version, only_reads, may_create = connection.execute(_ABLE).fetchone() or ("", True, False)
    if only_reads:
        raise StoreError(
            f"PostgreSQL {version} answers, but only lets read",
            hint="name the primary server in store.url, not a standby",
        )
    if not may_create:
        raise StoreError(
            f"PostgreSQL {version} answers, but this user may make no tables and schemas",
            hint="GRANT CREATE on the database and on its schema to this user",
        )
    found: defaultdict[str, set[str]] = defaultdict(set)
    for table, column in connection.execute(_COLUMNS):
        found[table].add(column)
    ours = {f"{_PREFIX}{table}": columns for table, columns in expected(SCHEMA).items()}
    here = {table: frozenset(found[table]) for table in ours.keys() & found.keys()}
    require_ours("the database of store.url", here, ours)
    (held,) = connection.execute(_HELD, (LOCK,)).fetchone() or (0,)
    return ServerSurvey(version, owned=bool(held))
