"""`gs://connection@bucket/path`: objects of Google Cloud Storage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.sources.buckets import BucketSource

if TYPE_CHECKING:
    from obstore.store import ObjectStore


@dataclass(frozen=True)
class GsSource(BucketSource):
    """Objects of Google Cloud Storage. A connection has the type `google_cloud_platform`."""

    forms = ("`gs://bucket/path`",)
    scheme = "gs"

    def store(self, connection: ConnectionInfo | None) -> ObjectStore:
        """Return a client of the bucket."""
        from airflow_wall.connections.buckets import gs_store

        return gs_store(self.bucket, connection)
