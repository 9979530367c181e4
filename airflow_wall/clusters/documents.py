"""
Clusters that no cloud lists. Each is a document in the lake with its owner and the end of its lease.

Other people can write to a lake. So a document is parsed before it is used, and it affects only the cluster of its own
name. Names, directories and programs are computed, never read from it.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints, ValidationError

from airflow_wall.clusters.base import Cluster, ClusterSite, FoundCluster, Owner, duration_of
from airflow_wall.clusters.cloud import LONGEST
from airflow_wall.errors import ClusterError, WallError
from airflow_wall.lake.documents import Documents
from airflow_wall.processes.lifetime import Identity

log = logging.getLogger(__name__)

Kind = TypeVar("Kind", bound="ClusterDocument")


class ClusterDocument(BaseModel):
    """The fields that the document of every cluster has."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: str
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,99}$")]
    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    owner: Owner
    started: AwareDatetime
    lease: AwareDatetime


class SparkDocument(ClusterDocument):
    """The fields that the document of a Spark cluster has."""

    type: Literal["spark"]
    state: Literal["starting", "running", "broken"]
    watchdog: Identity | None = None
    seen: AwareDatetime | None = None
    master: str | None = None
    ui: str | None = None
    reason: dict[str, str | None] | None = None


FOLDER = "clusters"
"""Folder of our own state that the documents are in."""


def path_of(name: str, site: ClusterSite) -> Path:
    """Return the path of the document of a cluster that belongs to this machine."""
    return site.state / FOLDER / f"{name}.json"


def new_document(name: str, config: Mapping[str, Any], site: ClusterSite) -> dict[str, Any]:
    """Return the first document of a new cluster, with the fields that all kinds share."""
    now = site.clock.now()
    return {
        "type": config["type"],
        "name": name,
        "id": uuid.uuid4().hex,
        "owner": asdict(site.owner),
        "started": now.isoformat(),
        "lease": (now + duration_of(config, "max_ttl", LONGEST)).isoformat(),
    }


def parse_document(kind: type[Kind], document: Mapping[str, Any] | None, name: str, place: str) -> Kind | None:
    """
    Return the parsed document of the cluster with a name; None if there is none.

    :param place: Path or address of the document, for messages.
    :raises ClusterError: the document is not valid, or belongs to another cluster.
    """
    if document is None:
        return None
    try:
        cluster = kind.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "document"
        raise _invalid_document(name, place, f"`{where}`: {first['msg']}") from None
    if cluster.name != name:
        raise _invalid_document(name, place, f"its `name` is `{cluster.name}`")
    return cluster


def _invalid_document(name: str, place: str, why: str) -> ClusterError:
    hint = "remove this file, and find out who wrote it; its cluster, if there is one, ends with its lease"
    return ClusterError(f"`{place}` is not a valid document of cluster `{name}`: {why}", hint=hint)


class DocumentFleet:
    """
    All clusters of one kind that have a document in one lake.

    :param kind: The `type` of the clusters.
    :param open_cluster: Returns the cluster with a name.
    """

    def __init__(
        self, kind: str, site: ClusterSite, open_cluster: Callable[[str, Mapping[str, Any], ClusterSite], Cluster]
    ) -> None:
        self.kind = kind
        self.site = site
        self.open_cluster = open_cluster

    def list(self) -> Sequence[FoundCluster]:
        """Return the clusters that have a document. An invalid file is skipped with a warning."""
        lake = self.site.lake
        if lake.leads_out(lake.state_key(FOLDER)):
            place = lake.place(lake.state_key(FOLDER))
            log.warning("`%s` is skipped: it is or contains a link that leads out of the lake", place)
            return []
        clusters = (self._cluster(key) for key in self._documents.below() if "/" not in key)
        return [cluster for cluster in clusters if cluster is not None]

    def end(self, cluster: FoundCluster) -> None:
        """Stop a cluster, unless its document now describes another one."""
        document = self._read(f"{cluster.name}.json")
        if document is not None and document.id == cluster.id:
            self.open_cluster(cluster.name, {"type": self.kind}, self.site).delete()

    @property
    def _documents(self) -> Documents:
        return self.site.lake.documents(FOLDER)

    def _read(self, key: str) -> ClusterDocument | None:
        place = self._documents.uri(key)
        if self.site.lake.is_link(self.site.lake.state_key(FOLDER, key)):
            log.warning("`%s` is skipped: it is a link", place)
            return None
        try:
            document = self._documents.get(key)
            if document is None or document.get("type") != self.kind or "lease" not in document:
                return None  # removed meanwhile, or a document of another kind
            return parse_document(ClusterDocument, document, key.removesuffix(".json"), place)
        except (WallError, OSError) as error:
            log.warning("%s", error)
            return None

    def _cluster(self, key: str) -> FoundCluster | None:
        document = self._read(key)
        if document is None:
            return None
        try:
            how = self.open_cluster(document.name, {"type": self.kind}, self.site).state()
        except WallError as error:
            log.warning("%s", error)
            return None
        if how is None:
            return None
        return FoundCluster(
            name=document.name,
            id=document.id,
            state=how,
            owner=document.owner,
            created=document.started,
            lease=document.lease,
            nodes=1,
        )
