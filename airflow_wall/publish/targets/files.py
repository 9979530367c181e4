"""The target `files`: a directory of the lake."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from airflow_wall.publish.targets.base import Target

if TYPE_CHECKING:
    from airflow_wall.publish.base import ReleaseSite, TargetWriter


class FilesTarget(Target):
    """A directory of Parquet or CSV files in `published` of the lake."""

    form: ClassVar[str] = "files://NAME"
    in_lake: ClassVar[bool] = True

    def open(self, site: ReleaseSite) -> TargetWriter:
        """See `Target.open`."""
        from airflow_wall.publish.files import FilesWriter

        return FilesWriter(self, site)
