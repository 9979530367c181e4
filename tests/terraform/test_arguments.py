"""Resources have the arguments of the provider, variables have types, and versions are pinned."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from deploy_files import DEPLOY, hcl_files, read_hcl

ARGUMENTS = json.loads(Path(__file__).with_name("aws_arguments.json").read_text())
META = {"for_each", "count", "depends_on", "provider", "lifecycle", "dynamic", "__is_block__", "__comments__"}
"""Arguments that every resource takes."""

FILES = list(hcl_files(DEPLOY))


def test_deploy_has_files() -> None:
    assert len(FILES) > 10


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_arguments_are_those_of_the_provider(path: Path) -> None:
    faults = []
    for kind, name, body in _resources(read_hcl(path)):
        assert kind in ARGUMENTS, f"{kind} is not in aws_arguments.json: add it to list_arguments.py"
        faults += [f"{kind}.{name}: {fault}" for fault in _faults(body, ARGUMENTS[kind])]
    assert faults == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"name": '"x"', "trust": '"y"'}, ["`trust` is not an argument", "`assume_role_policy` is missing"]),
        ({"assume_role_policy": '"x"', "inline_policy": [{"nam": '"x"'}]}, ["inline_policy: `nam` is not an argument"]),
    ],
)
def test_wrong_arguments_are_reported(body: dict[str, Any], expected: list[str]) -> None:
    assert list(_faults(body, ARGUMENTS["aws_iam_role"])) == expected


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_variables_and_outputs_are_described(path: Path) -> None:
    blocks = read_hcl(path)
    for kind, needed in (("variable", ("type", "description")), ("output", ("description", "value"))):
        for block in blocks.get(kind, []):
            for name, body in block.items():
                assert [key for key in needed if key not in body] == [], f"{kind} {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_every_variable_is_used(path: Path) -> None:
    texts = "\n".join(other.read_text() for other in path.parent.glob("*.tf"))
    names = [name.strip('"') for block in read_hcl(path).get("variable", []) for name in block]
    assert [name for name in names if texts.count(f"var.{name}") < 1] == []


def test_versions_are_pinned() -> None:
    for folder in {path.parent for path in FILES}:
        settings = [block for path in hcl_files(folder) for block in read_hcl(path).get("terraform", [])]
        assert any("required_version" in block for block in settings), folder
    providers = [
        block for path in FILES for block in read_hcl(path).get("terraform", []) if "required_providers" in block
    ]
    for block in providers:
        for group in block["required_providers"]:
            for name, provider in group.items():
                if name != "__is_block__":
                    assert provider["version"].strip('"').startswith("~> "), name


def _resources(blocks: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for block in blocks.get("resource", []):
        for kind, named in block.items():
            for name, body in named.items():
                yield kind.strip('"'), name.strip('"'), body


def _faults(body: Mapping[str, Any], allowed: Mapping[str, Any]) -> Iterator[str]:
    given = {name: value for name, value in body.items() if name not in META}
    for block in body.get("dynamic", []):
        for name, dynamic in block.items():
            if name != "__is_block__":
                given[name.strip('"')] = dynamic["content"]
    known = {name: argument for name in given if (argument := _argument(name, allowed)) is not None}
    for name, value in given.items():
        if name not in known:
            yield f"`{name}` is not an argument"
        elif isinstance(value, list) and all(isinstance(item, dict) for item in value) and "block" in known[name]:
            for item in value:
                yield from (f"{name}: {fault}" for fault in _faults(item, known[name]["block"]))
    names = {allowed_name for allowed_name in allowed for name in given if allowed_name in _spellings(name)}
    for name, argument in allowed.items():
        if argument["required"] and name not in names:
            yield f"`{name}` is missing"


def _argument(name: str, allowed: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return an argument. pulumi-aws has the plural of a block that may come several times."""
    return next((allowed[spelling] for spelling in _spellings(name) if spelling in allowed), None)


def _spellings(name: str) -> tuple[str, ...]:
    return name, f"{name}s", f"{name[:-1]}ies" if name.endswith("y") else name
