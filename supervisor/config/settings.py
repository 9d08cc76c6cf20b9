"""Every setting there is: its name, its type and its default.

The models are frozen and validated as a whole, so that whoever holds a `Settings` need not check
anything again. Texts are parsed here once: limits are `Limit`s, durations seconds, sizes bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    PrivateAttr,
    SecretStr,
)

from supervisor.config import value
from supervisor.config.key import KeySource
from supervisor.config.schedule import ScheduleSettings
from supervisor.config.secrets import Secrets
from supervisor.errors import ConfigError
from supervisor.limits import Limit
from supervisor.messages import JsonValue, Priority, TrafficClass

Kind = Literal["role", "client"]

_AT_END: Mapping[Kind, str] = {"role": "wait", "client": "refuse"}

CEILING = (Limit(100, "requests", 60.0),)
"""The most that one role or client may take, unless its table says otherwise."""

CHAT = TrafficClass("chat", priority=Priority.URGENT, share=0.05)
"""The people at a terminal: they wait themselves, so they go first. It always exists."""

_SQLITE = "sqlite:///"
_BESIDE = "data/supervisor.sqlite"
"""Where files lie that are no part of a store on a server."""

_Seconds = Annotated[float, PlainValidator(value.duration(zero=True))]
_SomeSeconds = Annotated[float, PlainValidator(value.duration(zero=False))]
_Truth = Annotated[bool, PlainValidator(value.truth)]
_Count = Annotated[int, PlainValidator(value.whole_number(least=1))]
_Host = Annotated[
    str, PlainValidator(value.plain_text("a host name or an IP address", r"[\w.:-]+"))
]
_Port = Annotated[int, PlainValidator(value.whole_number(least=0, most=65535))]
_Level = Literal["debug", "info", "warning", "error"]
_Format = Literal["auto", "json", "console"]
_AtEnd = Literal["wait", "refuse"]
_Money = Annotated[Decimal, PlainValidator(value.money), PlainSerializer(str)]
_Walls = Literal["auto", "bubblewrap", "plain"]


class _Table(BaseModel):
    # The key of a setting may be public while its value is a secret: no error shows its input.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class UpstreamSettings(_Table):
    """The API that requests go to.

    Attributes:
        base_url: URL below which the endpoints lie, without a slash at its end.
        timeout: Longest silence of the API in seconds; reasoning takes minutes to its first token.
        connect_timeout: Longest time for a connection, the look-up of the name included, in
            seconds.
        longest_answer: Longest time for one attempt however much comes of it, in seconds.
        max_retries: Retries of one request after failures that are not a matter of quota.
        patience: Longest time that a request waits while the API answers nobody, in seconds; jobs
            wait as long as it takes.
    """

    base_url: Annotated[str, PlainValidator(value.base_url)] = "https://api.x.ai/v1"
    timeout: _SomeSeconds = 600.0
    connect_timeout: _SomeSeconds = 10.0
    longest_answer: _SomeSeconds = 3600.0
    max_retries: Annotated[int, PlainValidator(value.whole_number(least=0, most=100))] = 3
    patience: _Seconds = 120.0


class KeySettings(_Table):
    """Where the key is, if it is neither in the environment nor in `.env`.

    Attributes:
        file: A file with the key and nothing else.
        command: A program that prints the key as its first line, and its arguments; not shown.
    """

    file: Annotated[Path, PlainValidator(value.file)] | None = None
    command: Annotated[
        tuple[str, ...], BeforeValidator(value.words), Field(repr=False, exclude=True)
    ] = ()


class QuotaSettings(_Table):
    """What the key may send.

    Attributes:
        limits: Limits that hold together.
        jitter: Spread of the delay from grant to arrival at the API, in seconds.
        enabled: False sends everything at once and leaves refusing to the API.
        burst: Most requests at once, for a server that is a token bucket; None when none is stated.
        takeover: Seconds to hold idle on start, where no lock tells that the other process is gone.
    """

    limits: value.Limits = (Limit(100, "requests", 60.0), Limit(3000, "requests", 3600.0))
    jitter: _Seconds = 0.25
    enabled: _Truth = True
    burst: _Count | None = None
    takeover: _Seconds = 0.0

    @property
    def in_force(self) -> tuple[Limit, ...]:
        """The limits to keep, each with its burst; none when limiting is off."""
        if not self.enabled:
            return ()
        return tuple(map(self._with_burst, self.limits))

    def _with_burst(self, limit: Limit) -> Limit:
        if self.burst is None or limit.burst is not None or limit.unit != "requests":
            return limit
        return replace(limit, burst=min(self.burst, limit.amount))


class WebSettings(_Table):
    """The HTTP door.

    Attributes:
        host: Address to listen on.
        port: TCP port; 0 takes a free one.
        token: Bearer token of the operator; only the environment may hold it.
        max_body: Largest request body in bytes.
    """

    host: _Host = "127.0.0.1"
    port: _Port = 8420
    token: Annotated[SecretStr | None, PlainValidator(value.token), Field(exclude=True)] = None
    max_body: Annotated[int, PlainValidator(value.size)] = 20 * 2**20


class SshSettings(_Table):
    """The SSH door; it is closed unless `authorized_keys` is set.

    Attributes:
        host: Address to listen on.
        port: TCP port; 0 takes a free one.
        authorized_keys: The public keys of those who may log in; None for no SSH at all.
        host_key: The server's own key, made at the first start; None for beside the store.
    """

    host: _Host = "127.0.0.1"
    port: _Port = 8422
    authorized_keys: Annotated[Path, PlainValidator(value.file)] | None = None
    host_key: Annotated[Path, PlainValidator(value.file)] | None = None


class StoreSettings(_Table):
    """Where jobs and attempts are written down.

    Attributes:
        url: SQLite or PostgreSQL; not part of what is shown or dumped, as it can hold a password.
    """

    url: Annotated[str, PlainValidator(value.store_url), Field(repr=False, exclude=True)] = (
        "sqlite:///data/supervisor.sqlite"
    )

    @property
    def in_files(self) -> bool:
        """Whether it is in files of this machine, not on a server."""
        return self.url.startswith(_SQLITE)

    def file(self, what: str = "", *, simulated: bool = False) -> Path:
        """A file of the store; beside a store on a server, where its files on this machine lie.

        Args:
            what: Which: empty for the ledger; `-owner`, `-jobs`, `-memory` … for those beside it.
            simulated: Whether that of the simulated API is meant; it has files of its own.
        """
        file = Path(self.url.removeprefix(_SQLITE) if self.in_files else _BESIDE)
        mark = "-simulated" if simulated else ""
        return file.with_name(f"{file.stem}{mark}{what}{file.suffix}")

    @property
    def chat(self) -> Path:
        """The folder with what was said in the terminal."""
        return self.file().with_name("chat")


class LogSettings(_Table):
    """What is written to standard error.

    Attributes:
        level: The least important events to show.
        format: `console` for people, `json` for machines, `auto` by whether it is a terminal.
    """

    level: Annotated[_Level, PlainValidator(value.one_of("debug", "info", "warning", "error"))] = (
        "info"
    )
    format: Annotated[_Format, PlainValidator(value.one_of("auto", "json", "console"))] = "auto"


class MemorySettings(_Table):
    """What is known without being told: folders that are kept indexed.

    Attributes:
        folders: Folders and git repositories.
        sweep: Seconds between two looks at all their files; changes are seen at once beside that.
    """

    folders: Annotated[
        tuple[Annotated[Path, PlainValidator(value.folder)], ...],
        BeforeValidator(
            value.list_of(str, Path, expectation='a list of folders such as ["docs", "src"]')
        ),
    ] = ()
    sweep: _SomeSeconds = 600.0


class SandboxSettings(_Table):
    """Where roles run commands.

    Attributes:
        level: What shuts them in; `auto` is bubblewrap where it is installed.
        network: Whether they may reach the network, where the level can keep them from it.
    """

    level: Annotated[_Walls, PlainValidator(value.one_of("auto", "bubblewrap", "plain"))] = "auto"
    network: _Truth = False


class BudgetSettings(_Table):
    """What may be spent by everybody together.

    Attributes:
        total: Budgets that hold together; none for any amount.
    """

    total: value.Budgets = ()


class PriceSettings(_Table):
    """What a model costs, where the API does not say it.

    Attributes:
        input: US dollars for a million prompt tokens.
        cached: US dollars for a million prompt tokens from the cache; None for as much as others.
        output: US dollars for a million answer tokens, reasoning included.
        double_from: Prompt tokens from which on the whole request costs double; 0 for never.
    """

    input: _Money | None = None
    cached: _Money | None = None
    output: _Money | None = None
    double_from: Annotated[int, PlainValidator(value.whole_number(least=0))] = 200_000


class PartSettings(_Table):
    """What a role or a client may take; None leaves it to what it says itself.

    Attributes:
        priority: 0 (most urgent) to 99.
        share: Guaranteed part of every quota window, 0 to 1.
        ceiling: Limits that it alone may not exceed; an empty list for none.
        concurrency: Most jobs of a role, or attempts of a client, at once.
        queue: Most requests waiting at once.
        budget: Most money in a period; several hold together.
        at_budget_end: Whether its requests `wait` for the next period or are refused (`refuse`);
            None for what suits: roles wait, clients are refused.
    """

    priority: Annotated[int, PlainValidator(value.priority)] | None = None
    share: Annotated[float, PlainValidator(value.fraction)] | None = None
    ceiling: value.Limits | None = None
    concurrency: _Count | None = None
    queue: _Count | None = None
    budget: value.Budgets | None = None
    at_budget_end: Annotated[_AtEnd, PlainValidator(value.one_of("wait", "refuse"))] | None = None


class RoleSettings(PartSettings):
    """What a role may take, and how it asks; None leaves it to the role's own class.

    Attributes:
        deferred: Whether the answers of its jobs may be fetched later.
    """

    deferred: _Truth | None = None


class ClientSettings(PartSettings):
    """What a program may take that comes in through the gateway.

    Attributes:
        token_env: The environment variable that holds its bearer token; None for no token.
    """

    token_env: Annotated[str, PlainValidator(value.variable)] | None = None


class RolesSettings(BaseModel):
    """The folder of roles, and a table for each role that is not as its class says.

    Attributes:
        directory: The folder, relative to the working directory.
    """

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)
    __pydantic_extra__: dict[str, RoleSettings] = Field(init=False)  # pyright: ignore

    directory: Annotated[Path, PlainValidator(value.folder)] = Path("roles")

    @property
    def named(self) -> Mapping[str, RoleSettings]:
        """The tables by the role's name."""
        return self.__pydantic_extra__


class Settings(_Table):
    """All settings, checked.

    Attributes:
        model: The model that is asked unless a request names another.
        upstream: The API.
        key: Where the key is.
        quota: What the key may send.
        web: The HTTP door.
        store: Where things are written down.
        ssh: The SSH door.
        log: What is written to standard error.
        memory: What is kept indexed.
        sandbox: Where roles run commands.
        budget: What may be spent by everybody together.
        prices: What models cost where the API does not say it, by model.
        roles: The roles.
        clients: The gateway's clients by name.
        schedule: Jobs that are handed in by the clock.
        simulator: Settings of the simulated API, which validates them itself; never shown either.
    """

    model: Annotated[
        str, PlainValidator(value.plain_text('the name of a model, such as "grok-4.7"', r"\S+"))
    ] = "grok-4.7"
    upstream: UpstreamSettings = UpstreamSettings()
    key: KeySettings = KeySettings()
    quota: QuotaSettings = QuotaSettings()
    web: WebSettings = WebSettings()
    store: StoreSettings = StoreSettings()
    ssh: SshSettings = SshSettings()
    log: LogSettings = LogSettings()
    memory: MemorySettings = MemorySettings()
    sandbox: SandboxSettings = SandboxSettings()
    budget: BudgetSettings = BudgetSettings()
    prices: Mapping[str, PriceSettings] = Field(default_factory=dict[str, PriceSettings])
    roles: RolesSettings = RolesSettings()
    clients: Mapping[str, ClientSettings] = Field(default_factory=dict[str, ClientSettings])
    schedule: Annotated[
        tuple[ScheduleSettings, ...],
        BeforeValidator(value.list_of(dict, ScheduleSettings, expectation="a list of tables")),
    ] = ()
    simulator: Annotated[Mapping[str, JsonValue], PlainValidator(value.plain_table)] = Field(
        default_factory=dict[str, JsonValue], repr=False, exclude=True
    )
    _secrets: Secrets = PrivateAttr(default_factory=Secrets)

    def model_post_init(self, context: Any, /) -> None:
        """Take over the secrets, which come beside the settings and never among them."""
        if isinstance(context, Secrets):
            self._secrets = context

    @property
    def has_key(self) -> bool:
        """Whether there is an API key, or a file or a command that should have one."""
        return self._secrets.key is not None or self.key != KeySettings()

    @property
    def key_source(self) -> KeySource:
        """Where the API key comes from; it can be read again."""
        return self._secrets.source

    def require_key(self) -> SecretStr:
        """The API key; read anew where a file or a command has it.

        Raises:
            ConfigError: There is none, or it cannot be read.
        """
        if self._secrets.key is not None and self.key == KeySettings():
            return self._secrets.key
        return self.key_source.read().secret

    def client_tokens(self) -> Mapping[str, SecretStr]:
        """The bearer tokens of all clients that have one, by client.

        Raises:
            ConfigError: A client's variable is not set, or two tokens are the same.
        """
        problems: list[str] = []
        owners = {self.web.token.get_secret_value(): "web.token"} if self.web.token else {}
        for name, client in self.clients.items():
            if client.token_env is None:
                continue
            key = f"clients.{name}.token_env"
            secret = self._secrets.clients.get(name)
            if secret is None:
                problems.append(
                    f"expected {key} to name an environment variable that is set, "
                    f'got: "{client.token_env}"'
                )
            elif (other := owners.setdefault(secret.get_secret_value(), key)) != key:
                problems.append(f"expected {key} to hold a token of its own, got: that of {other}")
        if problems:
            raise ConfigError("\n".join(problems))
        return dict(self._secrets.clients)

    def chat_class(self, *, taken: float, present: bool) -> TrafficClass:
        """The people at a terminal as the scheduler sees them.

        Args:
            taken: What is guaranteed to all others, 0 to 1; its own default share yields to that,
                for nobody should have to make room for a class that he has never heard of.
            present: Whether somebody sits at one; without that nobody is paced for its sake.
        """
        share = min(CHAT.share, max(0.0, 1.0 - taken))
        defaults = replace(CHAT, share=share, awaited=present)
        return self.traffic_class(CHAT.name, "client", defaults=defaults)

    def traffic_class(
        self, name: str, kind: Kind = "role", *, defaults: TrafficClass | None = None
    ) -> TrafficClass:
        """A role or a client as the scheduler sees it.

        Args:
            name: Its name; it need not have a table.
            kind: Which tables to look into.
            defaults: What a role's class says; it holds where the table says nothing.
        """
        tables: Mapping[str, PartSettings] = self.roles.named if kind == "role" else self.clients
        table = tables.get(name, PartSettings())
        base = defaults or TrafficClass(name)
        # Off is off, but for a ceiling that somebody has written down.
        usual = tuple(map(str, CEILING)) if self.quota.enabled else ()
        ceiling = None if table.ceiling is None else tuple(map(str, table.ceiling))
        return replace(
            base,
            name=name,
            priority=base.priority if table.priority is None else table.priority,
            share=base.share if table.share is None else table.share,
            ceiling=(base.ceiling or usual) if ceiling is None else ceiling,
            concurrency=table.concurrency or base.concurrency,
            queue=table.queue or base.queue,
            budget=tuple(map(str, table.budget or ())),
            refuses=(table.at_budget_end or _AT_END[kind]) == "refuse",
        )
