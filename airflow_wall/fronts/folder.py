"""The loader: a two-line file in `dags/` that turns the YAML files beside it into DAGs."""

from __future__ import annotations

import os
from pathlib import Path

from airflow.configuration import conf
from airflow.sdk import DAG, get_parsing_context

from airflow_wall.compiler.dag import build_dag
from airflow_wall.compiler.plan import plan
from airflow_wall.errors import SpecError
from airflow_wall.loader.discover import yaml_files
from airflow_wall.loader.load import load_specs
from airflow_wall.settings import NAMES, SECTION, Settings


def settings_of_airflow() -> Settings:
    """The settings of section `[wall]` as Airflow has them."""
    return Settings.from_values({name: conf.get(SECTION, name, fallback=None) for name in NAMES}, os.environ)


def load_dags(folder: str | os.PathLike[str], settings: Settings | None = None) -> dict[str, DAG]:
    """
    Build the DAG of every pipeline below a folder, or of one file.

    Use it in a file of the dags folder (the words airflow and dag must stand in it, or Airflow passes it over)::

        from airflow_wall import load_dags
        globals().update(load_dags(__file__))

    When Airflow parses the file to run one task, only that DAG is built.

    :param folder: A folder, a YAML file, or the Python file whose folder is meant.
    :param settings: By default those of Airflow's configuration.
    :return: DAG id to DAG.
    :raises SpecError: with the faults of every file that has any.
    """
    path = Path(folder)
    path = path.parent if path.suffix == ".py" else path
    settings = settings or settings_of_airflow()
    wanted = get_parsing_context().dag_id
    dags: dict[str, DAG] = {}
    places: dict[str, Path] = {}
    faults: list[str] = []
    for file in yaml_files(path):
        try:
            for spec in load_specs(file, settings):
                dag_id = spec.head.dag_id
                if dag_id in places:
                    raise SpecError(
                        f"error: {file}: `dag_id` is `{dag_id}`, which {places[dag_id]} has too",
                        hint="give one of them another id",
                    )
                places[dag_id] = file
                if wanted is None or dag_id == wanted:
                    dags[dag_id] = build_dag(plan(spec, settings))
        except SpecError as error:
            faults.append(str(error))
    if faults and wanted not in dags:
        raise SpecError("\n\n".join(faults))
    return dags
