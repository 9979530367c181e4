"""What Airflow asks a provider package."""

from __future__ import annotations

from typing import Any

from airflow_wall import __version__

OPERATORS = (
    "check_integrity", "check_new_data", "get_credentials", "index", "ingest", "persist", "predict", "publish",
    "reap_clusters", "retrain", "start_cluster", "start_sender", "stop_cluster", "stop_sender", "submit", "transform",
)  # fmt: skip
"""Modules of `airflow_wall.operators` with one public operator each."""


def get_provider_info() -> dict[str, Any]:
    """The package as Airflow's provider schema describes it."""
    return {
        "package-name": "airflow-wall",
        "name": "Wall",
        "description": "From a YAML file to a production pipeline.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": "airflow-wall",
                "external-doc-url": "https://pypi.org/project/airflow-wall/",
                "tags": ["software"],
            }
        ],
        "operators": [
            {
                "integration-name": "airflow-wall",
                "python-modules": [f"airflow_wall.operators.{name}" for name in OPERATORS],
            }
        ],
        "triggers": [{"integration-name": "airflow-wall", "python-modules": ["airflow_wall.triggers.cluster"]}],
        "extra-links": ["airflow_wall.operators.links.ConsoleLink", "airflow_wall.operators.links.LogsLink"],
        "config": {
            "wall": {
                "description": "How pipelines in YAML are read.",
                "options": {
                    "environment": _option("Which of a file's `environments` is in force.", example="production"),
                    "allowed_env": _option(
                        "Variables that `${{ env.NAME }}` may read, separated by commas.", example="REGION,TEAM"
                    ),
                    "policy": _option(
                        "`open`: who writes pipelines may run code. `restricted`: pipelines may only use our steps, "
                        "and what the settings `allowed_*` list.",
                        default="open",
                    ),
                    "allowed_operators": _list("Operators", example="airflow.providers.http.operators.http.*"),
                    "allowed_entrypoints": _list("The user's own Python", example="models.scores:train"),
                    "allowed_classes": _list(
                        "Timetables, notifiers and callbacks",
                        example="airflow.providers.slack.notifications.slack_webhook.SlackWebhookNotifier",
                    ),
                    "allowed_templates": _list(
                        "Names in templates, besides dates and params", example="dag_run.conf.*"
                    ),
                    "allowed_connections": _list("Connections that data come from or go to", example="platform"),
                    "allowed_storage": _list("Folders that `storage` may be or lie in", default="lake"),
                    "allowed_requirements": _list("Packages that `requirements` may name", example="pandas,polars"),
                    "allowed_pythons": _list(
                        "Interpreters that `python` may name by their path", example="/opt/venvs/*"
                    ),
                    "allowed_images": _list(
                        "Container images that `image` may name", example="registry.example.org/ml/*"
                    ),
                    "venv_cache": _option(
                        "Folder of the venvs that steps with `requirements` run in, of each worker. By default "
                        "`airflow-wall` in the cache folder of the worker's user.",
                        example="/var/cache/airflow-wall",
                    ),
                    "image_options": _option(
                        "Arguments of `docker run` for steps with an `image`, as a shell reads them.",
                        example="--network=lake --gpus=all",
                    ),
                    "deployment": _option(
                        "Name of this Airflow among those that share an account of a cloud: clusters bear it, and are "
                        "adopted and ended only by the Airflow of that name. By default the `environment`.",
                        example="production",
                    ),
                    "reap": _option(
                        "Where the DAG `wall_reaper` looks for clusters that nobody will stop any more: a JSON list of "
                        "what `reap_clusters` takes. Without it there is no such DAG.",
                        example='[{"type": "emr", "region": "eu-central-1", "conn_id": "aws_lake"}]',
                    ),
                    "project": _option(
                        "Folder that a relative `storage` is under; by default the one that holds `dags`."
                    ),
                },
            }
        },
    }


def _list(what: str, *, default: str | None = None, example: str | None = None) -> dict[str, Any]:
    text = f"{what} that policy `restricted` allows, separated by commas; `*` at the end means all that begin so."
    return _option(text, default=default, example=example)


def _option(description: str, *, default: str | None = None, example: str | None = None) -> dict[str, Any]:
    return {
        "description": description,
        "version_added": "0.1.0",
        "type": "string",
        "example": example,
        "default": default,
    }
