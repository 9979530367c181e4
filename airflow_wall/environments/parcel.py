"""
The part of this package that jobs need, as one file that travels: a zip that Python runs, without Airflow.

`python PARCEL` does what `python -m airflow_wall.jobs` does. Its name is the hash of its content, and the same package
gives the same bytes.
"""

from __future__ import annotations

import functools
import hashlib
import io
import zipfile
from pathlib import Path

from airflow_wall import state

TRAVELS = (
    "__init__.py", "checks", "connections.py", "databases.py", "digests.py", "duck.py", "environments", "errors.py",
    "jobs", "models", "processes.py", "publish", "spark_request.py", "state.py", "storage", "text",
)  # fmt: skip
"""Of this package. The import contract says that none of it imports Airflow; a test, that jobs need no more of it."""

_PACKAGE = Path(__file__).parents[1]
_MAIN = "import sys\n\nfrom airflow_wall.jobs.__main__ import main\n\nsys.exit(main())\n"
_NO_TIME = (1980, 1, 1, 0, 0, 0)


def parcel(folder: Path) -> Path:
    """Have the parcel in a folder, and return its path."""
    content = _content()
    path = folder / f"airflow-wall-{hashlib.sha256(content).hexdigest()[:16]}.zip"
    if not path.exists():
        state.write_bytes(path, content)
    return path


@functools.cache
def _content() -> bytes:
    files = {"__main__.py": _MAIN.encode()}
    for name in TRAVELS:
        path = _PACKAGE / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            files[file.relative_to(_PACKAGE.parent).as_posix()] = file.read_bytes()
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _NO_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return written.getvalue()
