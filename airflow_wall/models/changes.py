"""Compare the rows of a retrain with those that the champion was trained on, and the held-out rows with the others."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.errors import ModelError
from airflow_wall.models.base import FeatureSummary, ModelRecord
from airflow_wall.models.feature_values import CountValues, check_values, is_lost
from airflow_wall.models.features import check_fit
from airflow_wall.models.holdout import Split


@dataclass(frozen=True)
class Changes:
    """
    The comparison of rows with those that a champion was trained on.

    :param key: The input.
    :param new_categories: Share of the values of a text feature that may be new.
    :param accepted: Features that may differ.
    """

    parts: Split
    key: str
    new_categories: float
    accepted: Sequence[str]

    def check(self, champion: ModelRecord, names: Collection[str] | None = None) -> None:
        """
        Check the training rows and the held-out rows: a feature may have broken only recently.

        :param names: Those of the champion's features to check; None for all.
        :raises ModelError: a feature is missing, has another type, only nulls or too many new categories.
        """
        features = tuple(feature for feature in champion.features if names is None or feature.name in names)
        record = replace(champion, features=features)
        checked = {feature.name for feature in features}
        training = {name: summary for name, summary in champion.training.items() if name in checked}
        for rows, which in ((self.parts.training[self.key], "training"), (self.parts.held_out, "held-out")):
            where = f"the set of {which} rows of `inputs.{self.key}`"
            share = 1.0 if which == "held-out" and self.parts.by_group else self.new_categories
            try:
                check_fit(record, rows.schema, where, self.accepted)
                check_values(record, CountValues(training)([rows]), where, share, self.accepted)
            except ModelError as error:
                hint = f"{error.hint}; if the change is meant, name the feature in `accept_changes`"
                raise ModelError(error.message, hint=hint) from None

    def check_held_out(self, training: Mapping[str, FeatureSummary]) -> None:
        """
        Check that the held-out rows have values of features that have some in the training rows.

        :param training: Feature -> its distribution in the training rows.
        :raises ModelError: they do not.
        """
        (counts,) = CountValues(training)([self.parts.held_out])
        lost = [
            row["feature"]
            for row in counts.to_pylist()
            if is_lost(row, training[row["feature"]]) and row["feature"] not in self.accepted
        ]
        if lost:
            raise ModelError(
                f"the set of held-out rows of `inputs.{self.key}` has only nulls in {listed(lost)}, which has values "
                "in the training rows",
                hint="correct the step that writes the column, train a model without this feature, or change `holdout`",
            )
