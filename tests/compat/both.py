"""One document, built by us and by Airflow's own importer, as plain data that can be compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import DagBag  # noqa: F401  # loads what serialization needs
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from airflow_wall.fronts.folder import build
from airflow_wall.settings import Settings

VOLATILE = ("fileloc", "relative_fileloc", "bundle_name", "_processor_dags_folder")
"""Fields of a serialized DAG that say where it came from."""

Built = dict[str, Any] | str
"""DAG id to the DAG as plain data; or why there is none."""


def by_us(path: Path) -> Built:
    dags, faults = build([path], Settings(), None)
    if faults:
        return "\n\n".join(faults.values())
    try:
        return {dag_id: plain(dag) for dag_id, dag in dags.items()}
    except Exception as error:  # it cannot be serialized
        return f"{type(error).__name__}: {error}"


def by_airflow(path: Path) -> Built:
    from airflow.dag_processing.bundles.local import LocalDagBundle
    from airflow.sdk.importers.base import FilesystemDagDefinition
    from airflow.sdk.importers.yaml_importer import YamlDagImporter

    bundle = LocalDagBundle(name="compat", path=str(path.parent))
    try:
        result = YamlDagImporter().import_definition(FilesystemDagDefinition(path), bundle)
        if result.errors:
            return "\n".join(error.message for error in result.errors)
        return {dag.dag_id: plain(dag) for dag in result.dags}
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def plain(dag: DAG) -> Any:
    dag.validate()
    dag.check_cycle()
    made = DagSerialization.to_dict(dag)
    for name in VOLATILE:
        made["dag"].pop(name, None)
    made["dag"]["tasks"] = {each["__var"]["task_id"]: each for each in made["dag"]["tasks"]}
    return json.loads(json.dumps(made, sort_keys=True))
