"""
Everything this package raises on purpose, in one tree.

::

    WallError
    ├── SpecError            the YAML text is at fault: every fault of the file, with its place
    ├── SettingsError        the deployment is at fault: a `[wall]` setting
    ├── DeploymentError      a running deployment is at fault: a component that is dead or set up wrongly
    ├── ConnectionFault      an Airflow connection is missing, incomplete or refused
    ├── DataError            the data are at fault: a missing file, a bad column, a query that fails
    ├── UserCodeError        the user's own function or SQL raised
    ├── CheckFailed          data or predictions broke a check of severity `error`
    ├── ModelError           a model is missing, unsafe to load, or does not fit its input
    ├── ReleaseError         a release cannot be opened, staged or committed
    ├── ClusterError         a cluster is not there or refuses a job
    ├── EnvironmentFault     the packages, the Python or the image that a step asks for cannot be had
    └── Interrupted          the work lost a race or its machine: the same call may succeed later

The mixins `Terminal` and `Transient` say whether a retry can help. Operators turn a `Terminal` into
`AirflowFailException` and let a `Transient` be retried.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Terminal:
    """Mixin: the same call would fail again, so it is not retried."""


class Transient:
    """Mixin: the same call may succeed later, so it is retried."""


class WallError(Exception):
    """
    Root of all errors of this package.

    :param message: What is wrong: where, what was expected, what came. One paragraph, literals in backticks.
    :param hint: How to mend it, in the imperative, without the word "hint".
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n\nhint: {self.hint}"

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception.__reduce__ would drop the keyword-only hint.
        return (_rebuild, (type(self), self.message, self.hint, self.__dict__))

    def to_json(self) -> dict[str, Any]:
        """The error as JSON values, for another process."""
        return {"kind": type(self).__name__, "message": self.message, "hint": self.hint}


def _rebuild(cls: type[WallError], message: str, hint: str | None, state: dict[str, Any]) -> WallError:
    error = cls.__new__(cls)
    WallError.__init__(error, message, hint=hint)
    error.__dict__.update(state)
    return error


class SpecError(Terminal, WallError):
    """The YAML text is at fault. The message holds every fault of the file."""


class SettingsError(Terminal, WallError):
    """A setting of the deployment (`[wall]`) is missing or wrong."""


class DeploymentError(Terminal, WallError):
    """A component of a running deployment is dead, cannot be reached, or is set up wrongly."""


class ConnectionFault(Terminal, WallError):
    """An Airflow connection is missing, incomplete, of the wrong type, or its server refused it."""


class DataError(Terminal, WallError):
    """The data are at fault: a missing source, a column that is not there, a value that cannot be read."""


class UserCodeError(Terminal, WallError):
    """The user's own function or SQL raised. The message holds the file, the line and the original error."""


class CheckFailed(Terminal, WallError):
    """Data or predictions broke a check of severity `error`: nothing downstream may be published."""


class ModelError(Terminal, WallError):
    """A model is missing, unsafe to load, stale, or does not fit its input."""


class ReleaseError(Terminal, WallError):
    """A release cannot be opened, staged or committed, and clients still see the last one."""


class ClusterError(Terminal, WallError):
    """A cluster is not there, or it refuses a job."""


class EnvironmentFault(Terminal, WallError):
    """The packages, the Python or the image that a step asks for cannot be had, or lack what jobs need."""


class Interrupted(Transient, WallError):
    """The work lost a race or its process died: the same call may succeed later."""


def error_of(values: Mapping[str, Any]) -> WallError:
    """The error from what `WallError.to_json` gave, in this version of the package or another."""
    kind: type[WallError] = globals().get(values["kind"], WallError)
    return kind(values["message"], hint=values["hint"])
