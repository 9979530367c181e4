"""Read tables and models of a lake in a notebook or a script, without Airflow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from airflow_wall.connections.environment import connection_of_environment
from airflow_wall.errors import DataError, ModelError
from airflow_wall.lake.lake import Lake, address_of
from airflow_wall.models.backends import open_registry
from airflow_wall.models.base import NO_OWN_CODE, Model, ModelRecord, OwnCode
from airflow_wall.models.feature_values import CountValues, check_values
from airflow_wall.models.features import check_fit, to_frame
from airflow_wall.models.name import check_model_name
from airflow_wall.models.outputs import scored_columns
from airflow_wall.settings import DEFAULT_STORAGE
from airflow_wall.storage.backends import open_tables

if TYPE_CHECKING:
    import pandas as pd

_CHAMPION = "champion"


def read_table(
    table: str,
    *,
    storage: str | Path = DEFAULT_STORAGE,
    slices: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    where: str | None = None,
) -> pd.DataFrame:
    """
    Return the rows of a table, as a step that reads the whole table sees them.

    :param table: Its name, e.g. `gold/scores`.
    :param storage: The lake, as `storage` of the pipeline names it; relative paths are below the present folder.
    :param slices: Only rows of these slices, e.g. `["20130701T000000Z"]`.
    :param columns: Only these columns.
    :param where: A SQL condition, e.g. `score > 0.5`.
    :raises DataError: the lake, the table or a column does not exist.
    """
    rows = open_tables(_lake(storage)).read(table, slices=slices, columns=columns, where=where)
    return to_frame(rows)


@dataclass(frozen=True)
class LoadedModel:
    """
    A version of a model.

    :param record: Its metadata: features, target, metrics, and the run that trained it.
    """

    record: ModelRecord
    model: Model

    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        """
        Return the columns that the step `predict` adds: `score`, or `label` and the probability of each class.

        :param rows: The features, and any other columns.
        :raises ModelError: the rows do not fit the model.
        """
        table = pa.Table.from_pandas(rows, preserve_index=False)
        check_fit(self.record, table.schema, "the DataFrame")
        check_values(self.record, CountValues(self.record.training)([table]), "the DataFrame")
        return scored_columns(self.model, self.record, table).to_pandas().set_index(rows.index)

    def __repr__(self) -> str:
        return f"<{self.record.name} version {self.record.version}: {self.record.kind} of {self.record.target}>"


def load_model(
    name: str, *, storage: str | Path = DEFAULT_STORAGE, code: str | Path | None = None, load: str | None = None
) -> LoadedModel:
    """
    Return a version of a model: its champion, `NAME` or `NAME@champion`, or another one, `NAME@3`.

    :param storage: The lake, as `storage` of the pipeline names it; relative paths are below the present folder.
    :param code: The folder of the pipeline, if classes or functions of your own are part of the model.
    :param load: The function that opens a model that `save` of `retrain` saved, e.g. `models.own:load`.
    :raises DataError: the lake does not exist.
    :raises ModelError: the model or the version does not exist, or the file is not the one that was registered.
    """
    model, _, version = name.partition("@")
    check_model_name(model)
    registry = open_registry(_lake(storage))
    if version in ("", _CHAMPION):
        champion = registry.champion(model)
        if champion is None:
            versions = registry.versions(model)
            raise ModelError(
                f"model `{model}` has no champion",
                hint=f"name a version: `{model}@{versions[-1]}`" if versions else "run its `retrain` first",
            )
        number = champion.version
    elif version.isdecimal():
        number = int(version)
    else:
        raise ModelError(
            f"`{name}` must name a version or `champion` after `@`", hint=f"write `{model}@champion` or `{model}@3`"
        )
    own = NO_OWN_CODE if code is None else OwnCode(Path(code).absolute(), ("*",), load)
    return LoadedModel(registry.record(model, number), registry.open(model, number, own))


def _lake(storage: str | Path) -> Lake:
    lake = Lake(address_of(str(storage), Path.cwd()), connection_of_environment)
    if not lake.exists():
        raise DataError(
            f"there is no lake `{lake}`", hint="name the folder of `storage` of the pipeline: `storage=...`"
        )
    return lake
