"""A table that a task reads is written by a task of the folder, or is said to come from elsewhere."""

from __future__ import annotations

from pathlib import Path

from airflow_wall.planner.check import check_files
from airflow_wall.settings import Settings

WRITER = "dag_id: {0}\nstorage: {1}\ntasks:\n  - {{id: load, uses: ingest, with: {{source: a, target: {2}}}}}\n"
READER = "dag_id: r\nstorage: ./lake\ntasks:\n  - id: t\n    uses: transform\n    with: {{sql: select 1 as x, inputs: {{raw: {0}}}, target: silver/t}}\n"


def messages(folder: Path, *files: str) -> list[str]:
    settings = Settings(project=folder)
    return [
        fault.message for result in check_files([folder / file for file in files], settings) for fault in result.faults
    ]


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)


def test_table_is_looked_for_in_the_other_files_of_the_folder(tmp_path: Path) -> None:
    write(tmp_path, reader=READER.format("bronze/orders"), writer=WRITER.format("w", "lake", "bronze/orders"))
    assert messages(tmp_path, "reader.yaml", "writer.yaml") == []
    assert messages(tmp_path, "reader.yaml") == []
    (tmp_path / "writer.yaml").unlink()
    (message,) = messages(tmp_path, "reader.yaml")
    assert message == "`tasks[t].with.inputs.raw` reads `bronze/orders`, which no task here writes"


def test_table_of_another_lake_is_not_meant(tmp_path: Path) -> None:
    write(tmp_path, reader=READER.format("bronze/orders"), writer=WRITER.format("w", "./other", "bronze/orders"))
    assert len(messages(tmp_path, "reader.yaml", "writer.yaml")) == 1


def test_external_table_is_not_looked_for(tmp_path: Path) -> None:
    write(tmp_path, reader=READER.format("{table: bronze/orders, external: true}"))
    assert messages(tmp_path, "reader.yaml") == []


def test_templated_writer_may_write_what_begins_like_it(tmp_path: Path) -> None:
    writer = WRITER.format("w", "./lake", "TARGET").replace("TARGET", '{$t: "bronze/{{ params.x }}"}')
    write(tmp_path, writer=writer, reader=READER.format("bronze/orders"))
    assert messages(tmp_path, "reader.yaml", "writer.yaml") == []
    write(tmp_path, reader=READER.format("silver/orders"))
    assert len(messages(tmp_path, "reader.yaml", "writer.yaml")) == 1


def test_nothing_is_said_while_a_file_beside_it_has_faults(tmp_path: Path) -> None:
    broken = WRITER.format("w", "./lake", "bronze/x").replace("uses: ingest", "uses: ingst")
    write(tmp_path, reader=READER.format("bronze/orders"), writer=broken)
    assert messages(tmp_path, "reader.yaml") == []


def test_hint_names_the_table_that_was_probably_meant(tmp_path: Path) -> None:
    write(tmp_path, reader=READER.format("bronze/order"), writer=WRITER.format("w", "./lake", "bronze/orders"))
    (result,) = check_files([tmp_path / "reader.yaml"], Settings(project=tmp_path))
    assert str(result.faults[0].hint).startswith(
        "did you mean `bronze/orders`? Otherwise write `raw: {table: bronze/order,"
    )
