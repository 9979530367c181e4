"""Every YAML pipeline of this folder becomes an Airflow DAG here."""

from airflow_wall import load_dags

globals().update(load_dags(__file__))
