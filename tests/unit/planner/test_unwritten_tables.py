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


TRAINER = "dag_id: t\nstorage: ./lake\ntasks:\n  - {{id: fit, uses: retrain, with: {{entrypoint: 'lib.m:fit', inputs: {{f: {{table: a/b, external: true}}}}, model: {0}}}}}\n"
COMPARER = (
    "dag_id: c\nstorage: ./lake\ntasks:\n  - id: check\n    uses: check_integrity\n"
    "    with: {{table: a/b, external: true, checks: [{{row_count: {{min: 1}}}}, {{training_drift: {{model: {0}}}}}]}}\n"
)


def test_model_that_no_pipeline_of_the_folder_trains_is_reported(tmp_path: Path) -> None:
    write(tmp_path, trainer=TRAINER.format("prices"), comparer=COMPARER.format("prices"))
    assert messages(tmp_path, "comparer.yaml") == []
    assert messages(tmp_path, "comparer.yaml", "trainer.yaml") == []
    write(tmp_path, comparer=COMPARER.format("price"))
    (result,) = check_files([tmp_path / "comparer.yaml"], Settings(project=tmp_path))
    (fault,) = result.faults
    assert fault.message == (
        "`tasks[check].with.checks[1].training_drift.model` compares with the model `price`, which no task here trains"
    )
    assert fault.hint == (
        "did you mean `prices`? Otherwise write `training_drift: {model: price, external: true}` "
        "if another folder trains it"
    )
    assert (fault.place.line, fault.place.column) == (6, 97)
    write(tmp_path, comparer=COMPARER.format("price, external: true"))
    assert messages(tmp_path, "comparer.yaml") == []
    write(
        tmp_path,
        trainer=TRAINER.format('{$t: "pri{{ ds }}"}'),
        comparer=COMPARER.format("price"),
    )
    assert messages(tmp_path, "comparer.yaml", "trainer.yaml") == []


CONTRACT = (
    "dag_id: w\nstorage: ./lake\ntasks:\n  - id: load\n    uses: ingest\n    with:\n      source: landing\n      target: bronze/orders\n"
    "      contract: {columns: {id: bigint, price: double}}\n      evolve: {new_columns: false}\n"
)
USER = (
    "dag_id: u\nstorage: ./lake\ntasks:\n"
    "  - {id: t, uses: transform, with: {sql: select prize from o, inputs: {o: bronze/orders}, target: silver/t}}\n"
    "  - {id: c, uses: check_integrity, with: {table: bronze/orders, checks: [{not_null: {columns: [id, prize]}}]}}\n"
)


def test_columns_of_a_table_of_another_pipeline_are_known(tmp_path: Path) -> None:
    write(tmp_path, writer=CONTRACT, user=USER)
    expected = [
        "`tasks[c].with.checks` checks the column `prize` (`not_null of id, prize`), which the contract of `bronze/orders` does not have",
        '`tasks[t].with.sql` cannot run: Referenced column "prize" not found in FROM clause',
    ]
    assert sorted(messages(tmp_path, "user.yaml")) == expected
    assert sorted(messages(tmp_path, "user.yaml", "writer.yaml")) == expected
    write(tmp_path, user=USER.replace("prize", "price"))
    assert messages(tmp_path, "user.yaml") == []
    publish = (
        '  - {id: p, uses: publish, with: {release: r, table: bronze/orders, to: [{to: "sql://s/o", key: [id, nr]}]}}\n'
    )
    write(tmp_path, user=USER.replace("prize", "price") + publish)
    (result,) = check_files([tmp_path / "user.yaml"], Settings(project=tmp_path))
    messages_of = {fault.key: fault.message for fault in result.faults}
    assert messages_of["tasks[p].with.to[0].key[1]"].endswith(
        "names the column `nr`, which the contract of `bronze/orders` does not have"
    )


def test_columns_of_a_table_are_not_known_if_several_pipelines_may_write_it(tmp_path: Path) -> None:
    share = CONTRACT.replace("target:", "share: true\n      target:")
    write(tmp_path, writer=share, other=share.replace("dag_id: w", "dag_id: o"), user=USER)
    assert messages(tmp_path, "user.yaml", "writer.yaml", "other.yaml") == []
    write(
        tmp_path, writer=CONTRACT.replace("./lake", "./elsewhere"), other=WRITER.format("o", "./lake", "bronze/orders")
    )
    assert messages(tmp_path, "user.yaml", "writer.yaml", "other.yaml") == []
    write(tmp_path, writer=CONTRACT, other="dag_id: broken\ntasks: [{id: a, uses: nothing}]\n")
    assert [
        message for message in messages(tmp_path, "user.yaml", "writer.yaml", "other.yaml") if "prize" in message
    ] == []
