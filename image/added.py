"""Prints of a lock on standard input, with hashes, what another lock does not have: `added.py BASE < LOCK`."""

from __future__ import annotations

import re
import sys
from pathlib import Path


def entries(lock: str) -> list[str]:
    """Each package of a lock: its line, and those of its hashes."""
    return re.split(r"\n(?=\S)", lock.strip())


if __name__ == "__main__":
    known = set(entries(Path(sys.argv[1]).read_text()))
    print("\n".join(entry for entry in entries(sys.stdin.read()) if entry not in known))
