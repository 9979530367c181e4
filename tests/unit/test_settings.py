"""Settings are read from the deployment."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_wall.errors import SettingsError
from airflow_wall.settings import Settings


def test_settings_are_a_snapshot_of_the_environment() -> None:
    environ = {
        "AIRFLOW__WALL__ENVIRONMENT": "production",
        "AIRFLOW__WALL__ALLOWED_ENV": "REGION, TEAM",
        "REGION": "eu",
        "HOME": "/x",
    }
    found = Settings.from_environment(environ)
    environ["REGION"] = "us"
    assert found == Settings(environment="production", env={"REGION": "eu", "TEAM": None})


def test_option_of_the_command_line_wins() -> None:
    assert Settings.from_environment({"AIRFLOW__WALL__ENVIRONMENT": "a"}, environment="b").environment == "b"


def test_unknown_policy_is_refused() -> None:
    with pytest.raises(SettingsError) as error:
        Settings.from_environment({"AIRFLOW__WALL__POLICY": "strict"})
    assert str(error.value) == (
        "setting `[wall] policy` must be `open` or `restricted`, got `strict`\n\n"
        "hint: correct it in airflow.cfg, or in the variable AIRFLOW__WALL__POLICY"
    )


@pytest.mark.parametrize(
    ("file", "project"),
    [("/p/dags/a.yaml", "/p"), ("/p/dags/team/a.yaml", "/p"), ("/p/pipelines/a.yaml", "/p/pipelines")],
)
def test_project_is_the_folder_that_holds_dags(file: str, project: str) -> None:
    assert Settings().project_of(Path(file)) == Path(project)


def test_project_can_be_set() -> None:
    assert Settings(project=Path("/elsewhere")).project_of(Path("/p/dags/a.yaml")) == Path("/elsewhere")
