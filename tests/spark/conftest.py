from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from spark_clusters import SMALL, processes_of, site_of, until

from airflow_wall.clusters.kinds.spark import SparkCluster


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if shutil.which("java") is None:
        for item in (item for item in items if item.path.parent == Path(__file__).parent):
            item.add_marker(pytest.mark.skip(reason="there is no Java: apt-get install openjdk-17-jre-headless"))


@pytest.fixture
def cluster_of(tmp_path: Path) -> Iterator[Callable[..., SparkCluster]]:
    """Makes clusters; none of their processes may be left at the end of the test."""
    made: list[SparkCluster] = []

    def make(name: str, **config: Any) -> SparkCluster:
        cluster = SparkCluster(name, {**SMALL, **config}, site_of(tmp_path))
        made.append(cluster)
        return cluster

    yield make
    for cluster in made:
        cluster.delete()
        until(lambda: not processes_of(cluster.name), 60)  # noqa: B023


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkCluster]:
    """A cluster that tests share which do not break it."""
    cluster = SparkCluster(f"wall-shared-{os.getpid()}", SMALL, site_of(tmp_path_factory.mktemp("shared")))
    cluster.ensure()
    yield cluster
    cluster.delete()
    until(lambda: not processes_of(cluster.name), 60)
