"""Parse requirements in pip's syntax, e.g. `pandas<3`, so that only the parsed parts are passed on to pip."""

from __future__ import annotations

import re
from dataclasses import dataclass

_OPTION = re.compile(r"-{1,2}[A-Za-z]")
_HASH = re.compile(r"--hash=(?P<algorithm>sha256|sha384|sha512):(?P<digest>[0-9a-f]+)")
_DIGITS = {"sha256": 64, "sha384": 96, "sha512": 128}
_SINGLE_EQUALS = re.compile(r"(?<=[A-Za-z0-9_. \]])=(?=[\d ])")


class RequirementFault(ValueError):
    """
    Raised when a text is not a requirement.

    :param expected: What the text must be, e.g. `must be a package, not an option`.
    :param hint: How to fix it.
    """

    def __init__(self, expected: str, hint: str) -> None:
        super().__init__(expected)
        self.expected = expected
        self.hint = hint


@dataclass(frozen=True)
class ParsedRequirement:
    """
    One requirement.

    :param name: The normalized name of the package.
    :param url: The address it is installed from; None for the package index.
    :param line: The requirement as one line of a requirements file, written from its parsed parts.
    """

    name: str
    url: str | None
    line: str


def parse_requirement(text: str) -> ParsedRequirement:
    """
    Return the parsed requirement.

    :raises RequirementFault: the text is not exactly one requirement, optionally followed by hashes.
    """
    from packaging.requirements import InvalidRequirement, Requirement  # most files have no requirements
    from packaging.utils import canonicalize_name

    if _OPTION.match(text):
        hint = "name packages only; the deployment names the index, by UV_DEFAULT_INDEX or PIP_INDEX_URL"
        raise RequirementFault("must be a package, not an option", hint)
    if not text.isprintable() or "\\" in text:
        # Such a character can end a line, or join it with the next one.
        hint = "write each package as an entry of its own, without line breaks, tabs and backslashes"
        raise RequirementFault("must be one line of printable characters", hint)
    body, *hashes = text.split(" --hash=")
    try:
        requirement = Requirement(body)
    except InvalidRequirement:
        corrected = _SINGLE_EQUALS.sub("==", text)
        hint = "write a name and versions, e.g. `pandas<3` or `pandas[parquet]>=2.2,<3`"
        hint = hint if corrected == text else f"did you mean `{corrected}`?"
        raise RequirementFault("must be a package as pip knows it", hint) from None
    options = [_checked_hash(f"--hash={part.strip()}") for part in hashes]
    return ParsedRequirement(
        canonicalize_name(requirement.name), requirement.url, " ".join((str(requirement), *options))
    )


def _checked_hash(option: str) -> str:
    match = _HASH.fullmatch(option)
    if match is None or len(match["digest"]) != _DIGITS[match["algorithm"]]:
        hint = "write e.g. `pandas==2.3.1 --hash=sha256:` and 64 hexadecimal digits in lower case"
        raise RequirementFault("must have hashes as pip writes them", hint)
    return option
