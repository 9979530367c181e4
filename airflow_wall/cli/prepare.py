"""
Prepare Airflow for a run: the metadata database with the DAG, and imports that let processes start quickly.

The database is prepared in a process of its own, because building the Execution API takes as long as everything else.
"""

from __future__ import annotations

import gc
import multiprocessing
from collections.abc import Collection
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
from airflow.models.dagbag import DBDagBag
from airflow.serialization.definitions.dag import SerializedDAG
from sqlalchemy.orm import Session

from airflow_wall.cli.children import in_new_process, warm_up
from airflow_wall.cli.home import BUNDLE, Home
from airflow_wall.cli.metadata import new_session, prepare_database, refuse_neighbour
from airflow_wall.errors import WallError
from airflow_wall.planner.plan import Plan


@dataclass(frozen=True)
class Prepared:
    """
    A pipeline that is ready to run.

    :param home: Airflow's home, with all state.
    :param stub: The file in the bundle that loads the DAG.
    :param plan: The pipeline.
    :param dag: The DAG from the metadata database.
    :param session: A session of that database.
    """

    home: Home
    stub: Path
    plan: Plan
    dag: SerializedDAG
    session: Session


def prepare(home: Home, stub: Path, plan: Plan, preload: Collection[str]) -> Prepared:
    """
    Prepare a pipeline to run. The environment variables for `home` must be set.

    :param preload: Kinds of jobs that run in the tasks' own processes.
    :raises DeploymentError: another Airflow works on the same database.
    :raises WallError: the DAG cannot be built.
    """
    # This process has no other thread and no open connection yet, so it may fork.
    forking = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(max_workers=1, mp_context=forking, initializer=in_new_process) as second:
        registered = second.submit(_register, home, stub, plan.dag_id)
        warm_up(preload)
        registered.result()
    session = new_session()
    dag = DBDagBag().get_latest_version_of_dag(plan.dag_id, session=session)
    if dag is None:
        raise WallError(f"DAG `{plan.dag_id}` did not reach Airflow's database", hint=f"see the log `{home.console}`")
    # All current objects are used until the end, so the garbage collector can skip them, also in child processes.
    gc.freeze()
    return Prepared(home, stub, plan, dag, session)


def _register(home: Home, stub: Path, dag_id: str) -> None:
    """Write the bundle and its DAGs into the metadata database."""
    prepare_database()
    with new_session() as session:
        refuse_neighbour(session, home.path, dag_id)
        manager = DagBundlesManager()
        manager.sync_bundles_to_db(session=session)
        session.commit()
    bundle = manager.get_bundle(BUNDLE)
    bag = BundleDagBag(dag_folder=stub, bundle_path=bundle.path, bundle_name=BUNDLE)
    if bag.import_errors:
        raise WallError("\n".join(bag.import_errors.values()))
    sync_bag_to_db(bag, BUNDLE, bundle.version)
