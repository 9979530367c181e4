"""The check `training_drift`: values are distributed as in the rows that the champion was trained on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

from pydantic import Field

from airflow_wall.checks.base import Check, CheckOutcome, ColumnNames, number
from airflow_wall.checks.data import Data, TrainedFeature, Unanswerable
from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.text.kinds import ModelName, Plain


class TrainingDrift(Check):
    """
    The features of a model are distributed as in the rows that its champion was trained on.

    The measure is the population stability index, over ten bins of equal weight (numbers) or over the values (text and
    booleans). As in [`drift`](#drift), a difference counts only if equal distributions would rarely show it. While the
    model has no champion, the check passes. The report has a result for each feature.
    """

    kind: ClassVar[str] = "training_drift"

    model: ModelName[str] = Field(min_length=1, description="The model.")
    columns: ColumnNames | None = Field(None, description="Some of its features; by default all of them.")
    max_psi: Plain[float] = Field(0.25, gt=0, description="Largest population stability index.")
    min_rows: Plain[int] = Field(50, ge=2, description="With fewer values here or in training, the check passes.")
    external: Plain[bool] = Field(False, description="If true, a pipeline of another folder trains the model.")

    def subject(self) -> str:
        """See `Check.subject`."""
        return self.model if self.columns is None else f"{', '.join(self.columns)} from {self.model}"

    def models(self) -> Mapping[str, bool]:
        """See `Check.models`."""
        return {self.model: self.external}

    def reads(self) -> Sequence[str] | None:
        """See `Check.reads`."""
        return self.columns

    def split(self, data: Data) -> Iterable[Self]:
        """Return a check for each feature."""
        names = self.columns or list(data.reader.training(self.model) or ())
        return tuple(self.part(name, columns=[name]) for name in names) or (self,)

    def run(self, data: Data) -> CheckOutcome:
        """See `Check.run`."""
        from airflow_wall.checks import spread  # its imports are needed only to run the check

        expected = f"PSI at most {self.max_psi:g}"
        trained = data.reader.training(self.model)
        if trained is None:
            return CheckOutcome(True, "no champion yet", expected)
        if not trained:
            return CheckOutcome(True, "unknown", expected, "the champion's record has no distributions: run retrain")
        (name,) = self.columns or ("",)
        if name not in trained:
            raise Unanswerable(f"`{name}` has no distribution in training", f"those with one are {listed(trained)}")
        here, before = _histograms(data, name, trained[name])
        sizes = f"{number(int(here.sum()))} values against {number(int(before.sum()))} in training"
        if min(here.sum(), before.sum()) < self.min_rows:
            return CheckOutcome(True, "too few rows", expected, f"{sizes}; needs {number(self.min_rows)} each")
        psi, chance = spread.histogram_index(*spread.without_empty(here, before))
        passed = psi <= self.max_psi or chance >= spread.CHANCE
        return CheckOutcome(passed, f"PSI {psi:.3g} (p {chance:.2g})", expected, sizes, score=psi)


def _histograms(data: Data, name: str, feature: TrainedFeature) -> tuple[Any, Any]:
    import numpy as np

    from airflow_wall.checks import spread

    before = np.array(feature.counts, dtype=np.float64)
    if feature.texts is None:
        return spread.rows_per_bin(data, data.finite(name), feature.edges), before
    if (kind := data.type_of(name)) not in ("text", "boolean"):
        raise Unanswerable(f"`{name}` is {kind}, and was text or boolean in training")
    return spread.rows_per_text(data, name, feature.texts), before
