"""The target `files`: a directory of the lake."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from airflow_wall.connections.dataset_names import DatasetName, name_of_uri
from airflow_wall.publish.targets.base import Target
from airflow_wall.text.reserved import PUBLISHED

if TYPE_CHECKING:
    from airflow_wall.connections.info import Connections
    from airflow_wall.job import Run
    from airflow_wall.publish.base import ReleaseSite, TargetWriter


class FilesTarget(Target):
    """A directory of Parquet or CSV files in `published` of the lake."""

    form: ClassVar[str] = "files://NAME"
    in_lake: ClassVar[bool] = True

    def dataset(self, run: Run, connections: Connections) -> DatasetName:  # noqa: ARG002
        """Return the name of the directory."""
        return name_of_uri(run.storage.uri(f"{PUBLISHED}/{self.name}"))

    def open(self, site: ReleaseSite) -> TargetWriter:
        """See `Target.open`."""
        from airflow_wall.publish.files import FilesWriter

        return FilesWriter(self, site)
