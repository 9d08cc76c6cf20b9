"""Every error a user, a role author or a client can meet, in one tree.

    SupervisorError
    ├── ConfigError                 the operator: a setting is wrong
    ├── NotRunning                  the operator: no supervisor answers
    ├── StoreError                  the operator: the store cannot be used
    │   └── JobStoreError           the jobs' own; it is opened again until it can be
    ├── RequestError                whoever asked; has an HTTP status and a code
    │   ├── InvalidRequest          the request itself is wrong
    │   ├── RequestTooLarge         it can never fit into a window
    │   ├── QueueFull               its class's queue is full
    │   ├── BudgetSpent             its budget is spent until the period ends
    │   ├── DeadlineExceeded        it could not be sent in time
    │   ├── LedgerUnavailable       it could not be written down, so it was not sent
    │   ├── Draining                the process is stopping
    │   └── UpstreamError           the API gave a final no
    │       ├── UpstreamRejected    the request was refused for what it says
    │       ├── UpstreamUnavailable no answer after all retries
    │       ├── QuotaRefused        429 again and again
    │       └── KeyUnusable         the key, the team or the credits; waiting never helps
    ├── RoleError                   a role
    │   ├── PluginInvalid           a plugin file cannot be used: file, line, what was expected
    │   ├── UnknownRole             no role of that name
    │   └── RoleUnavailable         the role is stopped or has failed
    └── JobError                    a job
        ├── UnknownJob              no job of that id
        ├── UnknownSchedule         no schedule of that name
        ├── InvalidJobInput         the input is not what the role takes
        ├── JobFailed               the role says it cannot be done
        ├── JobPoisoned             it made its role crash each time it ran
        └── JobCancelled            somebody cancelled it

A message says what happened, the value, and what was expected or what to do. None holds a key:
`upstream` removes it from every text of the API before it becomes part of an error.
"""

from __future__ import annotations


class SupervisorError(Exception):
    """The root; catching it catches everything this project raises on purpose.

    Args:
        message: What happened, with the value.
        hint: What to do about it, if there is something to do.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class ConfigError(SupervisorError):
    """A setting is wrong. The operator mends config.toml, the environment or the command line."""


class NotRunning(SupervisorError):
    """No supervisor answers at the configured address."""


class StoreError(SupervisorError):
    """The store cannot be opened or written."""


class JobStoreError(StoreError):
    """The jobs' store cannot be used. What ran goes on by itself when it can be again."""


class RequestError(SupervisorError):
    """A request got no answer.

    Attributes:
        status: HTTP status that the gateway replies with.
        code: Stable machine-readable name, `lower_snake_case`.
        retry_after: Seconds after which a repetition can succeed; None when it never will.
    """

    status = 500
    code = "request_failed"

    def __init__(self, message: str, *, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class InvalidRequest(RequestError):
    """The request is malformed. Its author mends it."""

    status = 400
    code = "invalid_request"


class RequestTooLarge(RequestError):
    """The request needs more than a whole window holds; no waiting makes room for it."""

    status = 413
    code = "request_too_large"


class QueueFull(RequestError):
    """The class's queue is at its bound. Try again after `retry_after`."""

    status = 429
    code = "queue_full"


class BudgetSpent(RequestError):
    """The money for it is spent until its period ends. Try again then, or raise the budget."""

    status = 429
    code = "budget_spent"


class DeadlineExceeded(RequestError):
    """The request was given up in the queue: it could not be sent before its deadline."""

    status = 504
    code = "deadline_exceeded"


class LedgerUnavailable(RequestError):
    """The attempt could not be written down: disk full, server away. It was not sent."""

    status = 503
    code = "ledger_unavailable"


class Draining(RequestError):
    """The process is stopping and takes no new requests."""

    status = 503
    code = "draining"


class UpstreamError(RequestError):
    """The API's final no.

    Attributes:
        upstream_status: Its HTTP status, None when no response came.
        body: Its body, with the key removed, for passing on.
        content_type: The body's media type.
    """

    status = 502
    code = "upstream_error"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        retry_after: float | None = None,
        upstream_status: int | None = None,
        body: bytes = b"",
        content_type: str = "application/json",
    ) -> None:
        super().__init__(message, hint=hint, retry_after=retry_after)
        self.upstream_status = upstream_status
        self.body = body
        self.content_type = content_type


class UpstreamRejected(UpstreamError):
    """The API refused the request for what it says (400, 404, 422 …). Its author mends it."""

    status = 400
    code = "upstream_rejected"


class UpstreamUnavailable(UpstreamError):
    """No usable answer after all retries: 5xx, no capacity, cut connections, time-outs."""

    code = "upstream_unavailable"


class QuotaRefused(UpstreamError):
    """The API answered 429 for quota again and again, although our own count had room."""

    status = 429
    code = "quota_refused"


class KeyUnusable(UpstreamError):
    """Bad key, no credits, blocked team, model not open. The operator acts; waiting never helps.

    Attributes:
        whole: Whether it is the key as a whole; False where one model is closed to it.
    """

    status = 503
    code = "key_unusable"
    whole = True


class RoleError(SupervisorError):
    """Something is wrong with a role."""


class PluginInvalid(RoleError):
    """A file in the roles directory is not a usable role. Its author mends it.

    Attributes:
        reason: The message without the place.
        file: The file, relative to the roles directory's parent where possible.
        line: 1-based line, 0 when the whole file is meant.
    """

    def __init__(self, message: str, *, file: str, line: int = 0, hint: str = "") -> None:
        super().__init__(f"{file}:{line}: {message}" if line else f"{file}: {message}", hint=hint)
        self.reason = message
        self.file = file
        self.line = line


class UnknownRole(RoleError):
    """No role of that name is loaded."""


class RoleUnavailable(RoleError):
    """The role exists, but is stopped or has failed."""


class JobError(SupervisorError):
    """Something is wrong with a job."""


class UnknownJob(JobError):
    """No job of that id."""


class UnknownSchedule(JobError):
    """No schedule of that name."""


class InvalidJobInput(JobError):
    """The input is not what the role takes. Whoever submitted it mends it."""


class JobFailed(JobError):
    """Raised by a role: this job cannot be done. The role itself goes on."""


class JobPoisoned(JobError):
    """The job made its role crash each time it ran; it is set aside."""


class JobCancelled(JobError):
    """Somebody cancelled the job."""
