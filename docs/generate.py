"""
Write `docs/reference/` from the models that check the YAML, and from the examples that the tests run: `make docs`.

The description of a key comes from its field in `airflow_wall.language` or `airflow_wall.checks`, its example from the
first place below `docs/examples/` where it stands. The default of a key that is an argument of Airflow is that of the
Airflow that runs this.
"""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any

import airflow
import attrs
import check_names
import yaml
from airflow.sdk import DAG, BaseOperator, TaskGroup
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from airflow_wall.checks.backends import CHECKS
from airflow_wall.checks.base import Check
from airflow_wall.language import refused
from airflow_wall.language.base import SpecModel
from airflow_wall.language.cluster_registry import CLUSTERS
from airflow_wall.language.markers import MARKERS
from airflow_wall.language.operator import OperatorArguments
from airflow_wall.language.pipeline import Group, Pipeline, Task
from airflow_wall.language.step_registry import STEPS
from airflow_wall.publish.backends import TARGETS

DOCS = Path(__file__).parent
EXAMPLES = DOCS / "examples"
REFERENCE = DOCS / "reference"

Block = type[BaseModel]
Example = tuple[str, Path]
"""The text of a key with its value, and the file it stands in."""

AIRFLOWS: Mapping[Block, type] = {Pipeline: DAG, Task: BaseOperator, Group: TaskGroup}
"""Block to the class of Airflow whose arguments many of its keys are."""

_LONG = 90
_INTRODUCTION = (
    "`make docs` writes this page from the models that check the YAML. `airflow-wall schema` gives the same keys to "
    "editors. The examples are from [docs/examples](../examples), which the tests run. "
    "The [glossary](../concepts/glossary.md) defines the terms."
)
_DEFAULTS = (
    "A key with the default `none` has no effect if you leave it out, unless its description says otherwise. Defaults "
    f"of Airflow's own arguments are from Airflow {'.'.join(airflow.__version__.split('.')[:2])} "
    "with its default configuration."
)


def pages() -> dict[Path, str]:
    """File to its text."""
    examples = Examples()
    parts = {
        "pipeline.md": [
            "# Keys of a pipeline",
            _INTRODUCTION,
            _DEFAULTS,
            *_blocks(examples),
            *_markers(examples),
            *_without_key(),
        ],
        "steps.md": ["# Steps", _INTRODUCTION, *_steps(examples)],
        "checks.md": ["# Checks", _INTRODUCTION, *_checks(examples)],
    }
    return {REFERENCE / name: "\n\n".join(each) + "\n" for name, each in parts.items()}


class Examples:
    """The first example of every key."""

    def __init__(self) -> None:
        self.found: dict[tuple[Block, str], Example] = {}
        self.markers: dict[str, Example] = {}
        for path in sorted(EXAMPLES.glob("*.yaml")):
            text = path.read_text(encoding="utf-8")
            for node in yaml.compose_all(text, Loader=yaml.CSafeLoader):
                if isinstance(node, yaml.MappingNode) and "dag_id" in _pairs(node):
                    self._look(Pipeline, node, text, path)
                    self._mark(node, text, path)
        for path in sorted(EXAMPLES.glob("checks/*.yaml")):
            text = path.read_text(encoding="utf-8")
            (_, written), *_ = yaml.compose(text, Loader=yaml.CSafeLoader).value
            for (kind, options), *_ in (each.value for each in written.value):
                for model in (Check, CHECKS[kind.value]):
                    self._look(model, options, text, path)

    def of(self, block: Block, key: str) -> str:
        """The example of a key as a cell; empty where there is none, which a test refuses."""
        return _linked(self.found.get((block, key)))

    def of_marker(self, key: str) -> str:
        """The example of a marker as a cell."""
        return _linked(self.markers.get(key))

    def _mark(self, node: yaml.Node, text: str, path: Path) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value in MARKERS:
                    self.markers.setdefault(key.value, (_flow(node, text), path))
                self._mark(value, text, path)
        elif isinstance(node, yaml.SequenceNode):
            for each in node.value:
                self._mark(each, text, path)

    def _look(self, block: Block, node: yaml.MappingNode, text: str, path: Path) -> None:
        for name, info in block.model_fields.items():
            key = info.alias or name
            if key not in _pairs(node):
                continue
            _, value = _pairs(node)[key]
            self.found.setdefault((block, key), (f"{key}: {_flow(value, text)}", path))
            is_mapping = typing.get_origin(info.annotation) is dict and isinstance(value, yaml.MappingNode)
            held = [entry for _, entry in value.value] if is_mapping else [value]
            for inner in (mapping for each in held for mapping in _mappings(each)):
                for model in models_in(info.annotation):
                    self._look_inside(model, inner, text, path)
        uses = _pairs(node).get("uses")
        if block is Task and uses is not None and uses[1].value in STEPS and "with" in _pairs(node):
            self._look(STEPS[uses[1].value], _pairs(node)["with"][1], text, path)

    def _look_inside(self, model: Block, node: yaml.MappingNode, text: str, path: Path) -> None:
        # A list of tasks holds groups too; an item with `tasks` is one.
        if model in (Task, Group) and ("tasks" in _pairs(node)) != (model is Group):
            return
        # The `type` of a block selects one of several kinds.
        kind = model.model_fields.get("type")
        known = typing.get_args(kind.annotation) if kind is not None else ()
        if known and "type" in _pairs(node) and _pairs(node)["type"][1].value not in known:
            return
        self._look(model, node, text, path)


def _pairs(node: yaml.MappingNode) -> dict[str, tuple[yaml.Node, Any]]:
    return {name.value: (name, value) for name, value in node.value}


def _mappings(node: yaml.Node) -> Iterator[yaml.MappingNode]:
    """The mapping itself, or those of a list."""
    for each in node.value if isinstance(node, yaml.SequenceNode) else [node]:
        if isinstance(each, yaml.MappingNode):
            yield each


def _flow(node: yaml.Node, text: str) -> str:
    """A value as it stands in the text, on one line."""
    if isinstance(node, yaml.SequenceNode):
        return f"[{', '.join(_flow(each, text) for each in node.value)}]"
    if isinstance(node, yaml.MappingNode):
        return f"{{{', '.join(f'{_flow(key, text)}: {_flow(value, text)}' for key, value in node.value)}}}"
    written = text[node.start_mark.index : node.end_mark.index]
    return json.dumps(node.value) if "\n" in written else written


def _linked(example: Example | None) -> str:
    if example is None:
        return ""
    text, path = example
    return f"[`{_cell(text)}`](../examples/{path.relative_to(EXAMPLES).as_posix()})"


def _cell(text: str, longest: int = _LONG) -> str:
    short = text if len(text) <= longest else f"{text[:longest]}…"
    return short.replace("|", "\\|")


# --- the pages


def _blocks(examples: Examples) -> Iterator[str]:
    for title, block in (("A pipeline", Pipeline), ("A task", Task), ("A group", Group)):
        yield f"## {title}"
        yield from _tables(block, examples)


def _markers(examples: Examples) -> Iterator[str]:
    yield "## Markers"
    yield "Values are literal. A mapping with exactly one of these keys is a marker for something else."
    rows = ["| marker | also written | meaning | example |", "| --- | --- | --- | --- |"]
    spellings: dict[type, list[str]] = {}
    for key, marker in MARKERS.items():
        spellings.setdefault(marker, []).append(key)
    for marker, (key, *others) in spellings.items():
        also = ", ".join(f"`{other}`" for other in others) or "no"
        meaning = inspect.getdoc(marker) or ""
        rows.append(f"| `{key}` | {also} | {' '.join(meaning.split())} | {examples.of_marker(key)} |")
    yield "\n".join(rows)


def _steps(examples: Examples) -> Iterator[str]:
    yield (
        "The keys of each step under `with`. A marker may stand in the place of a text: `{$t: template}`, "
        "`{$x: task}`, `{$f: file}`."
    )
    for name, step in STEPS.items():
        yield f"## {name}"
        yield (step.__doc__ or "").strip()
        yield from _tables(step, examples)
    yield "## Targets"
    yield "The values of `to`. `CONN` is the id of an Airflow connection."
    rows = (f"| `{target.form}` | {inspect.getdoc(target)} |" for target in TARGETS.values())
    yield "\n".join(["| `to` | target |", "| --- | --- |", *rows])


def _checks(examples: Examples) -> Iterator[str]:
    yield (
        "The checks of `check_integrity`. Write them under `checks`, or in a file with one list under `checks`. An "
        "entry is a check and its options: `- row_count: {min: 1}`."
    )
    yield "## Keys of every check"
    yield table(Check, examples)
    for name, check in CHECKS.items():
        yield f"## {name}"
        yield inspect.getdoc(check) or ""
        yield _scopes(check)
        yield table(check, examples, without=Check.model_fields)
    yield from check_names.section()


def _scopes(check: type[Check]) -> str:
    """The sentence with the rows that a check sees."""
    if not check.scopes:
        return "Reads no rows, so it has no `over`."
    default, *others = check.scopes
    rows = {"slice": "this run's rows", "table": "the current rows of all slices"}
    also = "".join(f"; with `over: {other}`, {rows[other]}" for other in others)
    return f"Checks {rows[default]} (`over: {default}`){also}."


def _without_key() -> Iterator[str]:
    yield "## Arguments of Airflow without a key"
    for (title, _), lines in zip(
        (("DAG", DAG), ("BaseOperator", BaseOperator), ("TaskGroup", TaskGroup)),
        (refused.DAG, refused.OPERATOR, refused.GROUP),
        strict=True,
    ):
        rows = [f"| argument of `{title}` | reason and replacement |", "| --- | --- |"]
        yield "\n".join([*rows, *(f"| `{name}` | {_cell(line, len(line))} |" for name, line in lines.items())])


def _tables(block: Block, examples: Examples) -> Iterator[str]:
    """The keys of a block, and of the blocks inside it at any depth, each once."""
    yield table(block, examples)
    holders: dict[Block, dict[str, None]] = {}
    waiting = [block]
    while waiting:
        outer = waiting.pop(0)
        for name, info in outer.model_fields.items():
            for inner in models_in(info.annotation):
                if inner in (Task, Group, OperatorArguments, block):  # these have tables of their own
                    continue
                if inner not in holders:
                    waiting.append(inner)
                holders.setdefault(inner, {})[f"`{info.alias or name}`"] = None
    for inner, keys in holders.items():
        yield f"{', '.join(keys)}: {' '.join((inspect.getdoc(inner) or '').split())}{_types_in(inner)}"
        yield table(inner, examples)


def _types_in(place: Block) -> str:
    """The sentence with the kinds of clusters that a place has; empty for any other block."""
    kinds = [name for name, cluster in CLUSTERS.items() if getattr(cluster, "place", None) is place]
    return f" For `type: {'`, `type: '.join(kinds)}`." if kinds else ""


def table(block: Block, examples: Examples, without: Iterable[str] = ()) -> str:
    """The keys of one block."""
    rows = ["| key | type | default | meaning | example |", "| --- | --- | --- | --- | --- |"]
    for name, info in block.model_fields.items():
        if name in without:
            continue
        key = info.alias or name
        cells = (
            f"`{key}`",
            kind(block, key),
            default_of(block, key, info),
            str(info.description),
            "leave it out" if str(info.description).startswith("Deprecated") else examples.of(block, key),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def default_of(block: Block, key: str, info: FieldInfo) -> str:
    """A default as YAML shows it; `none` for what is simply absent."""
    if info.is_required():
        return "required"
    default = info.get_default(call_default_factory=True)
    if default is None:
        default = default_of_airflow(AIRFLOWS.get(block), key)
    if default in (None, [], {}, (), set(), ""):
        return "none"
    return f"`{json.dumps(written(default)).strip(chr(34))}`"


def default_of_airflow(kind: type | None, key: str) -> Any:
    """Return Airflow's default of an argument; None if there is none, or if it depends on other arguments."""
    parameter = inspect.signature(kind.__init__).parameters.get(key) if kind is not None else None  # type: ignore[misc]
    if kind is None or parameter is None:
        return None
    if parameter.default is not attrs.NOTHING:
        return parameter.default
    factory = attrs.fields_dict(kind)[key].default
    return None if factory.takes_self else factory.factory()


def written(default: Any) -> Any:
    """A default as it is written in YAML."""
    if isinstance(default, timedelta):
        seconds = int(default.total_seconds())
        units = ((86400, "d"), (60, "m"), (1, "s"))
        return next(f"{seconds // size}{unit}" for size, unit in units if seconds % size == 0)
    return default.value if isinstance(default, Enum) else default


def kind(block: Block, key: str) -> str:
    """The type of a key, in the words of YAML."""
    schema = block.model_json_schema()
    return words(schema.get("properties", schema.get("$defs", {}).get(block.__name__, {}).get("properties", {}))[key])


def words(schema: dict[str, Any]) -> str:
    """A JSON schema in few words."""
    if "anyOf" in schema or "oneOf" in schema:
        found = dict.fromkeys(
            words(each) for each in schema.get("anyOf", schema.get("oneOf", [])) if each.get("type") != "null"
        )
        return " or ".join(found)
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "$ref" in schema:
        return "mapping"
    if schema.get("examples") and schema.get("type") == "string":
        return f"text such as `{schema['examples'][0]}`"
    names = {
        "string": "text",
        "integer": "integer",
        "number": "number",
        "boolean": "true or false",
        "array": "list",
        "object": "mapping",
    }
    return names.get(str(schema.get("type")), "any value")


def models_in(annotation: Any) -> list[Block]:
    """The blocks a field may hold."""
    if isinstance(annotation, type) and issubclass(annotation, SpecModel):
        return list(annotation.variants())
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return list(dict.fromkeys(found for inner in typing.get_args(annotation) for found in models_in(inner)))


if __name__ == "__main__":
    for target, page in pages().items():
        target.write_text(page, encoding="utf-8")
