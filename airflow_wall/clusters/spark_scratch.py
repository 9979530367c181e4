"""
The directory for the temporary files of one Spark cluster, on each machine that has a process of it.

Its path is computed from the cluster's name and id. A marker file in it names the cluster's document. A directory
without that marker is never removed, because it belongs to somebody else.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from airflow_wall.errors import ClusterError

_MARK = ".airflow-wall-cluster"


class Scratch:
    """
    The temporary directory of one Spark cluster.

    :param document: Path of the cluster's document; its stem is the cluster's name.
    :param cluster_id: The `id` in the document.
    """

    def __init__(self, document: Path, cluster_id: str) -> None:
        self.path = Path(tempfile.gettempdir()) / f"airflow-wall-{document.stem}-{cluster_id[:8]}"
        self.mark = f"{document.resolve()}\n{cluster_id}\n"

    def make(self) -> Path:
        """
        Create the directory if it does not exist, and return its path.

        :raises ClusterError: the path belongs to another user or another cluster.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True)
        except FileExistsError:
            if not self._is_ours():
                hint = "remove this path, and clear the `start_cluster` task"
                raise ClusterError(f"`{self.path}` exists and does not belong to this cluster", hint=hint) from None
        else:
            (self.path / _MARK).write_text(self.mark, encoding="utf-8")
        return self.path

    def remove(self) -> None:
        """Remove the directory with its content. Do nothing if it does not belong to this cluster."""
        if self._is_ours():
            shutil.rmtree(self.path, ignore_errors=True)

    def _is_ours(self) -> bool:
        try:
            mine = self.path.stat(follow_symlinks=False).st_uid == os.geteuid() and not self.path.is_symlink()
            return mine and (self.path / _MARK).read_text(encoding="utf-8") == self.mark
        except OSError:
            return False
