"""
What a training function returns, and the two protocols of this package: a model that scores, a registry that keeps.

This module imports nothing heavy: a user's module may import `Trained` wherever it likes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

Kind = Literal["regression", "binary"]
"""What a model predicts: a number, or the probability that a 0/1 target is 1."""


@dataclass(frozen=True)
class Trained:
    """
    What a training function returns.

    :param estimator: A fitted LightGBM model or scikit-learn estimator: a regressor, or a classifier of a 0/1 target.
    :param features: The columns it was fitted on, in the order it was fitted on.
    :param target: The column it predicts.
    :param metrics: What the function measured itself. Kept with the version; it does not decide promotion.
    """

    estimator: Any
    features: Sequence[str]
    target: str
    metrics: Mapping[str, float] | None = None


class Model(Protocol):
    """A model that was opened from its file."""

    @property
    def kind(self) -> Kind:
        """What it predicts."""
        ...

    def score(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """
        Return one score per row, shape (rows,).

        :param rows: The features, in the order of the record.
        :raises ModelError: the library cannot score these rows.
        """
        ...


@dataclass(frozen=True)
class Feature:
    """
    A column that a model reads.

    :param type: Its Arrow type when the model was trained, e.g. `double`.
    """

    name: str
    type: str


@dataclass(frozen=True)
class Window:
    """
    Which rows a model was trained and evaluated on, by the column that split them.

    :param how: How the rows were split, in words.
    :param first: First value of the training rows, ISO 8601 for times. None where rows have no order.
    :param last: Last value of the training rows.
    """

    how: str
    first: str | None = None
    last: str | None = None


@dataclass(frozen=True)
class Lineage:
    """
    Where a version comes from.

    :param data: Version of each table that was read.
    :param code: SHA-256 of the file that holds the training function.
    :param slice: Id of the slice whose run trained it.
    :param order: ISO 8601 UTC time that orders slices.
    """

    pipeline: str
    run_id: str
    slice: str
    order: str
    entrypoint: str
    code: str
    data: Mapping[str, int]
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Candidate:
    """
    A trained model that is about to be registered.

    :param model_format: Name of the format of `content`, see `airflow_wall.models.formats`.
    :param metrics: What the framework measured on the held-out rows.
    :param reported: What the training function measured itself.
    """

    model_format: str
    content: bytes = field(repr=False)
    kind: Kind
    features: tuple[Feature, ...]
    target: str
    metrics: Mapping[str, float]
    rows_trained: int
    rows_held_out: int
    window: Window
    lineage: Lineage
    reported: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """
    One registered version: everything about it but the model itself. It never changes.

    :param version: 1, 2, 3, ... within a model.
    :param file: Name of the model's file, beside the record.
    :param sha256: Of that file; checked before the file is opened.
    :param fingerprint: Equal for two candidates of one run with the same data, code and model.
    :param created: ISO 8601 UTC time.
    """

    name: str
    version: int
    model_format: str
    file: str
    sha256: str
    fingerprint: str
    created: str
    kind: Kind
    features: tuple[Feature, ...]
    target: str
    metrics: Mapping[str, float]
    reported: Mapping[str, float]
    rows_trained: int
    rows_held_out: int
    window: Window
    lineage: Lineage

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Record:
        """The record from what `to_json` gave. Keys it does not know are passed over."""
        known = {name: values[name] for name in cls.__dataclass_fields__}
        known["features"] = tuple(Feature(**feature) for feature in values["features"])
        known["window"] = Window(**values["window"])
        known["lineage"] = Lineage(**values["lineage"])
        return cls(**known)


@dataclass(frozen=True)
class Decision:
    """
    What comparing a challenger with the champion gave.

    :param value: The challenger's metric on the held-out rows.
    :param champion_version: The version it was compared with; None for the first.
    :param champion_value: That version's metric on the same rows; None where it could not score them.
    :param reason: Why, in words.
    """

    promoted: bool
    metric: str
    value: float
    champion_version: int | None
    champion_value: float | None
    reason: str


@dataclass(frozen=True)
class Champion:
    """
    The version that predictions use.

    :param order: The order of the slice that trained it.
    :param decision: The comparison that made it champion.
    """

    version: int
    order: str
    decision: Decision
    promoted: str

    def to_json(self) -> dict[str, Any]:
        """The champion as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Champion:
        """The champion from what `to_json` gave."""
        return cls(values["version"], values["order"], Decision(**values["decision"]), values["promoted"])


class Registry(Protocol):
    """Keeps the versions of models and which of them is the champion. Safe to use from many processes at once."""

    def register(self, name: str, candidate: Candidate) -> Record:
        """Keep a version. The same candidate again gives the version that is there; a kill leaves nothing visible."""
        ...

    def versions(self, name: str) -> list[int]:
        """The versions of a model, ascending; empty where there is no such model."""
        ...

    def record(self, name: str, version: int) -> Record:
        """What is known of a version. Raises ModelError where there is none."""
        ...

    def champion(self, name: str) -> Champion | None:
        """The champion of a model, or None where none was promoted yet."""
        ...

    def promote(
        self, name: str, version: int, decision: Decision, *, expected: int | None, force: bool = False
    ) -> Champion:
        """
        Make `version` the champion if `expected` still is (None: if there is none).

        :param force: Also where the champion was trained on a later slice.
        :raises Interrupted: another version became champion meanwhile.
        :raises ModelError: there is no such version, or it would move the champion back in time.
        """
        ...

    def open(self, name: str, version: int) -> Model:
        """Open a version after its file was found unchanged. Raises ModelError where it was changed or is unsafe."""
        ...


RegistryFactory = Callable[..., Registry]
