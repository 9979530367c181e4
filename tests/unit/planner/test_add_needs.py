"""
`validate --fix` writes missing `needs` into the text, and changes nothing else.

Waits for: many pipelines from each of which a `needs` is removed, and which are checked again.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from airflow_wall.loader.load import load_specs
from airflow_wall.planner.add_needs import Corrected, add_needs
from airflow_wall.planner.check import check_files
from airflow_wall.planner.plan import Plan
from airflow_wall.planner.planner import plan
from airflow_wall.settings import Settings

HEAD = "dag_id: p  # a comment\n\ntasks:\n  - {id: load, uses: ingest, with: {source: landing, target: bronze/orders}}\n  - id: other\n"
WITH = "with: {sql: select 1 as x, inputs: {raw: bronze/orders}, target: silver/t}"


def corrected(folder: Path, text: str) -> Corrected:
    path = folder / "p.yaml"
    path.write_bytes(text.encode())
    return add_needs(path, Settings(project=folder))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            f"  - id: read\n    uses: transform  # by SQL\n    {WITH}\n",
            f"  - id: read\n    uses: transform  # by SQL\n    needs: load\n    {WITH}\n",
            id="block-absent",
        ),
        pytest.param(
            f"  - {WITH}\n    uses: 'transform'\n    id: read",
            f"  - {WITH}\n    uses: 'transform'\n    needs: load\n    id: read",
            id="block-uses-in-the-middle",
        ),
        pytest.param(
            f"  -   {WITH}\n      id: read\n      uses: transform",
            f"  -   {WITH}\n      id: read\n      uses: transform\n      needs: load",
            id="block-last-line-without-end",
        ),
        pytest.param(
            f"  - id: read\r\n    uses: transform\r\n    {WITH}\r\n",
            f"  - id: read\r\n    uses: transform\r\n    needs: load\r\n    {WITH}\r\n",
            id="block-windows",
        ),
        pytest.param(
            f"  - {{id: read, uses: transform, {WITH}}}\n",
            f"  - {{id: read, uses: transform, needs: load, {WITH}}}\n",
            id="flow-absent",
        ),
        pytest.param(
            '  - {"id": "read", "uses": "transform", "with": {"sql": "select 1 as x", '
            '"inputs": {"raw": "bronze/orders"}, "target": "silver/t"}}\n',
            '  - {"id": "read", "uses": "transform", "needs": ["load"], "with": {"sql": "select 1 as x", '
            '"inputs": {"raw": "bronze/orders"}, "target": "silver/t"}}\n',
            id="flow-as-json",
        ),
        pytest.param(
            f"  - id: read\n    needs: other  # first\n    uses: transform\n    {WITH}\n",
            f"  - id: read\n    needs: [other, load]  # first\n    uses: transform\n    {WITH}\n",
            id="block-scalar",
        ),
        pytest.param(
            f"  - {{id: read, needs: 'other', uses: transform, {WITH}}}\n",
            f"  - {{id: read, needs: ['other', load], uses: transform, {WITH}}}\n",
            id="flow-scalar",
        ),
        pytest.param(
            f"  - id: read\n    needs: [\n      other,  # first\n    ]\n    uses: transform\n    {WITH}\n",
            f"  - id: read\n    needs: [\n      other, load,  # first\n    ]\n    uses: transform\n    {WITH}\n",
            id="flow-list",
        ),
        pytest.param(
            f"  - id: read\n    needs: []\n    uses: transform\n    {WITH}\n",
            f"  - id: read\n    needs: [load]\n    uses: transform\n    {WITH}\n",
            id="empty-list",
        ),
        pytest.param(
            f"  - id: read\n    needs:\n    - other  # first\n    uses: transform\n    {WITH}\n",
            f"  - id: read\n    needs:\n    - other  # first\n    - load\n    uses: transform\n    {WITH}\n",
            id="block-list",
        ),
        pytest.param(
            f"  - id: group\n    tasks:\n      - id: read\n        uses: transform\n        {WITH}\n",
            f"  - id: group\n    tasks:\n      - id: read\n        uses: transform\n        needs: load\n        {WITH}\n",
            id="in-a-group",
        ),
        pytest.param(
            f"  - id: read\n    extends: t\n    {WITH}\ntemplates: {{t: {{uses: transform, needs: other}}}}\n",
            f"  - id: read\n    needs: [other, load]\n    extends: t\n    {WITH}\n"
            "templates: {t: {uses: transform, needs: other}}\n",
            id="needs-of-a-template",
        ),
        pytest.param(
            f"  - {{id: read, uses: transform, {WITH}}}\n---\ndag_id: q\ntasks:\n  - id: u\n    uses: ingest\n"
            "    with: {source: ü, target: bronze/q}\n  - id: second\n    uses: transform\n"
            "    with: {sql: select 1 as x, inputs: {q: bronze/q}, target: silver/q}\n",
            f"  - {{id: read, uses: transform, needs: load, {WITH}}}\n---\ndag_id: q\ntasks:\n  - id: u\n"
            "    uses: ingest\n    with: {source: ü, target: bronze/q}\n  - id: second\n    uses: transform\n"
            "    needs: u\n    with: {sql: select 1 as x, inputs: {q: bronze/q}, target: silver/q}\n",
            id="two-documents",
        ),
    ],
)
def test_needs_are_written_in_the_format_of_the_file(tmp_path: Path, before: str, after: str) -> None:
    result = corrected(tmp_path, HEAD + before)
    assert result.text == HEAD + after
    assert result.left == ()
    (tmp_path / "p.yaml").write_text(result.text)
    assert [checked.faults for checked in check_files([tmp_path / "p.yaml"], Settings(project=tmp_path))] == [()]


def test_names_that_yaml_would_not_read_as_text_are_quoted(tmp_path: Path) -> None:
    text = HEAD.replace("id: load", 'id: "007"') + f"  - {{id: read, uses: transform, {WITH}}}\n"
    assert f'uses: transform, needs: "007", {WITH}' in str(corrected(tmp_path, text).text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"  - id: read\n    needs: ${{{{ vars.n }}}}\n    uses: transform\n    {WITH}\nvars: {{n: [other]}}\n", id="expression"),
        pytest.param(f"  - id: read\n    needs: |-\n      other\n    uses: transform\n    {WITH}\n", id="block-text"),
        pytest.param(f"  - id: read\n    needs: &n [other]\n    uses: transform\n    {WITH}\n  - {{id: last, needs: *n}}\n", id="anchor"),
    ],
)  # fmt: skip
def test_file_stays_as_it_is_if_the_needs_cannot_be_added_safely(tmp_path: Path, text: str) -> None:
    result = corrected(tmp_path, HEAD + text)
    assert result.text is None
    assert [addition.names for addition in result.left] == [("load",)]


def test_what_can_be_added_is_added_beside_what_cannot(tmp_path: Path) -> None:
    unsafe = f"  - id: read\n    needs: |-\n      other\n    uses: transform\n    {WITH}\n"
    safe = f"  - {{id: two, uses: transform, {WITH.replace('silver/t', 'silver/u')}}}\n"
    result = corrected(tmp_path, HEAD + unsafe + safe)
    assert result.text == HEAD + unsafe + safe.replace("transform,", "transform, needs: load,")
    assert ([len(each) for each in (result.added, result.left)]) == [1, 1]


def test_file_with_other_faults_or_without_missing_needs_stays_as_it_is(tmp_path: Path) -> None:
    assert corrected(tmp_path, HEAD) == Corrected(None, (), ())
    assert corrected(tmp_path, f"{HEAD}  - {{id: read, uses: transform, needs: x, {WITH}}}\n") == Corrected(
        None, (), ()
    )


# --- twenty pipelines whose edges all follow from their tables


def pipeline(seed: int) -> dict[str, dict[str, list[str]]]:
    """Return task to its step, its tables and its needs. Each edge is one that the tables ask for."""
    chance = random.Random(seed)
    tasks: dict[str, dict[str, list[str]]] = {
        f"load{number}": {"uses": ["ingest"], "reads": [], "writes": [f"bronze/t{number}"], "needs": []}
        for number in range(chance.randint(1, 3))
    }
    for number in range(chance.randint(3, 8)):
        before = chance.sample(list(tasks), min(len(tasks), chance.randint(1, 2)))
        tables = [tasks[task]["writes"][0] for task in before]
        tasks[f"clean{number}"] = {
            "uses": ["transform"],
            "reads": tables,
            "writes": [f"silver/t{number}"],
            "needs": before,
        }
    last = f"clean{number}"
    (table,) = tasks[last]["writes"]
    tasks["check"] = {"uses": ["check_integrity"], "reads": [table], "writes": [], "needs": [last]}
    tasks["publish"] = {"uses": ["publish"], "reads": [table], "writes": [], "needs": ["check"]}
    return tasks


def as_yaml(tasks: dict[str, dict[str, list[str]]], chance: random.Random) -> str:
    """Return a pipeline as YAML, with its `needs` in a form that chance decides."""
    text = "dag_id: p\ntasks:\n"
    items = list(tasks.items())
    chance.shuffle(items)
    for name, task in items:
        (uses,) = task["uses"]
        arguments = {
            "ingest": "source: landing, ",
            "transform": "sql: select 1 as x, ",
            "check_integrity": "checks: [{row_count: {min: 1}}], ",
            "publish": 'release: r, to: [{to: "sql://shop/t", key: [id]}], ',
        }[uses]
        if uses == "transform":
            arguments += f"inputs: {{{', '.join(f'i{index}: {table}' for index, table in enumerate(task['reads']))}}}, "
        elif task["reads"]:
            arguments += f"table: {task['reads'][0]}, "
        if task["writes"]:
            arguments += f"target: {task['writes'][0]}"
        needs = task["needs"]
        flow = f"needs: {needs[0]}" if len(needs) == 1 and chance.random() < 0.5 else f"needs: [{', '.join(needs)}]"
        form = chance.choice(["flow", "block", "list"])
        if form == "flow":
            text += f"  - {{id: {name}, uses: {uses}, {flow + ', ' if needs else ''}with: {{{arguments}}}}}  # {name}\n"
            continue
        text += f"  - id: {name}  # {name}\n    uses: {uses}\n"
        if needs and form == "block":
            text += f"    {flow}\n"
        elif needs:
            text += "    needs:\n" + "".join(f"      - {other}\n" for other in needs)
        text += f"    with: {{{arguments}}}\n"
    return text


def planned(path: Path) -> Plan:
    (spec,) = load_specs(path, Settings(project=path.parent))
    return plan(spec, Settings(project=path.parent))


def reachability(made: Plan) -> dict[str, set[str]]:
    before: dict[str, set[str]] = {}
    for task in made.tasks:
        before[task.task_id] = set(task.upstream).union(*(before[other] for other in task.upstream))
    return before


@pytest.mark.parametrize("seed", range(20))
def test_each_removed_needs_is_reported_and_fixed_to_the_same_order(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "p.yaml"
    tasks = pipeline(seed)
    path.write_text(as_yaml(tasks, random.Random(seed)))
    whole = planned(path)
    assert whole.missing_needs == ()
    for name, task in tasks.items():
        for needed in task["needs"]:
            fewer = {**tasks, name: {**task, "needs": [other for other in task["needs"] if other != needed]}}
            text = as_yaml(fewer, random.Random(seed))
            path.write_text(text)
            is_same = reachability(planned(path)) == reachability(whole)
            (found,) = check_files([path], Settings(project=tmp_path))
            assert bool(found.faults) is not is_same, f"{needed} -> {name}"
            if is_same:
                continue
            result = add_needs(path, Settings(project=tmp_path))
            assert result.text is not None
            path.write_text(result.text)
            assert reachability(planned(path)) == reachability(whole)
            assert [line.partition("#")[2] for line in result.text.splitlines() if "#" in line] == [
                line.partition("#")[2] for line in text.splitlines() if "#" in line
            ]


def test_two_checks_that_refer_to_each_other_are_reported_and_fixed_at_once(tmp_path: Path) -> None:
    path = tmp_path / "two.yaml"
    tasks = [
        f"  - {{id: load_{name}, uses: ingest, with: {{source: {name}, target: bronze/{name}}}}}\n"
        f"  - {{id: check_{name}, uses: check_integrity, with: {{table: bronze/{name}, checks: "
        f"[{{reference: {{columns: id, table: bronze/{other}}}}}]}}}}\n"
        for name, other in (("a", "b"), ("b", "a"))
    ]
    path.write_text("dag_id: two\ntasks:\n" + "".join(tasks))

    def early() -> set[str | None]:
        (spec,) = load_specs(path, Settings())
        return {missing.fault.key for missing in plan(spec, Settings()).missing_needs}

    circle = {f"tasks[check_{name}].with.checks[0].reference.table" for name in "ab"}
    assert early() == {f"tasks[check_{name}].with.table" for name in "ab"} | circle
    path.write_text(add_needs(path, Settings()).text or "")
    assert early() == circle  # no order of the two is right
    assert add_needs(path, Settings()).text is None
