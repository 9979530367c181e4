"""Values that stay text, and that a shell or another tool would replace."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_wall.planner.check import check_files
from airflow_wall.settings import Settings

BASH = "airflow.providers.standard.operators.bash.BashOperator"
INGEST = "tasks: [{id: i, uses: ingest, with: {source: %s, target: %s}}]"
OTHER = f"tasks: [{{id: a}}, {{id: b, needs: a, uses: {BASH}, with: {{bash_command: %s}}}}]"
LAKE = "write `${{ env.LAKE }}`, and add `LAKE` to the setting `[wall] allowed_env`"


def warnings(folder: Path, body: str) -> list[tuple[str, str | None]]:
    (folder / "a.sh").write_text("echo {{ ds }}\n")
    path = folder / "p.yaml"
    path.write_text(f"dag_id: p\n{body}\n")
    (result,) = check_files([path], Settings())
    assert result.faults == ()
    return [(fault.message, fault.hint) for fault in result.warnings]


@pytest.mark.parametrize(
    ("body", "message", "hint"),
    [
        ("storage: $LAKE/x\ntasks: [{id: a}]", "`storage` holds `$LAKE`, which stays text", LAKE),
        ("storage: ~/lake\ntasks: [{id: a}]", "`storage` holds `~`, which stays text", "write the absolute path"),
        (INGEST % ("'${LAKE}/in'", "bronze/a"), "`tasks[i].with.source` holds `${LAKE}`, which stays text", LAKE),
        (INGEST % ("landing", "bronze/$LAKE"), "`tasks[i].with.target` holds `$LAKE`, which stays text", LAKE),
        (OTHER % "+a", "`tasks[b].with.bash_command` holds `+a`, which stays text", "write {$x: a} to mean"),
        (OTHER % "[a.output]", "`tasks[b].with.bash_command[0]` holds `a.output`", "write {$x: a} to mean"),
        (OTHER % "{__type__: m.C}", "`tasks[b].with.bash_command.__type__` is an ordinary key", "write plain values"),
        (OTHER % "{$f: a.sh}", "`tasks[b].with.bash_command.$f` holds `{{ ds ... }}`", "{$t: {$f: a.sh}}"),
    ],
)
def test_value_that_stays_text_is_a_warning(body: str, message: str, hint: str, tmp_path: Path) -> None:
    ((found, found_hint),) = warnings(tmp_path, body)
    assert found.startswith(message)
    assert hint in str(found_hint)


@pytest.mark.parametrize(
    "body",
    [
        OTHER % "'echo $HOME ~ ${X}'",
        OTHER % "b.output",
        OTHER % "a.outputs",
        OTHER % "{$t: {$f: a.sh}}",
        INGEST % ("landing/a~b", "bronze/a"),
        "tasks: [{id: t, uses: transform, with: {inputs: {a: {table: x/y, external: true}}, target: x/z, "
        "sql: \"select '$HOME' from a\"}}]",
    ],
)
def test_text_that_may_be_meant_has_no_warning(body: str, tmp_path: Path) -> None:
    assert warnings(tmp_path, body) == []
