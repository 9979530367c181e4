"""The YAML of the guides is built, and what they say a command shows is what it shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from airflow.serialization.serialized_objects import DagSerialization
from typer.testing import CliRunner

from airflow_wall.cli.main import app
from airflow_wall.fronts.folder import load_dags
from airflow_wall.settings import Settings

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
NAMES = ("schedules", "params", "notifications", "environments")


def blocks(guide: str, language: str) -> list[str]:
    text = (GUIDES / f"{guide}.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def written(guide: str, folder: Path) -> list[Path]:
    """The YAML of a guide as files; a first line such as `# shared/team.yaml` names one."""
    files = []
    for number, block in enumerate(blocks(guide, "yaml")):
        name = block.partition("\n")[0]
        named = re.fullmatch(r"# ([\w/]+\.yaml)", name)
        path = folder / (named[1] if named else f"{number}.yaml")
        path.parent.mkdir(exist_ok=True)
        path.write_text(block, encoding="utf-8")
        files.append(path)
    return files


@pytest.mark.parametrize("guide", NAMES)
def test_yaml_of_a_guide_is_built(guide: str, tmp_path: Path) -> None:
    pipelines = [path for path in written(guide, tmp_path) if "dag_id:" in path.read_text(encoding="utf-8")]
    built = load_dags(tmp_path, Settings())
    assert len(built) >= len(pipelines) >= 1
    for dag in built.values():
        assert DagSerialization.to_dict(dag)


def test_the_guide_shows_what_explain_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written("environments", tmp_path)
    monkeypatch.chdir(tmp_path)
    (shown,) = blocks("environments", "console")
    command, _, expected = shown.partition("\n")
    result = CliRunner().invoke(app, command.removeprefix("$ airflow-wall ").split())
    assert result.output.strip() == expected.strip()
