"""Clusters that no cloud lists: each is a document in the lake, which says whose it is and until when it may live."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow_wall import state
from airflow_wall.clusters.base import Cluster, Found, Owner, Site, duration_of
from airflow_wall.clusters.cloud import LONGEST


def path_of(name: str, site: Site) -> Path:
    """Where the document of a cluster is."""
    return site.state / "clusters" / f"{name}.json"


def begun(name: str, config: Mapping[str, Any], site: Site) -> dict[str, Any]:
    """What the document of a new cluster says first, whatever its kind."""
    now = site.clock.now()
    return {
        "type": config["type"],
        "name": name,
        "id": uuid.uuid4().hex,
        "owner": asdict(site.owner),
        "started": now.isoformat(),
        "lease": (now + duration_of(config, "max_ttl", LONGEST)).isoformat(),
    }


class DocumentFleet:
    """
    All clusters of one kind, as their documents in one lake say.

    :param kind: The `type`.
    :param open_cluster: Gives the cluster of a name.
    """

    def __init__(self, kind: str, site: Site, open_cluster: Callable[[str, Mapping[str, Any], Site], Cluster]) -> None:
        self.kind = kind
        self.site = site
        self.open_cluster = open_cluster

    def list(self) -> Sequence[Found]:
        """Those that have a document."""
        paths = sorted((self.site.state / "clusters").glob("*.json"))
        return [found for path in paths if (found := self._found(path)) is not None]

    def end(self, found: Found) -> None:
        """Stop it, unless the document is of another one by now."""
        document = state.read(path_of(found.name, self.site))
        if document is not None and document.get("id") == found.id:
            self.open_cluster(found.name, {"type": self.kind}, self.site).delete()

    def _found(self, path: Path) -> Found | None:
        document = state.read(path)
        if document is None or document.get("type") != self.kind or "lease" not in document:
            return None  # gone meanwhile, or what another kind keeps here
        how = self.open_cluster(document["name"], document, self.site).state()
        if how is None:
            return None
        return Found(
            name=document["name"],
            id=document["id"],
            state=how,
            owner=Owner(**document["owner"]),
            created=datetime.fromisoformat(document["started"]),
            lease=datetime.fromisoformat(document["lease"]),
            nodes=1,
        )
