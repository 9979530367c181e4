"""Every step by the name that `uses` knows it by."""

from __future__ import annotations

from airflow_wall.spec.steps.base import Step
from airflow_wall.spec.steps.cluster import GetCredentials, ReapClusters, StartCluster, StopCluster
from airflow_wall.spec.steps.data import CheckIntegrity, CheckNewData, Ingest, Transform
from airflow_wall.spec.steps.model import Predict, Retrain
from airflow_wall.spec.steps.release import Index, Persist, Publish, StartSender, StopSender, Submit

STEPS: dict[str, type[Step]] = {
    "check_new_data": CheckNewData,
    "get_credentials": GetCredentials,
    "start_cluster": StartCluster,
    "ingest": Ingest,
    "transform": Transform,
    "retrain": Retrain,
    "predict": Predict,
    "stop_cluster": StopCluster,
    "check_integrity": CheckIntegrity,
    "start_sender": StartSender,
    "persist": Persist,
    "index": Index,
    "submit": Submit,
    "stop_sender": StopSender,
    "publish": Publish,
    "reap_clusters": ReapClusters,
}

CLOSERS = {step.task_fields[step.closes]: name for name, step in STEPS.items() if step.closes}
"""A step that opens something to the step that closes it."""
