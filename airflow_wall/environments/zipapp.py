"""
The part of this package that jobs need, as one zipapp: a zip file that Python runs, without Airflow.

`python ZIPAPP` does the same as `python -m airflow_wall.jobs`. The file name is the hash of the content, and the same
package always gives the same bytes.
"""

from __future__ import annotations

import functools
import hashlib
import io
import re
import zipfile
from pathlib import Path

from airflow_wall import state
from airflow_wall.registry import installed_objects

_PACKAGE = Path(__file__).parents[1]
_IMPORT = re.compile(r"^ *(?:from|import) airflow_wall(?:\.(?P<part>\w+)| import \(?(?P<parts>[\w\s,]+))", re.MULTILINE)
_MAIN = "import sys\n\nfrom airflow_wall.jobs.__main__ import main\n\nsys.exit(main())\n"
_NO_TIME = (1980, 1, 1, 0, 0, 0)


def parcel(folder: Path) -> Path:
    """Write the zipapp to a directory, unless it is already there, and return its path."""
    content = _content()
    path = folder / f"airflow-wall-{hashlib.sha256(content).hexdigest()[:16]}.zip"
    if not path.exists():
        state.write_bytes(path, content)
    return path


@functools.cache
def _content() -> bytes:
    files = {"__main__.py": _MAIN.encode(), **_travelling_files(), **_third_party_files()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _NO_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def _travelling_files() -> dict[str, bytes]:
    """
    Return the files of the parts of `airflow_wall` that jobs import, by their path in the archive.

    A part is a module or a package at the root. It travels as a whole, because registries import modules by name. The
    import contract keeps these parts free of Airflow.
    """
    files: dict[str, bytes] = {}
    seen: set[str] = set()
    waiting = ["jobs"]
    while waiting:
        part = waiting.pop()
        if part not in seen:
            seen.add(part)
            found = {file.relative_to(_PACKAGE.parent).as_posix(): file.read_bytes() for file in _paths_of(part)}
            waiting += [name for text in found.values() for name in _imported_parts(text.decode())]
            files |= found
    init = _PACKAGE / "__init__.py"  # it imports other parts, but only for those who use them
    return {**files, init.relative_to(_PACKAGE.parent).as_posix(): init.read_bytes()}


def _paths_of(part: str) -> list[Path]:
    """Return the files of a module or a package; none for another name, e.g. `__version__`."""
    module = _PACKAGE / f"{part}.py"
    return [module] if module.exists() else sorted((_PACKAGE / part).rglob("*.py"))


def _imported_parts(text: str) -> list[str]:
    """Return the modules and packages of `airflow_wall` that a module imports."""
    matches = list(_IMPORT.finditer(text))
    listed = [name.split()[0] for match in matches for name in (match["parts"] or "").split(",") if name.strip()]
    return listed + [match["part"] for match in matches if match["part"]]


def _third_party_files() -> dict[str, bytes]:
    """Return the Python files and metadata of installed packages that bring jobs or checks, by their path."""
    groups = ("airflow_wall.jobs", "airflow_wall.checks", "airflow_wall.sources")
    points = [point for group in groups for point in installed_objects(group).values()]
    files: dict[str, bytes] = {}
    for package in {point.dist.name: point.dist for point in points if point.dist is not None}.values():
        for file in package.files or ():
            inside = not file.is_absolute() and ".." not in file.parts
            if inside and (file.suffix == ".py" or file.parts[0].endswith(".dist-info")):
                files[file.as_posix()] = file.read_binary()
    return files
