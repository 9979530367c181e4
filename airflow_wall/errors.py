"""
All errors that this package raises on purpose, in one tree.

::

    WallError
    ├── SpecError            the YAML text has faults: all of them, each with its place
    ├── SettingsError        a `[wall]` setting is missing or wrong
    ├── DeploymentError      a component of a running deployment is dead or configured wrongly
    ├── ConnectionFault      an Airflow connection is missing, incomplete or refused
    ├── DataError            the data are wrong: a missing file, a bad column, a query that fails
    ├── UserCodeError        the user's own function or SQL raised
    ├── CheckFailed          data or predictions broke a check of severity `error`
    ├── ModelError           a model is missing, unsafe to load, or does not fit its input
    ├── ReleaseError         a release cannot be opened, staged or committed
    ├── ClusterError         a cluster does not exist or refuses a job
    ├── EnvironmentFault     the packages, the Python or the image that a step needs are not available
    └── Interrupted          the work lost a race or its machine: the same call may succeed later

The mixins `Terminal` and `Transient` show if a retry can help. Operators turn a `Terminal` into
`AirflowFailException` and let Airflow retry a `Transient`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_wall.redaction import hide_logins


class Terminal:
    """Mixin for errors that are not retried: the same call would fail again."""


class Transient:
    """Mixin for errors that are retried: the same call may succeed later."""


class WallError(Exception):
    """
    Root of all errors of this package. Logins in URLs are removed from its text.

    :param message: Where the fault is, what was expected and what came. One paragraph, literals in backticks.
    :param hint: How to fix it, in the imperative, without the word "hint".
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        message = hide_logins(message) if "@" in message else message
        super().__init__(message)
        self.message = message
        self.hint = hide_logins(hint) if hint and "@" in hint else hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n\nhint: {self.hint}"

    def report(self) -> str:
        """Return the message with everything that helps to fix it."""
        return str(self)

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception.__reduce__ would drop the keyword-only hint.
        return (_rebuild, (type(self), self.message, self.hint, self.__dict__))

    def to_json(self) -> dict[str, Any]:
        """Return the error as JSON values, for another process."""
        return {"kind": type(self).__name__, "message": self.message, "hint": self.hint}


def _rebuild(cls: type[WallError], message: str, hint: str | None, state: dict[str, Any]) -> WallError:
    error = cls.__new__(cls)
    WallError.__init__(error, message, hint=hint)
    error.__dict__.update(state)
    return error


class SpecError(Terminal, WallError):
    """Raised when the YAML text has faults. The message holds all of them."""


class SettingsError(Terminal, WallError):
    """Raised when a setting of the deployment (`[wall]`) is missing or wrong."""


class DeploymentError(Terminal, WallError):
    """Raised when a component of a running deployment is dead, unreachable or configured wrongly."""


class ConnectionFault(Terminal, WallError):
    """Raised when an Airflow connection is missing, incomplete, of the wrong type, or refused by its server."""


class DataError(Terminal, WallError):
    """Raised when the data are wrong: a missing source, a missing column, a value that cannot be read."""


class UserCodeError(Terminal, WallError):
    """
    Raised when the user's own function or SQL raises. The message holds file, line and original error.

    :param trace: The traceback from the first line of the user's code on.
    """

    def __init__(self, message: str, *, hint: str | None = None, trace: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.trace = hide_logins(trace) if trace and "@" in trace else trace

    def report(self) -> str:
        """See `WallError.report`."""
        parts = [self.message, self.trace, None if self.hint is None else f"hint: {self.hint}"]
        return "\n\n".join(part for part in parts if part)

    def to_json(self) -> dict[str, Any]:
        """See `WallError.to_json`."""
        return {**super().to_json(), "trace": self.trace}


class CheckFailed(Terminal, WallError):
    """
    Raised when data or predictions fail a check of severity `error`: nothing downstream may be published.

    :param facts: The counts of the results and the checks that failed, for the history.
    """

    def __init__(self, message: str, *, hint: str | None = None, facts: Mapping[str, Any] | None = None) -> None:
        super().__init__(message, hint=hint)
        self.facts = dict(facts or {})


class ModelError(Terminal, WallError):
    """Raised when a model is missing, unsafe to load, stale, or does not fit its input."""


class ReleaseError(Terminal, WallError):
    """Raised when a release cannot be opened, staged or committed. Clients still see the last one."""


class ClusterError(Terminal, WallError):
    """Raised when a cluster does not exist or refuses a job."""


class EnvironmentFault(Terminal, WallError):
    """Raised when the packages, the Python or the image that a step needs are missing or unfit to run jobs."""


class Interrupted(Transient, WallError):
    """Raised when the work lost a race or its process died: the same call may succeed later."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, without the hint; the name of its class if the message is empty."""
    text = error.message if isinstance(error, WallError) else str(error)
    return next(iter(text.strip().splitlines()), type(error).__name__)


def error_from_json(values: Mapping[str, Any]) -> WallError:
    """Return the error from the result of `WallError.to_json`, of this version of the package or another."""
    kind: type[WallError] = globals().get(values["kind"], WallError)
    if issubclass(kind, UserCodeError):
        return kind(values["message"], hint=values["hint"], trace=values.get("trace"))
    return kind(values["message"], hint=values["hint"])
