"""The schema for editors follows the language: no good document is red, and most faults that a schema can see are."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from airflow_wall.cli.schema import json_schema
from airflow_wall.diagnostics.faults import FaultyText
from airflow_wall.text.reader import read_file

ROOT = Path(__file__).parents[2]
CASES = ROOT / "tests" / "cases"
EDITOR = Path(__file__).parent / "editor"
VALIDATOR = jsonschema.Draft202012Validator(json_schema())

GOOD = sorted(
    [
        *(path.with_name("pipeline.yaml") for path in CASES.glob("*/expected_plan.json")),
        *(path for path in (ROOT / "docs" / "examples").rglob("*.yaml") if path.name != "connections.yaml"),
        *(ROOT / "dags").rglob("*.yaml"),
    ]
)
BAD = sorted(path.with_name("pipeline.yaml") for path in CASES.glob("*/expected_error.txt"))
UNSEEN = Path(__file__).with_name("unseen_faults.yaml")
COULD_BE_SEEN = "could_be_seen"
LEAST_SHARE = 0.8
"""Share of the cases whose fault a schema can see that are seen."""


def faults(path: Path) -> list[str]:
    documents = [document.value for document in read_file(path, "$schema") if document.value is not None]
    return [f"{list(error.path)}: {error.message}" for value in documents for error in VALIDATOR.iter_errors(value)]


@pytest.mark.parametrize("path", GOOD, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_good_document_has_no_fault(path: Path) -> None:
    assert faults(path) == []


def test_most_faults_that_a_schema_can_see_are_seen() -> None:
    seen, unseen = set(), set()
    for path in BAD:
        try:
            (seen if faults(path) else unseen).add(path.parent.name)
        except FaultyText:
            continue  # the editor's parser sees it
    kinds = {kind: block["cases"].split() for kind, block in yaml.safe_load(UNSEEN.read_text()).items()}
    listed = [case for cases in kinds.values() for case in cases]
    assert sorted(listed) == sorted(unseen), "each unseen fault is listed once, with the reason"
    assert len(seen) / (len(seen) + len(kinds[COULD_BE_SEEN])) > LEAST_SHARE


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ({"dag_id": "a", "tasks": [{"id": "a", "uses": "ingst"}]}, "uses"),
        ({"dag_id": "a", "tasks": [{"id": "a", "uses": "a.B", "with": {"x": [{"$tt": 1}]}}]}, "x"),
        ({"dag_id": "a", "schedule": "0 0 3 * * *", "tasks": [{"id": "a"}]}, "schedule"),
        ({"dag_id": "a", "timezone": "UTC+2", "tasks": [{"id": "a"}]}, "timezone"),
        ({"dag_id": "a", "start_date": "2 days", "tasks": [{"id": "a"}]}, "start_date"),
        ({"dag_id": "a", "default_args": {"retry_delay": "5 minutes"}, "tasks": [{"id": "a"}]}, "retry_delay"),
        ({"dag_id": "a", "tags": "${{ var.x }}", "tasks": [{"id": "a"}]}, "tags"),
        ({"dag_id": "a", "templates": {"t": {"retires": 3}}, "tasks": [{"id": "a"}]}, "t"),
        ({"checks": [{"row_count": {"mim": 1}}]}, "row_count"),
        ({"checks": [{"row_cout": {}}]}, 0),
    ],
)
def test_mistake_is_seen_at_its_place(text: dict[str, Any], at: str | int) -> None:
    errors = list(VALIDATOR.iter_errors(text))
    assert any(at in _places(error) for error in errors), errors


def _places(error: jsonschema.ValidationError) -> Iterator[str | int]:
    yield from error.absolute_path
    for inner in error.context or ():
        yield from _places(inner)


class Editor:
    """An editor with the YAML language server, which gives it the schema for each file."""

    def __init__(self, schema: Path) -> None:
        server = EDITOR / "node_modules" / ".bin" / "yaml-language-server"
        node = shutil.which("node")
        if node is None or not server.exists():
            pytest.skip("needs Node.js and `make editor`")
        self.schema = schema.as_uri()
        self.process = subprocess.Popen([node, server, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._send({"id": 1, "method": "initialize", "params": {
            "processId": None, "rootUri": None, "capabilities": {"workspace": {"configuration": True}}
        }})  # fmt: skip
        while self._received().get("id") != 1:
            pass
        self._send({"method": "initialized", "params": {}})

    def diagnostics(self, path: Path) -> list[str]:
        """Open a file and return what is red in it."""
        text = path.read_text(encoding="utf-8")
        document = {"uri": path.as_uri(), "languageId": "yaml", "version": 1, "text": text}
        self._send({"method": "textDocument/didOpen", "params": {"textDocument": document}})
        while True:
            message = self._received()
            if message.get("method") == "textDocument/publishDiagnostics" and message["params"]["uri"] == path.as_uri():
                return [diagnostic["message"] for diagnostic in message["params"]["diagnostics"]]

    def _send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        content = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(content), content))
        self.process.stdin.flush()

    def _received(self) -> dict[str, Any]:
        """Return the next message, after answering what the server asks for."""
        assert self.process.stdout is not None
        length = 0
        while line := self.process.stdout.readline().strip():
            if line.lower().startswith(b"content-length"):
                length = int(line.partition(b":")[2])
        message: dict[str, Any] = json.loads(self.process.stdout.read(length))
        if "method" in message and "id" in message:
            settings = {"schemas": {self.schema: "*.yaml"}, "validate": True, "schemaStore": {"enable": False}}
            items = message["params"].get("items", []) if message["method"] == "workspace/configuration" else []
            answer = [settings if item.get("section") == "yaml" else {} for item in items]
            self._send({"id": message["id"], "result": answer or None})
        return message


@pytest.fixture
def editor(tmp_path: Path) -> Iterator[Editor]:
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(json_schema()))
    editor = Editor(schema)
    with editor.process:  # closes its pipes
        yield editor
        editor.process.kill()


def test_language_server_shows_no_good_document_in_red(editor: Editor, tmp_path: Path) -> None:
    red = {}
    for index, path in enumerate(GOOD):
        text = path.read_text(encoding="utf-8")
        if "$schema: https" in text:
            continue  # it names a schema of its own
        copy = tmp_path / f"{index}.yaml"
        copy.write_text(text.replace("# yaml-language-server", "#"))
        if found := editor.diagnostics(copy):
            red[str(path)] = found
    assert red == {}


def test_language_server_words_a_mistake_plainly(editor: Editor, tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("dag_id: p\nschedule: 0 0 3 * * *\ntimezone: UTC+2\ntasks: [{id: a, retires: 3}]\n")
    found = editor.diagnostics(path)
    assert "Property retires is not allowed." in found
    assert "must be a time zone, e.g. `America/New_York` or `UTC`" in found
    assert any(message.startswith("must be a cron expression of five fields") for message in found)
