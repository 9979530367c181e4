"""Delete what a Delta table keeps of its older versions: files, and the statistics of their values in the log."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from airflow_wall.state import write_bytes

_ORPHAN = 3600
"""Seconds after which a file without a commit is taken for the rest of a writer that was killed."""


def purge(handle: DeltaTable, folder: Path) -> None:
    """
    Delete the files of older versions, and the values in the log of the table. Repeated, it changes nothing.

    The entries of the log stay, so that versions keep their numbers and the claims of slices.

    :param handle: The newest version.
    :param folder: Its directory.
    """
    handle.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    current = {Path(uri).name for uri in handle.file_uris()}
    for path in folder.rglob("*.parquet"):
        is_orphan = "_delta_log" not in path.parts and path.name not in current
        if is_orphan and time.time() - path.stat().st_mtime > _ORPHAN:
            path.unlink(missing_ok=True)
    log = folder / "_delta_log"
    for entry in sorted(log.glob("*.json")):
        _strip(entry, current)
    if any(log.glob("*.checkpoint*.parquet")):
        handle.create_checkpoint()
        newest = f"{handle.version():020}."
        for path in log.glob("*.checkpoint*.parquet"):
            if not path.name.startswith(newest):
                path.unlink(missing_ok=True)


def _strip(entry: Path, current: set[str]) -> None:
    """Remove the statistics of files that are not current from an entry of the log."""
    lines: list[str] = []
    has_changed = False
    for line in entry.read_text(encoding="utf-8").splitlines():
        action: dict[str, Any] = {}
        with contextlib.suppress(ValueError):
            action = json.loads(line)
        for name in ("add", "remove"):
            file = action.get(name)
            if isinstance(file, dict) and "stats" in file and Path(file["path"]).name not in current:
                del file["stats"]
                has_changed = True
        lines.append(json.dumps(action, separators=(",", ":")) if has_changed else line)
    if has_changed:
        write_bytes(entry, ("\n".join(lines) + "\n").encode())
