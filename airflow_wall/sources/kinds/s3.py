"""`s3://connection@bucket/path`: objects of Amazon S3, or of a store that speaks as S3 does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.sources.buckets import BucketSource

if TYPE_CHECKING:
    from obstore.store import ObjectStore


@dataclass(frozen=True)
class S3Source(BucketSource):
    """Objects of S3. A connection has the type `aws`."""

    forms = ("`s3://bucket/path`",)
    scheme = "s3"

    def store(self, connection: ConnectionInfo | None) -> ObjectStore:
        """Return a client of the bucket."""
        from airflow_wall.connections.buckets import s3_store

        return s3_store(self.bucket, connection)
