"""What the steps that compute run in: `requirements`, `python`, `image`, of a step or of a whole pipeline."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

KEYS = ("requirements", "python", "image")
"""The keys, of a step and of a pipeline."""

VERSION = re.compile(r"3\.\d{1,2}(\.\d{1,2})?")
"""A version of Python, as against the path of an interpreter."""

_IMAGE = re.compile(r"[a-z0-9][A-Za-z0-9._/:@-]*")
_SINGLE = re.compile(r"(?<=[A-Za-z0-9_. \]])=(?=[\d ])")
_OPTION = re.compile(r"-{1,2}[A-Za-z]")


def _list(value: Any) -> Any:
    if isinstance(value, str):
        hint = "write a list, e.g. `requirements: [pandas<3]`, or the name of a `.txt` file beside the pipeline"
        raise PydanticCustomError("requirements", "must be a list of packages", {"hint": hint})
    return value


def checked_requirement(text: str) -> str:
    """
    A requirement as pip knows it, e.g. `pandas<2`.

    :raises PydanticCustomError: it is none; says why.
    """
    from packaging.requirements import InvalidRequirement, Requirement  # most files have no requirements

    if _OPTION.match(text):
        hint = "name packages only; the deployment names the index, by UV_DEFAULT_INDEX or PIP_INDEX_URL"
        raise PydanticCustomError("requirement", "must be a package, not an option", {"hint": hint})
    try:
        Requirement(text.partition(" --hash=")[0])
    except InvalidRequirement:
        meant = _SINGLE.sub("==", text)
        hint = "write a name and versions, e.g. `pandas<3` or `pandas[parquet]>=2.2,<3`"
        hint = hint if meant == text else f"did you mean `{meant}`?"
        raise PydanticCustomError("requirement", "must be a package as pip knows it", {"hint": hint}) from None
    return text


def project_of(text: str) -> str | None:
    """The name of the package that a requirement is about, as the index has it; None where it is no requirement."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    try:
        return canonicalize_name(Requirement(text.partition(" --hash=")[0]).name)
    except InvalidRequirement:
        return None


def _python(value: str) -> str:
    if not value.startswith("/") and not VERSION.fullmatch(value):
        hint = 'write e.g. `/opt/venvs/ml/bin/python`; or, beside `requirements`, a version such as `"3.12"`'
        raise PydanticCustomError("python", "must be the absolute path of an interpreter, or a version", {"hint": hint})
    return value


def _image(value: str) -> str:
    if not _IMAGE.fullmatch(value):
        hint = "write e.g. `registry.example.org/ml/train:1.4`"
        raise PydanticCustomError("image", "must be the name of a container image", {"hint": hint})
    return value


Requirements = Annotated[
    list[Annotated[str, AfterValidator(checked_requirement)]],
    BeforeValidator(_list),
    WithJsonSchema(
        {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string", "pattern": r"\.txt$"}]}
    ),
]
"""Packages as pip knows them. The loader has read the file, where one was named."""

Python = Annotated[str, StringConstraints(min_length=1), AfterValidator(_python)]
"""The path of an interpreter, or a version."""

Image = Annotated[str, StringConstraints(min_length=1), AfterValidator(_image)]
"""The name of a container image."""


def check_together(given: Any) -> None:
    """
    Nothing, where the keys of one block go together.

    :raises PydanticCustomError: an image stands beside what says which Python of this machine is meant.
    """
    others = [key for key in ("requirements", "python") if getattr(given, key)]
    if given.image and others:
        raise PydanticCustomError(
            "one_of",
            f"must not have both `image` and `{others[0]}`",
            {"hint": f"install into the image what the code needs, and remove `{others[0]}`; or remove `image`"},
        )


def in_force(own: dict[str, Any], inherited: dict[str, Any]) -> dict[str, Any]:
    """
    What a step runs in.

    :param own: What the step gives; nothing, as `[]` or null, switches off what it would inherit.
    :param inherited: What the pipeline gives.
    """
    if own.get("image"):
        inherited = {}
    elif own.get("requirements") or own.get("python"):
        inherited = {key: value for key, value in inherited.items() if key != "image"}
    found = {key: value for key, value in {**inherited, **own}.items() if value}
    is_version = VERSION.fullmatch(found.get("python", "")) is not None
    if is_version and "python" not in own and "requirements" not in found:
        del found["python"]  # the pipeline means it for the venvs of the steps that have one
    return found
