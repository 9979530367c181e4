"""Create the role with which KEDA reads the database, or change its password. Reads DATABASE and PASSWORD."""

import os

import psycopg
from psycopg import sql

with psycopg.connect(os.environ["DATABASE"].replace("postgresql+psycopg://", "postgresql://")) as database:
    exists = database.execute("SELECT 1 FROM pg_roles WHERE rolname = 'airflow_keda'").fetchone()
    statement = sql.SQL("{} ROLE airflow_keda LOGIN PASSWORD {}")
    database.execute(statement.format(sql.SQL("ALTER" if exists else "CREATE"), os.environ["PASSWORD"]))
