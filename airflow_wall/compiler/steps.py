"""Every step by the name that `uses` knows it by, and the operator that does it."""

from __future__ import annotations

from airflow_wall.operators.base import StepOperator
from airflow_wall.operators.check_integrity import CheckIntegrityOperator
from airflow_wall.operators.check_new_data import CheckNewDataOperator
from airflow_wall.operators.get_credentials import GetCredentialsOperator
from airflow_wall.operators.index import IndexOperator
from airflow_wall.operators.ingest import IngestOperator
from airflow_wall.operators.persist import PersistOperator
from airflow_wall.operators.predict import PredictOperator
from airflow_wall.operators.publish import PublishOperator
from airflow_wall.operators.reap_clusters import ReapClustersOperator
from airflow_wall.operators.retrain import RetrainOperator
from airflow_wall.operators.start_cluster import StartClusterOperator
from airflow_wall.operators.start_sender import StartSenderOperator
from airflow_wall.operators.stop_cluster import StopClusterOperator
from airflow_wall.operators.stop_sender import StopSenderOperator
from airflow_wall.operators.submit import SubmitOperator
from airflow_wall.operators.transform import TransformOperator

OPERATORS: dict[str, type[StepOperator]] = {
    "check_new_data": CheckNewDataOperator,
    "get_credentials": GetCredentialsOperator,
    "start_cluster": StartClusterOperator,
    "ingest": IngestOperator,
    "transform": TransformOperator,
    "retrain": RetrainOperator,
    "predict": PredictOperator,
    "stop_cluster": StopClusterOperator,
    "check_integrity": CheckIntegrityOperator,
    "start_sender": StartSenderOperator,
    "persist": PersistOperator,
    "index": IndexOperator,
    "submit": SubmitOperator,
    "stop_sender": StopSenderOperator,
    "publish": PublishOperator,
    "reap_clusters": ReapClustersOperator,
}
"""`airflow_wall.spec.steps.table.STEPS` has the same names; a test compares them."""
