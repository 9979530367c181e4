"""Twenty pipelines with one wrong `needs` each: `validate` names the task to wait for, and `--fix` writes it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from airflow_wall.diagnostics.faults import Fault
from airflow_wall.planner.add_needs import add_needs
from airflow_wall.planner.check import check_files
from airflow_wall.settings import Settings

PIPELINE = """\
# A shop: orders of two regions, and the people who ordered.
dag_id: shop
storage: ./lake
templates:
  by_sql: {uses: transform, retries: 1}  # with one more try
tasks:
  - id: people
    uses: ingest
    with: {source: landing/people, target: bronze/people, bad_rows: quarantine}
  - id: check_people
    uses: check_integrity
    needs: people  # before all others
    with: {table: bronze/people, checks: [{not_null: {columns: [id]}}]}
  - id: etl  # for each region
    matrix: {region: [north, south]}
    tasks:
      - {id: load, uses: ingest, with: {source: landing, target: "bronze/${{ matrix.region }}"}}
      - id: clean
        extends: by_sql
        needs: load
        with: {sql: select * from raw, inputs: {raw: "bronze/${{ matrix.region }}"}, target: "silver/${{ matrix.region }}"}
  - id: bad_people
    uses: transform
    needs: ['people']
    with: {sql: select * from bad, inputs: {bad: bronze/people_rejected}, target: quality/people}
  - id: join
    uses: transform
    needs:
      - etl      # both regions
      - people
    with:
      sql: select * from orders join people using (person)
      inputs:
        orders: silver/*
        people: bronze/people
      target: gold/orders
  - {"id": "features", "uses": "transform", "needs": "join", "with": {"sql": "select * from o", "inputs": {"o": "gold/orders"}, "target": "gold/features"}}
  - id: check_orders
    uses: check_integrity
    needs: [join, check_people]
    with: {table: gold/orders, checks: orders.checks.yaml}  # refers to bronze/people
  - id: train
    needs: [
      features,
    ]
    uses: retrain
    with: {entrypoint: "models.shop:train", inputs: {rows: gold/features}, holdout: {table: gold/orders}, model: shop}
  - id: score
    tasks:
      - id: predict
        uses: predict
        needs: train
        with: {model: shop, inputs: {rows: gold/features}, target: gold/scores}
      - {id: check, uses: check_integrity, needs: predict, with: {table: gold/scores, checks: [{row_count: {min: 1}}]}}
  - id: open
    uses: start_sender
    needs: [score, check_orders]
    with: {release: shop}
  - id: stage
    uses: persist
    needs: open
    with: {release: open, table: gold/scores, to: "sql://shop/scores", key: [id]}
  - id: stage_orders
    uses: index
    needs: open
    with: {release: open, table: gold/orders, to: "search://shop/orders", key: [id]}
  - id: close
    uses: stop_sender
    needs: [stage, stage_orders]
  - id: report
    uses: publish
    needs: check_orders
    with: {release: report, table: gold/orders, to: [{to: "files://report"}]}
  - id: alarm
    uses: check_integrity
    needs: close
    with: {table: gold/scores, gate: false, checks: [{row_count: {min: 100}}]}
  - id: by_region
    uses: transform
    needs: etl
    with: {sql: select * from raw, share: true, target: quality/regions}
    expand: {inputs: [{raw: silver/north}, {raw: silver/south}]}
"""
CHECKS = "checks:\n  - reference: {columns: person, to: id, table: bronze/people}\n"


def faults(folder: Path, text: str) -> list[Fault]:
    (folder / "models").mkdir(exist_ok=True)
    (folder / "models/shop.py").write_text("def train(rows): ...\n")
    (folder / "orders.checks.yaml").write_text(CHECKS)
    path = folder / "shop.yaml"
    path.write_text(text)
    (result,) = check_files([path], Settings(project=folder))
    return list(result.faults)


WRONG = {
    "block_without": ("    needs: people  # before all others\n", "", ["bronze/people"], "people"),
    "block_of_another_task": ("needs: people  # before", "needs: open  # before", None, None),
    "matrix_without": ("        needs: load\n", "", ['"bronze/'], "load"),
    "quoted_list_empty": ("needs: ['people']", "needs: []", ["bronze/people_rejected"], "people"),
    "quoted_list_of_another": ("needs: ['people']", "needs: ['etl']", ["bronze/people_rejected"], "people"),
    "list_without_its_first": ("      - etl      # both regions\n", "", ["silver/*"], "etl"),
    "list_without_its_last": ("      - people\n    with:\n", "    with:\n", ["bronze/people"], "people"),
    "one_repetition": ("      - etl      # both", "      - etl_north  # both", ["silver/*"], "etl_south"),
    "json_without": ('"needs": "join", ', "", ['"gold/orders"'], "join"),
    "reference_in_a_file": ("[join, check_people]", "join", ["orders.checks"], "check_people"),
    "check_of_another_table": ("[join, check_people]", "check_people", ["gold/orders"], "join"),
    "list_over_lines": ("      features,\n    ]", "    ]", ["gold/features", "gold/orders"], "features"),
    "held_out_rows": ("      features,\n    ]", "      people,\n    ]", ["gold/features", "gold/orders"], "features"),
    "in_a_group_without": ("        needs: train\n", "", ["gold/features"], "features"),
    "in_a_group_of_another": ("needs: predict, with", "needs: open, with", None, None),
    "in_a_group_flow": ("needs: predict, with", "with", ["gold/scores"], "predict"),
    "release_before_a_check": ("[score, check_orders]", "[check_orders]", ["gold/scores"], "score"),
    "release_before_the_other_check": ("[score, check_orders]", "score", ["gold/orders"], "check_orders"),
    "release_without": ("    needs: [score, check_orders]\n", "", ["gold/scores", "gold/orders"], "score"),
    "publish_before_the_check": ("needs: check_orders\n", "needs: join  # ready\n", ["gold/orders"], "check_orders"),
    "publish_without": ("    needs: check_orders\n", "", ["gold/orders"], "check_orders"),
    "alarm_without": ("    needs: close\n", "", ["gold/scores"], "score.predict"),
    "mapped": ("    needs: etl\n", "    needs: people\n", ["silver/north", "silver/south"], "etl_north"),
}
FIXABLE = [name for name, (*_, added) in WRONG.items() if added is not None]


def test_there_are_twenty_and_the_pipeline_is_good(tmp_path: Path) -> None:
    assert len(FIXABLE) >= 20
    assert faults(tmp_path, PIPELINE) == []


@pytest.mark.parametrize("name", FIXABLE)
def test_wrong_needs_are_reported_with_their_place_and_fixed(tmp_path: Path, name: str) -> None:
    old, new, tables, added = WRONG[name]
    assert PIPELINE.count(old) == 1
    text = PIPELINE.replace(old, new)
    found = faults(tmp_path, text)
    lines = text.splitlines()
    assert [fault.place.line for fault in found] == sorted(fault.place.line for fault in found)
    for fault, table in zip(found, tables, strict=True):
        assert lines[fault.place.line - 1][fault.place.column - 1 :].startswith(table)
    assert all("but does not wait for" in fault.message for fault in found), [fault.message for fault in found]
    assert f"`{added}`" in str(found[0].hint) or f"add `needs: {added}`" in str(found[0].hint), found[0].hint

    fixed = add_needs(tmp_path / "shop.yaml", Settings(project=tmp_path))
    assert fixed.left == ()
    assert faults(tmp_path, str(fixed.text)) == []
    assert re.findall("#.*", str(fixed.text)) == re.findall("#.*", text)
    assert without_needs(str(fixed.text)) == without_needs(text)


@pytest.mark.parametrize("name", [name for name in WRONG if name not in FIXABLE])
def test_needs_in_a_circle_are_reported(tmp_path: Path, name: str) -> None:
    old, new, *_ = WRONG[name]
    assert PIPELINE.count(old) == 1
    assert "wait for each other in a circle" in faults(tmp_path, PIPELINE.replace(old, new))[0].message


def without_needs(text: str) -> object:
    def cut(value: object) -> object:
        if isinstance(value, dict):
            return {key: cut(item) for key, item in value.items() if key != "needs"}
        return [cut(item) for item in value] if isinstance(value, list) else value

    return cut(yaml.safe_load(text))
