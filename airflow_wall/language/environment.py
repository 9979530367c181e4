"""The environment of the steps that compute: `requirements`, `python` and `image`, of a step or of a pipeline."""

from __future__ import annotations

import posixpath
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from airflow_wall.text.kinds import FieldKind
from airflow_wall.text.requirements import RequirementFault, parse_requirement

KEYS = ("requirements", "python", "image")
"""Keys of a step and of a pipeline that set the environment."""

VERSION = re.compile(r"3\.\d{1,2}(\.\d{1,2})?")
"""A version of Python, not the path of an interpreter."""

_IMAGE = re.compile(r"[a-z0-9][A-Za-z0-9._/:@-]*")


def _list(value: Any) -> Any:
    if isinstance(value, str):
        hint = "write a list, e.g. `requirements: [pandas<3]`, or the name of a `.txt` file beside the pipeline"
        raise PydanticCustomError("requirements", "must be a list of packages", {"hint": hint})
    return value


def checked_requirement(text: str) -> str:
    """
    Return a requirement written from its parsed parts, e.g. `pandas<2`.

    :raises PydanticCustomError: the text is not a requirement.
    """
    try:
        return parse_requirement(text).line
    except RequirementFault as error:
        context = {"expected": error.expected, "hint": error.hint}
        raise PydanticCustomError("requirement", "{expected}", context) from None


def _python(value: str) -> str:
    if not value.startswith("/") and not VERSION.fullmatch(value):
        hint = 'write e.g. `/opt/venvs/ml/bin/python`; or, beside `requirements`, a version such as `"3.12"`'
        raise PydanticCustomError("python", "must be the absolute path of an interpreter, or a version", {"hint": hint})
    return posixpath.normpath(value)


def _image(value: str) -> str:
    if not _IMAGE.fullmatch(value) or ".." in value.split("/"):
        hint = "write e.g. `registry.example.org/ml/train:1.4`"
        raise PydanticCustomError("image", "must be the name of a container image", {"hint": hint})
    return value


Requirements = Annotated[
    list[Annotated[str, AfterValidator(checked_requirement), FieldKind.REQUIREMENT]],
    BeforeValidator(_list),
    WithJsonSchema(
        {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string", "pattern": r"\.txt$"}]}
    ),
]
"""Packages in pip's syntax. If a file is named, the loader replaces it by its lines before."""

Python = Annotated[str, StringConstraints(min_length=1), AfterValidator(_python), FieldKind.PYTHON]
"""The path of an interpreter, or a version."""

Program = Annotated[str, StringConstraints(min_length=1), AfterValidator(posixpath.normpath), FieldKind.PYTHON]
"""The path of an interpreter on the machines of a cluster, normalized: the path that is checked is used."""

Image = Annotated[str, StringConstraints(min_length=1), AfterValidator(_image), FieldKind.IMAGE]
"""The name of a container image."""


def check_together(block: Any) -> None:
    """
    Check that the keys of one block go together.

    :raises PydanticCustomError: the block has both `image` and a key for a Python on this machine.
    """
    others = [key for key in ("requirements", "python") if getattr(block, key)]
    if block.image and others:
        raise PydanticCustomError(
            "one_of",
            f"must not have both `image` and `{others[0]}`",
            {"hint": f"install into the image what the code needs, and remove `{others[0]}`; or remove `image`"},
        )


def effective_environment(own: dict[str, Any], inherited: dict[str, Any]) -> dict[str, Any]:
    """
    Return the keys of the environment that a step runs in.

    :param own: The step's own keys. An empty value, `[]` or null, switches off the inherited value.
    :param inherited: The pipeline's keys.
    """
    if own.get("image"):
        inherited = {}
    elif own.get("requirements") or own.get("python"):
        inherited = {key: value for key, value in inherited.items() if key != "image"}
    merged = {key: value for key, value in {**inherited, **own}.items() if value}
    is_version = VERSION.fullmatch(merged.get("python", "")) is not None
    if is_version and "python" not in own and "requirements" not in merged:
        del merged["python"]  # the pipeline's version is only for steps with a venv of their own
    return merged
