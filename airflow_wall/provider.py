"""The description of this package that Airflow reads from every provider."""

from __future__ import annotations

from typing import Any

from airflow_wall import __version__
from airflow_wall.registry import modules_of


def get_provider_info() -> dict[str, Any]:
    """Return the package's metadata, in the form of Airflow's provider schema."""
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
                "python-modules": [
                    f"airflow_wall.operators.{name}" for name in modules_of("airflow_wall.language.steps")
                ],
            }
        ],
        "triggers": [{"integration-name": "airflow-wall", "python-modules": ["airflow_wall.triggers.cluster"]}],
        "extra-links": [f"airflow_wall.operators.links.{name}" for name in ("ConsoleLink", "LogsLink", "ReportLink")],
        "config": {
            "wall": {
                "description": "How pipelines in YAML are read.",
                "options": {
                    "environment": _option("The entry of a file's `environments` to use.", example="production"),
                    "allowed_env": _option(
                        "Variables that `${{ env.NAME }}` may read, separated by commas.", example="REGION,TEAM"
                    ),
                    "reports_url": _option(
                        "Address of a web server in front of the folder `_wall/reports` of the lake. Tasks of "
                        "`check_integrity` then link their report.",
                        example="https://reports.example.org",
                    ),
                    "policy": _option(
                        "`open`: pipelines may run any code. `restricted`: pipelines may only use the steps of "
                        "airflow-wall and the names in the settings `allowed_*`.",
                        default="open",
                    ),
                    "allowed_operators": _list("Operators", example="airflow.providers.http.operators.http.*"),
                    "allowed_entrypoints": _list("The user's own Python functions", example="models.scores:train"),
                    "allowed_classes": _list(
                        "Timetables, notifiers and callbacks",
                        example="airflow.providers.slack.notifications.slack_webhook.SlackWebhookNotifier",
                    ),
                    "allowed_templates": _list(
                        "Names in templates (besides dates and params)", example="dag_run.conf.*"
                    ),
                    "allowed_connections": _list("Connections that data come from or go to", example="platform"),
                    "allowed_storage": _list(
                        "Directories that `storage` may name (and all directories below them)", default="lake"
                    ),
                    "allowed_requirements": _list("Packages that `requirements` may name", example="pandas,polars"),
                    "allowed_pythons": _list("Interpreters that `python` may name by path", example="/opt/venvs/*"),
                    "allowed_images": _list(
                        "Container images that `image` may name, and software versions of clusters",
                        example="registry.example.org/ml/*,emr-7.*",
                    ),
                    "allowed_identities": _list(
                        "Roles and service accounts that steps may use in a cloud",
                        example="arn:aws:iam::123456789012:role/etl-*",
                    ),
                    "allowed_resources": _list(
                        "Buckets, projects, networks and other resources of a cloud", example="s3://team-logs/*"
                    ),
                    "venv_cache": _option(
                        "Directory on each worker for the venvs of steps with `requirements`. By default "
                        "`airflow-wall` in the cache directory of the worker's user.",
                        example="/var/cache/airflow-wall",
                    ),
                    "image_options": _option(
                        "Arguments of `docker run` for steps with an `image`, split as a shell does.",
                        example="--network=lake --gpus=all",
                    ),
                    "deployment": _option(
                        "Name of this Airflow among those that share a cloud account. Clusters are labelled with it, "
                        "and only the Airflow of that name adopts and ends them. By default the `environment`.",
                        example="production",
                    ),
                    "reap": _option(
                        "Places where the DAG `wall_reaper` looks for orphaned clusters: a JSON list of arguments of "
                        "`reap_clusters`. Without this setting the DAG does not exist.",
                        example='[{"type": "emr", "region": "eu-central-1", "conn_id": "aws_lake"}]',
                    ),
                    "lakes": _option(
                        "Lakes whose history the DAG `wall_upkeep` keeps for the page of airflow-wall in Airflow, "
                        "separated by commas, as `storage` of the pipelines names them. Without this setting the DAG "
                        "does not exist.",
                        example="lake,/mnt/lake",
                    ),
                    "project": _option(
                        "Directory that a relative `storage` is under; by default the one that holds `dags`."
                    ),
                },
            }
        },
    }


def _list(subject: str, *, default: str | None = None, example: str | None = None) -> dict[str, Any]:
    text = f"{subject} that policy `restricted` allows, separated by commas; `*` at the end matches any suffix."
    return _option(text, default=default, example=example)


def _option(description: str, *, default: str | None = None, example: str | None = None) -> dict[str, Any]:
    return {
        "description": description,
        "version_added": "0.1.0",
        "type": "string",
        "example": example,
        "default": default,
    }
