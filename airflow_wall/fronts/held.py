"""A DAG that starts no run, for the runs that are under way."""

from __future__ import annotations

from airflow.sdk import DAG

NOTICE = """\
> **No new run starts.** The file of this pipeline has faults, see Import Errors. Runs under way go on with what you see
> here, which is how it last was without.

"""


def held(dag: DAG) -> DAG:
    """
    The same DAG, of which Airflow begins no run, and goes on with the runs there are.

    Without a schedule neither a date nor an asset begins one; a run by hand, by another DAG, or of a new backfill is
    refused. A paused or stale DAG would not do: Airflow then schedules no task of it, clean-up included.
    """
    without = DAG("without_schedule", schedule=None)
    # Not by assignment: Airflow insists that a DAG without a schedule can be run by hand.
    vars(dag).update(
        schedule=None,
        timetable=without.timetable,
        allowed_run_types=frozenset({"scheduled"}),
        doc_md=NOTICE + (dag.doc_md or ""),
    )
    return dag
