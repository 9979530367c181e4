"""Which processes there are on this machine, and who started whom."""

from __future__ import annotations

from pathlib import Path


def all_processes() -> list[int]:
    """Ids of all processes of this machine."""
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def parent(pid: int) -> int:
    """Id of the process that started this one."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])
