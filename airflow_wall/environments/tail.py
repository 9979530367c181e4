"""Follow the log that a remote job writes to the lake."""

from __future__ import annotations

from pathlib import Path

from airflow_wall.environments.base import Log


class Tail:
    """
    Passes on the lines of a file as they are written.

    :param path: The file. It need not exist yet.
    :param log: Called with each line.
    :param at: Number of bytes that were passed on before.
    """

    def __init__(self, path: Path, log: Log, at: int = 0) -> None:
        self.path = path
        self.log = log
        self.at = at

    def read(self) -> None:
        """Pass on the whole lines that were written since the last call."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.at)
                new = file.read()
        except FileNotFoundError:
            return
        whole = new[: new.rfind(b"\n") + 1]
        self.at += len(whole)
        for line in whole.decode(errors="replace").splitlines():
            self.log(line)
