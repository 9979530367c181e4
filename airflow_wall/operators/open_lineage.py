"""
The inputs and outputs of a step, as the OpenLineage provider of Airflow reports them.

The provider calls the operators; without it, this module is not imported.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import metadata
from typing import TYPE_CHECKING, Any

from airflow.providers.openlineage.extractors import OperatorLineage
from attr import define
from openlineage.client.event_v2 import InputDataset, OutputDataset
from openlineage.client.facet_v2 import (
    DatasetFacet,
    OutputDatasetFacet,
    column_lineage_dataset,
    data_quality_assertions_dataset,
    dataset_version_dataset,
    documentation_dataset,
    output_statistics_output_dataset,
    ownership_dataset,
    schema_dataset,
    sql_job,
)

from airflow_wall.connections.dataset_names import DatasetName, name_of_uri
from airflow_wall.connections.info import Connections
from airflow_wall.engines.duckdb.column_sources import column_sources
from airflow_wall.errors import WallError
from airflow_wall.job import Job
from airflow_wall.publish.backends import parse_target
from airflow_wall.sources.backends import parse_source
from airflow_wall.sources.kinds.base import SourceSite
from airflow_wall.storage.backends import open_tables
from airflow_wall.storage.contract import Contracts

if TYPE_CHECKING:
    import pyarrow as pa


@define
class ModelDatasetFacet(DatasetFacet):
    """A version of a model: its metric, and the decision about it."""

    metric: str | None = None
    value: float | None = None
    promoted: bool | None = None
    reason: str | None = None
    championVersion: int | None = None  # noqa: N815  OpenLineage's style
    championValue: float | None = None  # noqa: N815
    rowsTrained: int | None = None  # noqa: N815

    @staticmethod
    def _get_schema() -> str:
        addresses = metadata("airflow-wall").get_all("Project-URL") or ["Repository, "]
        return f"{addresses[0].partition(', ')[2]}/blob/main/docs/guides/lineage.md#the-facet-of-a-model"


def lineage_of(job: Job, result: Mapping[str, Any], connections: Connections) -> OperatorLineage[Any, Any]:
    """
    Return the inputs and outputs of a job that has ended.

    :param result: Its result, or the facts of a check that failed.
    :param connections: Returns an Airflow connection by id.
    """
    lineage = _Lineage(job, result, connections)
    sql = job.arguments.get("sql")
    return OperatorLineage(
        inputs=list(lineage.inputs()),
        outputs=list(lineage.outputs()),
        job_facets={"sql": sql_job.SQLJobFacet(query=sql)} if isinstance(sql, str) else {},
    )


def merged(parts: Iterable[OperatorLineage[Any, Any]]) -> OperatorLineage[Any, Any]:
    """Return the inputs and outputs of several jobs, each once."""
    inputs: dict[tuple[str, str], Any] = {}
    outputs: dict[tuple[str, str], Any] = {}
    facets: dict[str, Any] = {}
    for part in parts:
        inputs |= {(dataset.namespace, dataset.name): dataset for dataset in part.inputs}
        outputs |= {(dataset.namespace, dataset.name): dataset for dataset in part.outputs}
        facets |= part.job_facets
    return OperatorLineage(inputs=[*inputs.values()], outputs=[*outputs.values()], job_facets=facets)


class _Lineage:
    """The datasets of one job, by the names that the arguments of all jobs have. Each table is read once."""

    def __init__(self, job: Job, result: Mapping[str, Any], connections: Connections) -> None:
        self.job = job
        self.result = result
        self.connections = connections
        self.tables = open_tables(job.run.storage)
        self.contracts = Contracts(job.run.storage)
        self._schema = functools.cache(self._read_schema)
        self._about = functools.cache(self._read_about)

    def inputs(self) -> Iterator[InputDataset]:
        arguments = self.job.arguments
        if isinstance(arguments.get("source"), str):
            site = SourceSite(self.job.run, self.connections)
            yield InputDataset(*parse_source(arguments["source"]).dataset(site))
        for names in self._tables_by_input().values():
            for name in names:
                yield InputDataset(*self._name(name), facets=self._facets(name))
        for name in self._matching(arguments.get("table")):
            facets: dict[str, Any] = {"dataQualityAssertions": self._assertions()} if "checks" in self.result else {}
            yield InputDataset(*self._name(name), facets=self._facets(name), inputFacets=facets)
        if isinstance(arguments.get("model"), str) and "promoted" not in self.result:
            yield InputDataset(*self._model(arguments["model"]), facets=_version(self.result.get("model_version")))

    def outputs(self) -> Iterator[OutputDataset]:
        arguments, result = self.job.arguments, self.result
        rows: Any = result.get("rows")
        written = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=rows)
        counted: dict[str, OutputDatasetFacet] = {} if rows is None else {"outputStatistics": written}
        if isinstance(arguments.get("target"), str):
            name = arguments["target"]
            facets = {**self._facets(name), **_version(result.get("version")), **self._column_lineage(name)}
            yield OutputDataset(*self._name(name), facets=facets, outputFacets=counted)
        if isinstance(arguments.get("to"), str):
            target = parse_target(arguments["to"]).dataset(self.job.run, self.connections)
            yield OutputDataset(*target, facets=self._fields(arguments["table"]), outputFacets=counted)
        if "promoted" in result:
            facets = {**_version(result.get("version")), "wall_model": _model_facet(result)}
            yield OutputDataset(*self._model(result["model"]), facets=facets)

    def _tables_by_input(self) -> dict[str, list[str]]:
        inputs = self.job.arguments.get("inputs")
        return {} if not isinstance(inputs, Mapping) else {key: self._matching(name) for key, name in inputs.items()}

    def _matching(self, pattern: Any) -> list[str]:
        """Return the tables that match a name or a pattern, without those that do not exist."""
        try:
            return self.tables.names(pattern) if isinstance(pattern, str) else []
        except WallError:
            return []

    def _name(self, table: str) -> DatasetName:
        return name_of_uri(self.job.run.storage.uri(table))

    def _model(self, model: str) -> DatasetName:
        lake = self.job.run.storage
        return name_of_uri(lake.uri(lake.state_key("models", model)))

    def _read_schema(self, table: str) -> pa.Schema | None:
        return self.tables.schema(table) if self.tables.exists(table) else None

    def _fields(self, table: str) -> dict[str, DatasetFacet]:
        """Return the facet of the columns of a table, with the descriptions in its contract."""
        schema = self._schema(table)
        if schema is None:
            return {}
        described = self._about(table).get("columns", {})
        fields = [
            schema_dataset.SchemaDatasetFacetFields(
                name=column.name, type=str(column.type), description=described.get(column.name, {}).get("description")
            )
            for column in schema
        ]
        return {"schema": schema_dataset.SchemaDatasetFacet(fields=fields)}

    def _facets(self, table: str) -> dict[str, DatasetFacet]:
        facets, about = self._fields(table), self._about(table)
        if about.get("description"):
            facets["documentation"] = documentation_dataset.DocumentationDatasetFacet(description=about["description"])
        if about.get("owner"):
            owners = [ownership_dataset.Owner(name=about["owner"])]
            facets["ownership"] = ownership_dataset.OwnershipDatasetFacet(owners=owners)
        return facets

    def _read_about(self, table: str) -> Mapping[str, Any]:
        recorded = self.contracts.read(table)
        return {} if recorded is None else recorded[0].about

    def _assertions(self) -> data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet:
        passed = [
            data_quality_assertions_dataset.Assertion(assertion=name, success=True)
            for name in self.result.get("passed_checks", ())
        ]
        others = [
            data_quality_assertions_dataset.Assertion(
                assertion=check["name"],
                success=False,
                severity="warn" if check["status"] == "warn" else "error",
                expected=str(check["expected"]),
                actual=str(check["observed"]),
            )
            for check in self.result["checks"]
        ]
        return data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(assertions=[*others, *passed])

    def _column_lineage(self, target: str) -> dict[str, DatasetFacet]:
        """Return the columns that each column of the target is computed from, if its SQL shows them."""
        sql, schema = self.job.arguments.get("sql"), self._schema(target)
        if not isinstance(sql, str) or schema is None:
            return {}
        inputs = self._tables_by_input()
        columns = {name: [*dict.fromkeys(self._columns(tables))] for name, tables in inputs.items()}
        sources = column_sources(sql, columns, schema.names)
        fields = {
            column: column_lineage_dataset.Fields(
                inputFields=[
                    column_lineage_dataset.InputField(*self._name(table), field=source)
                    for name, source in named
                    for table in inputs[name]
                ]
            )
            for column, named in sources.items()
        }
        return {"columnLineage": column_lineage_dataset.ColumnLineageDatasetFacet(fields=fields)} if fields else {}

    def _columns(self, tables: list[str]) -> Iterator[str]:
        for table in tables:
            schema = self._schema(table)
            yield from () if schema is None else schema.names


def _version(version: Any) -> dict[str, DatasetFacet]:
    if version is None:
        return {}
    return {"version": dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=str(version))}


def _model_facet(result: Mapping[str, Any]) -> ModelDatasetFacet:
    return ModelDatasetFacet(
        metric=result.get("metric"),
        value=result.get("value"),
        promoted=result.get("promoted"),
        reason=result.get("reason"),
        championVersion=result.get("champion_version"),
        championValue=result.get("champion_value"),
        rowsTrained=result.get("rows_trained"),
    )
