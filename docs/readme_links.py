"""
Write the project's public address into the links of `README.md`: `make docs`.

The address is `Repository` of `[project.urls]` in pyproject.toml. The links are absolute because a package index shows
the README too, without the files beside it.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
_LINK = re.compile(r"https://[^\s()]+?(?=/(?:blob|raw)/main/)")


def public_address() -> str:
    """The public address of the repository, without a slash at the end."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["urls"]["Repository"]).rstrip("/")


def with_address(text: str) -> str:
    """The text of the README with the current address in each link to a file of the repository."""
    return _LINK.sub(public_address(), text)


if __name__ == "__main__":
    README.write_text(with_address(README.read_text(encoding="utf-8")), encoding="utf-8")
