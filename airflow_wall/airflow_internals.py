"""
Private parts of Airflow that nothing public replaces, with the reason for each.

The tests of each run on the lowest and the newest Airflow (`make versions`).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator as _Base
else:
    _Base = object

_IS_SENSOR = "_is_sensor"


def is_dag_processor() -> bool:
    """
    Return True if this process parses files for the DAG processor, or for a task.

    Only there does Airflow serialize DAGs one by one. With a DAG that cannot be serialized, `airflow dags reserialize`,
    `dag.test()` or a test of your own fails, or does not notice it.
    """
    # Airflow itself tells its own processes apart in this way.
    return hasattr(sys.modules.get("airflow.sdk.execution_time.task_runner"), "SUPERVISOR_COMMS")


class Reschedulable(_Base):
    """Mixin of operators that may raise `AirflowRescheduleException`. Airflow 3.2 reschedules only sensors."""

    _is_sensor = True

    @classmethod
    def get_serialized_fields(cls) -> frozenset[str]:
        """Return the fields of the task that the scheduler reads."""
        return frozenset(super().get_serialized_fields() | {_IS_SENSOR})  # type: ignore[no-untyped-call]


def mark_reschedulable(mapped: Any, kind: type) -> None:
    """Mark a mapped operator as one that may be rescheduled, if its class is."""
    setattr(mapped, _IS_SENSOR, getattr(mapped, _IS_SENSOR) or issubclass(kind, Reschedulable))
