"""Tasks wait for the tasks that write and check the tables they read: `validate` reports the others."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from airflow_wall.loader.load import load_specs
from airflow_wall.planner.check import check_files
from airflow_wall.planner.data_order import MissingNeeds
from airflow_wall.planner.planner import plan
from airflow_wall.settings import Settings

INGEST = "  - {id: load, uses: ingest, with: {source: landing, target: bronze/orders}}\n"
PUBLISH = 'with: {release: r, table: bronze/orders, to: [{to: "sql://shop/orders", key: [id]}]}'
CHECK = "  - {id: check, uses: check_integrity, needs: load, with: {table: bronze/orders, checks: [{row_count: {min: 1}}]}}\n"


def missing(folder: Path, tasks: str) -> tuple[MissingNeeds, ...]:
    path = folder / "p.yaml"
    path.write_text(f"dag_id: p\ntasks:\n{tasks}")
    (spec,) = load_specs(path, Settings(project=folder))
    return plan(spec, Settings(project=folder)).missing_needs


def names(folder: Path, tasks: str) -> list[tuple[str, ...]]:
    return [each.names for each in missing(folder, tasks)]


def clean(needs: str = "", table: str = "bronze/orders") -> str:
    return f"  - {{id: clean, uses: transform, {needs}with: {{sql: select 1 as x, inputs: {{raw: {table}}}, target: silver/t}}}}\n"


def test_reader_that_waits_for_the_writer_is_good(tmp_path: Path) -> None:
    assert missing(tmp_path, INGEST + clean("needs: load, ")) == ()


def test_reader_that_waits_for_the_writer_through_another_task_is_good(tmp_path: Path) -> None:
    assert missing(tmp_path, INGEST + "  - {id: between, needs: load}\n" + clean("needs: between, ")) == ()


def test_reader_without_needs_is_reported_at_its_table(tmp_path: Path) -> None:
    (found,) = missing(tmp_path, INGEST + clean())
    assert found.names == ("load",)
    assert found.fault.key == "tasks[clean].with.inputs.raw"
    assert (found.fault.place.line, found.fault.place.column) == (4, 75)


def test_order_of_the_tasks_in_the_file_does_not_matter(tmp_path: Path) -> None:
    assert names(tmp_path, clean() + INGEST) == [("load",)]


def test_later_tasks_that_lack_the_same_needs_are_not_reported(tmp_path: Path) -> None:
    reader = "  - {id: more, uses: transform, needs: clean, with: {sql: select 1 as x, inputs: {a: bronze/orders, b: silver/t}, target: silver/u}}\n"
    (found,) = missing(tmp_path, INGEST + clean() + reader)
    assert found.fault.key == "tasks[clean].with.inputs.raw"
    assert names(tmp_path, INGEST + clean() + reader.replace("needs: clean, ", "")) == [
        ("load",),
        ("clean",),
        ("clean",),
    ]


def test_pattern_covers_the_tables_of_one_level(tmp_path: Path) -> None:
    assert names(tmp_path, INGEST + clean(table='"bronze/*"')) == [("load",)]
    assert missing(tmp_path, INGEST + clean(table='"*"')) == ()


def test_table_of_an_earlier_run_is_not_waited_for(tmp_path: Path) -> None:
    assert missing(tmp_path, INGEST + clean(table="{table: bronze/orders, external: true}")) == ()
    assert names(tmp_path, INGEST + clean(table="{table: bronze/orders, external: false}")) == [("load",)]


def test_table_with_rejected_rows_is_written_by_its_ingest(tmp_path: Path) -> None:
    quarantine = INGEST.replace("target:", "bad_rows: quarantine, target:")
    assert names(tmp_path, quarantine + clean(table="bronze/orders_rejected")) == [("load",)]


def test_reader_of_a_shared_table_waits_for_all_writers(tmp_path: Path) -> None:
    first = INGEST.replace("target:", "share: true, target:")
    second = first.replace("id: load", "id: load_too")
    assert names(tmp_path, first + second + clean("needs: load, ")) == [("load_too",)]
    assert names(tmp_path, first + second + clean()) == [("load", "load_too")]


def test_publish_waits_for_every_check_of_its_table(tmp_path: Path) -> None:
    publish = f"  - {{id: out, uses: publish, needs: load, {PUBLISH}}}\n"
    (found,) = missing(tmp_path, INGEST + CHECK + publish)
    assert found.names == ("check",)
    assert "publishes `bronze/orders`, which `check` checks, but does not wait for it" in found.fault.message
    assert missing(tmp_path, INGEST + CHECK + publish.replace("needs: load", "needs: check")) == ()
    assert missing(tmp_path, INGEST + publish) == ()


def test_external_rows_are_published_after_their_check_too(tmp_path: Path) -> None:
    check = CHECK.replace("needs: load, ", "").replace("table: bronze/orders", "table: bronze/orders, external: true")
    publish = f"  - {{id: out, uses: publish, {PUBLISH.replace('release: r', 'release: r, external: true')}}}\n"
    assert names(tmp_path, check + publish) == [("check",)]


def test_transform_need_not_wait_for_checks(tmp_path: Path) -> None:
    assert missing(tmp_path, INGEST + CHECK + clean("needs: load, ")) == ()


def test_only_the_last_missing_task_is_named(tmp_path: Path) -> None:
    publish = f"  - {{id: out, uses: publish, {PUBLISH}}}\n"
    assert names(tmp_path, INGEST + CHECK + publish) == [("check",)]
    assert names(tmp_path, INGEST + CHECK.replace("needs: load, ", "") + publish) == [("load",), ("check",)]


def test_reader_before_the_writer_has_no_needs_to_add(tmp_path: Path) -> None:
    late = INGEST.replace("uses: ingest", "uses: ingest, needs: clean")
    (found,) = missing(tmp_path, clean() + late)
    assert found.names == ()
    assert "writes only after it" in found.fault.message
    assert "external: true" in str(found.fault.hint)


def test_two_tasks_that_read_each_others_table_have_no_needs_to_add(tmp_path: Path) -> None:
    one = clean(table="silver/u")
    two = clean(table="silver/t").replace("id: clean", "id: two").replace("target: silver/t", "target: silver/u")
    assert names(tmp_path, one + two) == [(), ()]
    assert names(tmp_path, one + two + INGEST + clean(table="bronze/orders").replace("clean", "x").replace("/t", "/v")) == [
        (), (), ("load",)
    ]  # fmt: skip


MATRIX = """\
  - id: etl
    matrix: {region: [north, south]}
    tasks:
      - {id: load, uses: ingest, with: {source: landing, target: "bronze/${{ matrix.region }}"}}
      - id: clean
        uses: transform
        NEEDS
        with: {sql: select 1 as x, inputs: {raw: "bronze/${{ matrix.region }}"}, target: "silver/${{ matrix.region }}"}
"""


@pytest.mark.parametrize(
    ("needs", "table", "expected"),
    [
        ("", "bronze/none", [("load",)]),
        ("needs: load", '"silver/*"', [("etl",)]),
        ("needs: load", '"bronze/*"', [("etl.load",)]),
        ("needs: load", "silver/north", [("etl_north",)]),
        ("needs: load", "bronze/south", [("etl_south.load",)]),
    ],
)
def test_tasks_of_a_matrix_and_of_groups_are_named_as_needs_can(
    tmp_path: Path, needs: str, table: str, expected: list[tuple[str, ...]]
) -> None:
    reader = clean(table=table).replace("id: clean", "id: reader").replace("silver/t", "gold/t")
    assert names(tmp_path, MATRIX.replace("NEEDS", needs or "retries: 1") + reader) == expected


def test_repeated_reader_gets_the_name_that_fits_all_its_repetitions(tmp_path: Path) -> None:
    load = (
        '  - {id: load, matrix: {r: [a, b]}, uses: ingest, with: {source: landing, target: "bronze/${{ matrix.r }}"}}\n'
    )
    read = (
        "  - {id: read, matrix: {r: [a, b]}, uses: transform, with: {sql: select 1 as x, "
        'inputs: {raw: "bronze/${{ matrix.r }}"}, target: "silver/${{ matrix.r }}"}}\n'
    )
    (found,) = missing(tmp_path, load + read)
    assert found.names == ("load",)
    assert "so does 1 more of its matrix" in found.fault.message


def test_mapped_writers_are_known_if_their_tables_are_listed(tmp_path: Path) -> None:
    load = "  - {id: load, uses: ingest, with: {source: landing}, expand: {target: [bronze/orders, bronze/b]}}\n"
    assert names(tmp_path, load + clean()) == [("load",)]


MAPPED = (
    "  - id: a\n    uses: transform\n    with: {sql: select 1 as x, target: silver/a, share: true}\n"
    "    expand: {inputs: [{raw: {table: bronze/orders, external: EXTERNAL}}, {raw: bronze/b}]}\n"
)


def test_tables_in_a_list_of_a_mapped_task_are_known(tmp_path: Path) -> None:
    (found,) = missing(tmp_path, INGEST + MAPPED.replace("EXTERNAL", "false"))
    assert found.fault.key == "tasks[a].expand.inputs[0].raw"
    assert found.names == ("load",)
    assert missing(tmp_path, INGEST + MAPPED.replace("EXTERNAL", "true")) == ()
    entries = "  - {id: out, uses: check_integrity, with: {checks: [{row_count: {min: 1}}]}, expand_kwargs: [{table: bronze/orders}]}\n"
    assert names(tmp_path, INGEST + entries) == [("load",)]


REFERENCE = (
    "  - {id: people, uses: ingest, with: {source: landing, target: bronze/people}}\n"
    "  - {id: check_people, uses: check_integrity, needs: people, with: {table: bronze/people, checks: [{row_count: {min: 1}}]}}\n"
    "  - id: check\n    uses: check_integrity\n    needs: NEEDS\n    with:\n      table: bronze/orders\n"
    "      checks: [{row_count: {min: 1}}, {reference: {columns: person, to: id, table: bronze/people}}]\n"
)


def test_check_waits_for_writer_and_checks_of_the_table_that_it_refers_to(tmp_path: Path) -> None:
    (found,) = missing(tmp_path, INGEST + REFERENCE.replace("NEEDS", "load"))
    assert found.names == ("check_people",)
    assert found.fault.key == "tasks[check].with.checks[1].reference.table"
    words = "reads `bronze/people`, which `check_people` checks, but does not wait for it"
    assert words in found.fault.message
    assert found.fault.hint == (
        "add `check_people` to its `needs`; or write `reference: {table: bronze/people, external: true}` "
        "if it means rows of an earlier run"
    )
    assert missing(tmp_path, INGEST + REFERENCE.replace("NEEDS", "[load, check_people]")) == ()
    external = REFERENCE.replace("table: bronze/people}}]", "table: bronze/people, external: true}}]")
    assert missing(tmp_path, INGEST + external.replace("NEEDS", "load")) == ()


def test_table_that_a_file_of_checks_refers_to_is_known(tmp_path: Path) -> None:
    checks = (
        "checks: [{reference: {columns: a, table: bronze/people}}, {reference: {columns: b, table: bronze/orders}}]"
    )
    (tmp_path / "c.yaml").write_text(checks)
    task = "  - {id: check, uses: check_integrity, needs: load, with: {table: bronze/orders, checks: c.yaml}}\n"
    (found,) = missing(tmp_path, INGEST + REFERENCE.split("  - {id: check_people")[0] + task)
    assert (found.fault.key, found.names) == ("tasks[check].with.checks", ("people",))


def test_checks_that_are_no_gate_may_come_after_the_publication(tmp_path: Path) -> None:
    publish = f"  - {{id: out, uses: publish, needs: load, {PUBLISH}}}\n"
    late = CHECK.replace("needs: load", "needs: out")
    (found,) = missing(tmp_path, INGEST + late + publish)
    assert "which `check` checks only after it" in found.fault.message
    assert found.fault.hint == (
        "let `check` come before it; or write `gate: false` in `check` if its checks do not decide what is published"
    )
    assert missing(tmp_path, INGEST + late.replace("checks:", "gate: false, checks:") + publish) == ()
    assert (
        missing(
            tmp_path,
            INGEST + late.replace("needs: out", "needs: load").replace("checks:", "gate: false, checks:") + publish,
        )
        == ()
    )
    assert names(
        tmp_path, INGEST + late.replace("needs: out, ", "").replace("checks:", "gate: false, checks:") + publish
    ) == [("load",)]


def test_order_is_reported_beside_faults_of_values(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(f"dag_id: p\ntasks:\n{INGEST}{clean()}  - {{id: c, retries: many}}\n")
    (result,) = check_files([path], Settings(project=tmp_path))
    assert [fault.key for fault in result.faults] == ["tasks[clean].with.inputs.raw", "tasks[c].retries"]


def test_order_is_not_reported_while_it_is_not_certain(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(f"dag_id: p\ntasks:\n{INGEST}{clean('needs: lod, ')}")
    (result,) = check_files([path], Settings(project=tmp_path))
    assert ["no such task" in fault.message for fault in result.faults] == [True]


def test_order_of_a_thousand_tasks_is_checked_in_bounded_time(tmp_path: Path) -> None:
    tasks = (
        '  - {id: load, matrix: {r: "${{ vars.r }}"}, uses: ingest, with: {source: landing, target: "bronze/${{ matrix.r }}"}}\n'
        '  - {id: read, matrix: {r: "${{ vars.r }}"}, uses: transform, with: {sql: select 1 as x, '
        'inputs: {raw: "bronze/*"}, target: "silver/${{ matrix.r }}"}}\n'
        f"vars: {{r: [{', '.join(f'n{number}' for number in range(500))}]}}\n"
    )
    before = time.process_time()
    assert names(tmp_path, tasks) == [("load",)]
    assert time.process_time() - before < 10  # most of it reads the file


def test_order_in_another_environment_is_reported_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    reader = clean(table='{table: "${{ vars.table }}"}')
    path.write_text(
        "dag_id: p\nvars: {table: bronze/elsewhere}\nenvironments: {laptop: {vars: {table: bronze/orders}}}\ntasks:\n"
        f"{INGEST}{reader}"
    )
    (result,) = check_files([path], Settings(project=tmp_path))
    assert ["(in environment `laptop`)" in fault.message for fault in result.faults] == [True, False]
