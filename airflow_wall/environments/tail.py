"""The log of a job elsewhere, which it writes into the lake, passed on line by line."""

from __future__ import annotations

from pathlib import Path

from airflow_wall.environments.base import Log


class Tail:
    """
    Passes on the lines of a file as they come.

    :param path: The file. It need not be there yet.
    :param log: Is given each line.
    :param at: Bytes of it that were passed on before.
    """

    def __init__(self, path: Path, log: Log, at: int = 0) -> None:
        self.path = path
        self.log = log
        self.at = at

    def read(self) -> None:
        """Pass on what came since the last call, whole lines only."""
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
