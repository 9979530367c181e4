"""
The result of a training function, the records of the registry, and the protocols of a model and of a registry.

This module imports nothing heavy, so that a user's module can import `Trained` anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from airflow_wall.models.decisions import DecisionRecord

Kind = Literal["regression", "binary", "classes", "several"]
"""
The kind of prediction: a number, the probability that a 0/1 target is 1, one of several classes, or several targets.
"""

Class = str | int
"""A class: a text or a whole number."""


@dataclass(frozen=True)
class Trained:
    """
    The result of a training function.

    :param estimator: A fitted regressor or classifier of scikit-learn, LightGBM, XGBoost or CatBoost, or a model of
        your own.
    :param features: The columns it was fitted on, in that order.
    :param target: The column it predicts, or the columns, in the order of the estimator.
    :param metrics: Metrics measured by the function itself. They are stored with the version and do not decide
        promotion.
    """

    estimator: Any
    features: Sequence[str]
    target: str | Sequence[str]
    metrics: Mapping[str, float] | None = None

    @property
    def targets(self) -> tuple[str, ...]:
        """The columns it predicts."""
        return (self.target,) if isinstance(self.target, str) else tuple(self.target)

    def __post_init__(self) -> None:
        if not isinstance(self.features, str | list) and isinstance(self.features, Iterable):
            object.__setattr__(self, "features", list(self.features))  # of a pandas Index or an array, too


@dataclass(frozen=True)
class OwnCode:
    """
    The user's own code that a model may use when it is saved or opened. A model's file or record never chooses it.

    :param code: The pipeline's directory; None for none.
    :param types: The classes and functions in it that may be part of a model: patterns such as `models.*`.
    :param load: The function that opens a model that was saved by a function of the user's own, `module:function`.
    :param save: The function that saves it.
    """

    code: Path | None = None
    types: tuple[str, ...] = ()
    load: str | None = None
    save: str | None = None


NO_OWN_CODE = OwnCode()


class Output(Protocol):
    """The prediction of one target, or of several ones."""

    @property
    def kind(self) -> Kind:
        """The kind of prediction."""
        ...

    @property
    def classes(self) -> tuple[Class, ...]:
        """The classes of the kind `classes`, in the order of the scores; empty for other kinds."""
        ...

    @property
    def has_probabilities(self) -> bool:
        """False for a classifier that only names a class."""
        ...


@dataclass(frozen=True)
class TargetOutput:
    """The prediction of one of several targets, see `Output`."""

    target: str
    kind: Kind
    classes: tuple[Class, ...] = ()
    has_probabilities: bool = True

    @property
    def width(self) -> int:
        """The number of its columns in the scores of the model."""
        return len(self.classes) if self.kind == "classes" else 1


class Model(Output, Protocol):
    """A model loaded from its file."""

    @property
    def parts(self) -> tuple[TargetOutput, ...]:
        """The targets of the kind `several`; empty for other kinds."""
        ...

    def score(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """
        Return one score per row, shape (rows,); for the kind `classes` the probability of each class, shape (rows,
        classes). A classifier without probabilities gives 1 to the class that it names. For the kind `several`, the
        columns of all parts stand beside each other.

        :param rows: The features, in the order of the record.
        :raises ModelError: the library cannot score these rows.
        """
        ...


@dataclass(frozen=True)
class Feature:
    """
    A column that a model reads.

    :param type: Its Arrow type at training time, e.g. `double`.
    """

    name: str
    type: str


@dataclass(frozen=True)
class FeatureSummary:
    """
    The distribution of a feature in the training rows.

    :param counts: Rows per bin of numbers, or per text, and last those of all other texts.
    :param edges: Edges between the bins. The first and the last bin are open.
    :param texts: The most frequent texts; None for numbers.
    :param nulls: Rows without a value; 0 in records of older versions.
    """

    counts: tuple[int, ...]
    edges: tuple[float, ...] = ()
    texts: tuple[str, ...] | None = None
    nulls: int = 0

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> FeatureSummary:
        """Return the summary from the JSON values of a record."""
        texts = values["texts"]
        texts = None if texts is None else tuple(texts)
        return cls(tuple(values["counts"]), tuple(values["edges"]), texts, values.get("nulls", 0))


@dataclass(frozen=True)
class Window:
    """
    The rows that a model was trained and evaluated on, by the column that split them.

    :param how: The split in words.
    :param first: First value of the training rows, ISO 8601 for times. None if the rows have no order.
    :param last: Last value of the training rows.
    """

    how: str
    first: str | None = None
    last: str | None = None


@dataclass(frozen=True)
class Segments:
    """
    The metric that decides, for each value of a column of the held-out rows.

    :param by: The column.
    :param metric: The metric.
    :param rows: Value of the column, as text -> its number of held-out rows. The values with most rows come first.
    :param values: Value of the column -> the metric, if it is defined for these rows.
    """

    by: str
    metric: str
    rows: Mapping[str, int]
    values: Mapping[str, float]


@dataclass(frozen=True)
class ModelLineage:
    """
    The origin of a version.

    :param data: Version of each table that was read.
    :param code: SHA-256 of the file with the training function.
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
    A trained model before its registration.

    :param model_format: Name of the format of `content`, see `airflow_wall.models.formats`.
    :param metrics: Metrics measured by the framework on the held-out rows.
    :param reported: Metrics measured by the training function itself.
    :param training: Feature -> its distribution in the training rows.
    :param target: The column that it predicts; several ones are separated by commas.
    :param classes: The classes of the kind `classes`, see `Output`.
    :param parts: The targets of the kind `several`, see `Model`.
    :param segments: The metric for each value of a column, if the pipeline asks for it.
    :param types: The classes and functions in the model's file.
    :param libraries: Package -> the version that it was trained with, and `python`.
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
    lineage: ModelLineage
    reported: Mapping[str, float] = field(default_factory=dict)
    training: Mapping[str, FeatureSummary] = field(default_factory=dict)
    classes: tuple[Class, ...] = ()
    has_probabilities: bool = True
    segments: Segments | None = None
    types: tuple[str, ...] = ()
    libraries: Mapping[str, str] = field(default_factory=dict)
    parts: tuple[TargetOutput, ...] = ()


@dataclass(frozen=True)
class ModelRecord:
    """
    The metadata of one registered version. It never changes.

    :param version: 1, 2, 3, ... within a model.
    :param file: Name of the model's file, beside the record.
    :param sha256: Digest of that file, verified before the file is opened.
    :param fingerprint: Equal for two candidates of one run with the same data, code and model.
    :param created: ISO 8601 UTC time.
    :param training: Feature -> its distribution in the training rows; empty in records of older versions.
    :param classes: The classes of the kind `classes`, see `Output`.
    :param parts: The targets of the kind `several`, see `Model`.
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
    lineage: ModelLineage
    training: Mapping[str, FeatureSummary] = field(default_factory=dict)
    classes: tuple[Class, ...] = ()
    has_probabilities: bool = True
    segments: Segments | None = None
    types: tuple[str, ...] = ()
    libraries: Mapping[str, str] = field(default_factory=dict)
    parts: tuple[TargetOutput, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ModelRecord:
        """Return the record from the result of `to_json`. Unknown keys are ignored."""
        added = (
            "training",
            "classes",
            "has_probabilities",
            "segments",
            "types",
            "libraries",
            "parts",
        )  # records of older versions lack them
        fields = {name: values[name] for name in cls.__dataclass_fields__ if name not in added}
        training = values.get("training", {})
        fields["classes"] = tuple(values.get("classes", ()))
        fields["has_probabilities"] = values.get("has_probabilities", True)
        segments = values.get("segments")
        fields["types"] = tuple(values.get("types", ()))
        fields["libraries"] = values.get("libraries", {})
        fields["parts"] = tuple(
            TargetOutput(**part | {"classes": tuple(part["classes"])}) for part in values.get("parts", ())
        )
        fields["segments"] = None if segments is None else Segments(**segments)
        fields["training"] = {name: FeatureSummary.from_json(summary) for name, summary in training.items()}
        fields["features"] = tuple(Feature(**feature) for feature in values["features"])
        fields["window"] = Window(**values["window"])
        fields["lineage"] = ModelLineage(**values["lineage"])
        return cls(**fields)


@dataclass(frozen=True)
class Decision:
    """
    The result of the comparison of a challenger with the champion.

    :param value: The challenger's metric on the held-out rows.
    :param champion_version: The version it was compared with; None for the first.
    :param champion_value: That version's metric on the same rows; None if it could not score them.
    :param reason: The reason in words.
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
    :param event: How it became champion, see `airflow_wall.models.decisions`.
    """

    version: int
    order: str
    decision: Decision
    promoted: str
    event: str = "promoted"

    def to_json(self) -> dict[str, Any]:
        """Return the champion as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Champion:
        """Return the champion from the result of `to_json`."""
        decision, event = Decision(**values["decision"]), values.get("event", "promoted")
        return cls(values["version"], values["order"], decision, values["promoted"], event)


class Registry(Protocol):
    """Store the versions of models and the champion of each. Safe for concurrent use by many processes."""

    def register(self, name: str, candidate: Candidate) -> ModelRecord:
        """
        Store a candidate and return its version.

        An equal candidate returns the existing version. A call that is killed leaves nothing visible.
        """
        ...

    def versions(self, name: str) -> list[int]:
        """Return the versions of a model in ascending order, or [] if the model does not exist."""
        ...

    def record(self, name: str, version: int) -> ModelRecord:
        """
        Return the record of a version.

        :raises ModelError: the version does not exist.
        """
        ...

    def champion(self, name: str) -> Champion | None:
        """Return the champion of a model, or None if no version has been promoted."""
        ...

    def names(self) -> list[str]:
        """Return the sorted names of the models."""
        ...

    def decisions(self, name: str) -> list[DecisionRecord]:
        """Return the decisions about a model in the order of time, also those that rejected a version."""
        ...

    def reject(self, name: str, version: int, decision: Decision) -> None:
        """Record that a version was compared with the champion and not promoted."""
        ...

    def verify(self, name: str, version: int) -> None:
        """
        Check that the file of a version is the one that was registered.

        :raises ModelError: it is not, or cannot be read.
        """
        ...

    def promote(
        self,
        name: str,
        version: int,
        decision: Decision,
        *,
        expected: int | None,
        force: bool = False,
        event: str = "promoted",
    ) -> Champion:
        """
        Make `version` the champion if `expected` is still the current one (None: if the model has no champion).

        :param force: Promote even if the champion was trained on a later slice.
        :param event: How it becomes champion, for the record of decisions.
        :raises Interrupted: another version has become champion.
        :raises ModelError: the version does not exist, or would move the champion back in time.
        """
        ...

    def open(self, name: str, version: int, own: OwnCode = NO_OWN_CODE) -> Model:
        """
        Verify the file of a version and load the model.

        :param own: The user's code that it may use.
        :raises ModelError: the file was changed or is unsafe to load.
        """
        ...


RegistryFactory = Callable[..., Registry]
