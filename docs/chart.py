"""
Write `helm/values.schema.json` and `helm/README.md` from `helm/values.yaml`, the table of
`docs/deployment/from-the-official-chart.md` from `helm/removed.yaml`, and what Compose shares with the chart (settings,
metrics, alerts, dashboards): `make docs`.

In values.yaml, `# --` above a key says what it is, and `# @schema` what holds for its value beyond the type of its
default, in JSON schema's words and these of ours:

- `open: 1`: a mapping with any keys; `open: 2`: one whose values are such mappings.
- `like: path`: the schema of that other key; `without: [...]` leaves some of its keys out.
"""

from __future__ import annotations

import copy
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[1] / "helm"
MOVING = Path(__file__).parent / "deployment/from-the-official-chart.md"
COMPOSE = CHART.parent / "docker-compose.yaml"
SHARED = CHART.parent / "compose"
_SHARED = re.compile(r"(?<=\nx-outage-env: &outage-env\n).*?(?=# End of what `make docs` writes\.\n)", re.DOTALL)
_WRITTEN = "# Written by `make docs` from helm/{source}.\n"
_MARK = "<!-- Written by `make docs` from helm/removed.yaml. -->\n"
Schema = dict[str, Any]

_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
_HEAD = """\
# airflow-wall

{description}

```console
$ helm install airflow ./helm --namespace airflow --create-namespace
```

* [Installation, scaling, upgrades and security](../docs/deployment/kubernetes.md)
* [Moving from Apache Airflow's own chart](../docs/deployment/from-the-official-chart.md)

## Values

`make docs` writes this table from [values.yaml](values.yaml). An unknown key is an error. `ci/` has a values file for
each supported combination.

| key | default | description |
| --- | --- | --- |
"""


@dataclass(frozen=True)
class Key:
    """
    One key of values.yaml.

    :param path: Its keys from the top.
    :param value: Its default.
    :param words: What `# --` says.
    :param extra: What `# @schema` says.
    """

    path: tuple[str, ...]
    value: Any
    words: str
    extra: Schema


def pages(chart: Path = CHART) -> dict[Path, str]:
    """File to its text."""
    keys = read((chart / "values.yaml").read_text(encoding="utf-8"))
    removed = yaml.safe_load((chart / "removed.yaml").read_text(encoding="utf-8"))
    about = yaml.safe_load((chart / "Chart.yaml").read_text(encoding="utf-8"))
    readme = _HEAD.format(description=about["description"]) + "".join(_rows(keys))
    schema = json.dumps(_schema(keys, removed), indent=1) + "\n"
    return {
        chart / "values.schema.json": schema,
        chart / "README.md": readme,
        MOVING: _moving(removed),
        COMPOSE: _with_settings(COMPOSE.read_text(encoding="utf-8"), keys[("config",)].value),
        **_shared_files(chart / "files"),
    }


def _with_settings(compose: str, config: dict[str, dict[str, Any]]) -> str:
    """The text of docker-compose.yaml with the settings of the chart that hold on one host, too."""
    lines = (
        f'  AIRFLOW__{section.upper()}__{option.upper()}: "{value}"\n'
        for section, options in config.items()
        if section != "core"
        for option, value in options.items()
    )
    return _SHARED.sub("".join(lines), compose)


def _shared_files(files: Path) -> dict[Path, str]:
    """The files of Compose's profiles `monitoring` and `maintenance` that are those of the chart."""
    rules = []
    for path in sorted((files / "alerts").glob("*.yaml")):
        rule = yaml.safe_load(path.read_text(encoding="utf-8"))
        rule["annotations"]["runbook"] = f"docs/runbooks/{path.stem}.md"
        rules.append(rule)
    alerts = yaml.safe_dump({"groups": [{"name": "airflow-wall", "rules": rules}]}, sort_keys=False, width=120)
    dashboards = {
        SHARED / "grafana/dashboards" / path.name: path.read_text(encoding="utf-8")
        for path in sorted((files / "dashboards").glob("*.json"))
    }
    mappings = (files / "statsd-mappings.yaml").read_text(encoding="utf-8")
    backup = (files / "backup.sh").read_text(encoding="utf-8")
    return {
        SHARED / "backup.sh": _WRITTEN.format(source="files/backup.sh") + backup,
        SHARED / "alerts.yaml": _WRITTEN.format(source="files/alerts") + alerts,
        SHARED / "statsd.yaml": _WRITTEN.format(source="files/statsd-mappings.yaml") + mappings,
        **dashboards,
    }


def _moving(removed: dict[str, str]) -> str:
    """The page with its table anew."""
    above = MOVING.read_text(encoding="utf-8").partition(_MARK)[0]
    rows = "".join(f"| `{path}` | {instead} |\n" for path, instead in removed.items())
    return f"{above}{_MARK}\n| value | use |\n| --- | --- |\n{rows}"


def read(text: str) -> dict[tuple[str, ...], Key]:
    """The keys of values.yaml, those above others too, by path."""
    lines = text.splitlines()
    found: dict[tuple[str, ...], Key] = {}

    def walk(node: yaml.MappingNode, above: tuple[str, ...]) -> None:
        for name, value in node.value:
            path = (*above, name.value)
            words, extra = _comment(lines, name.start_mark.line) if _begins(lines, name) else ("", {})
            found[path] = Key(path, _value(value), words, extra)
            if isinstance(value, yaml.MappingNode) and not extra.keys() & {"open", "like"}:
                walk(value, path)

    walk(yaml.compose(text, Loader=yaml.SafeLoader), ())
    return found


def _begins(lines: list[str], node: yaml.Node) -> bool:
    return not lines[node.start_mark.line][: node.start_mark.column].strip()


def _value(node: yaml.Node) -> Any:
    return yaml.SafeLoader("").construct_document(node)


def _comment(lines: list[str], line: int) -> tuple[str, Schema]:
    """Return the comment above a line: its words, and its schema."""
    block: list[str] = []
    while line and lines[line - 1].lstrip().startswith("#"):
        line -= 1
        block.insert(0, lines[line].strip().removeprefix("#").strip())
    words: list[str] = []
    extra: Schema = {}
    for entry in block:
        if entry.startswith("@schema"):
            extra = yaml.safe_load(entry.removeprefix("@schema"))
        elif entry.startswith("--"):
            words = [entry.removeprefix("--").strip()]
        elif words:
            words.append(entry)
    return " ".join(words), extra


def _schema(keys: dict[tuple[str, ...], Key], removed: dict[str, str]) -> Schema:
    root = _object(keys, (), removed)
    root = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Values of the chart airflow-wall", **root}
    root["properties"]["global"] = {"type": "object", "description": "Set by Helm for charts within charts."}
    return root


def _object(keys: dict[tuple[str, ...], Key], above: tuple[str, ...], removed: dict[str, str]) -> Schema:
    properties = {path[-1]: _of(key, keys, removed) for path, key in keys.items() if path[:-1] == above}
    return {"type": "object", "additionalProperties": False, "properties": properties | _removed(above, removed)}


def _removed(above: tuple[str, ...], removed: dict[str, str]) -> Schema:
    """The properties that are let through to templates/_checks.tpl, which says what to use."""
    paths = ((tuple(path.split(".")), instead) for path, instead in removed.items())
    return {
        path[-1]: {"description": f"Not in this chart; use {instead}."} for path, instead in paths if path[:-1] == above
    }


def _of(key: Key, keys: dict[tuple[str, ...], Key], removed: dict[str, str]) -> Schema:
    schema: Schema = {"description": key.words} if key.words else {}
    extra = dict(key.extra)
    open_to = extra.pop("open", 0)
    if "like" in extra:
        schema |= _like(extra, keys, removed)
        if others := _removed(key.path, removed):
            schema["properties"] = schema["properties"] | others
    elif open_to:
        schema |= {"type": "object"} if open_to == 1 else {"type": "object", "additionalProperties": {"type": "object"}}
    elif isinstance(key.value, dict):
        schema |= _object(keys, key.path, removed)
    else:
        schema["type"] = _TYPES[type(key.value)]
    items = extra.pop("items", None)
    if isinstance(items, dict):
        schema["items"] = _like(items, keys, removed) if "like" in items else items
    if "properties" in schema and "properties" in extra:
        extra["properties"] = schema["properties"] | extra["properties"]
    return schema | extra


def _like(extra: Schema, keys: dict[tuple[str, ...], Key], removed: dict[str, str]) -> Schema:
    """The schema of another key; what `extra` says comes on top. Takes what it reads out of `extra`."""
    model = keys[tuple(extra.pop("like").split("."))]
    schema = copy.deepcopy(_of(model, keys, removed))
    schema.pop("description", None)
    for name in extra.pop("without", ()):
        schema["properties"].pop(name, None)
    for name, more in extra.pop("properties", {}).items():
        schema["properties"][name] = schema["properties"].get(name, {}) | more
    if "required" in extra:
        schema["required"] = extra.pop("required")
    return schema


def _rows(keys: dict[tuple[str, ...], Key]) -> list[str]:
    rows = []
    for path, key in keys.items():
        inner = any(other[: len(path)] == path and other != path for other in keys)
        if inner and not key.words:
            continue
        default = "" if inner else f"`{json.dumps(key.value, ensure_ascii=False)}`".replace("|", "\\|")
        words = key.words.replace("|", "\\|")
        rows.append(f"| `{'.'.join(path)}` | {default if len(default) < 90 else 'see values.yaml'} | {words} |\n")
    return rows


if __name__ == "__main__":
    for file, page in pages().items():
        file.write_text(page, encoding="utf-8")
