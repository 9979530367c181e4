"""Requests to clouds are built from the typed keys, and no key removes the settings that end a cluster."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_wall.clusters import dataproc_request, emr_request
from airflow_wall.clusters.base import Owner
from airflow_wall.clusters.cloud import faulty_key
from airflow_wall.errors import ClusterError

OWNER = Owner("production", "shop~orders", "manual__2024-03-02T00:00:00+00:00")
EMR = {"type": "emr", "region": "r", "image": "emr-7.9.0"}
DATAPROC = {"type": "dataproc", "region": "r", "image": "2.3-debian12"}


@pytest.mark.parametrize("text", ["scheduled__2024-03-02T00:00:00+00:00", "a~b=c", "Übung äöü", "", "=41"])
def test_a_tag_gives_back_what_was_written(text: str) -> None:
    written = emr_request.written_tag(text)
    assert emr_request.read_tag(written) == text
    assert all(char.isascii() for char in written)


def test_emr_knows_whose_it_is_by_its_tags() -> None:
    tags = emr_request.tags_of("wall-a", EMR, OWNER)
    assert emr_request.owner_of(tags) == OWNER
    assert all(len(tag["Value"]) <= 256 for tag in emr_request.tags_of("w", EMR, Owner("p", "d" * 250, "ü" * 200)))


@pytest.mark.parametrize("path", emr_request.MANAGED)
def test_a_raw_request_of_emr_takes_nothing_of_ours_away(path: str) -> None:
    with pytest.raises(ClusterError, match=rf"`cluster\.extra\.{path}` is decided by airflow-wall"):
        emr_request.request_of("wall-a", {**EMR, "extra": nested(path)}, OWNER)


@pytest.mark.parametrize("path", dataproc_request.MANAGED)
def test_a_raw_request_of_dataproc_takes_nothing_of_ours_away(path: str) -> None:
    with pytest.raises(ClusterError, match="is decided by airflow-wall"):
        dataproc_request.request_of("wall-a", {**DATAPROC, "extra": nested(path)}, OWNER)


def nested(path: str) -> dict[str, Any]:
    first, _, rest = path.partition(".")
    return {first: nested(rest) if rest else False}


def test_a_raw_request_is_laid_over_the_typed_keys() -> None:
    fleets = {"Instances": {"InstanceFleets": [1]}, "EbsRootVolumeSize": 100}
    request = emr_request.request_of("wall-a", {**EMR, "extra": fleets}, OWNER)
    assert request["EbsRootVolumeSize"] == 100
    assert request["Instances"] == {
        "KeepJobFlowAliveWhenNoSteps": True,
        "TerminationProtected": False,
        "InstanceFleets": [1],
    }
    extra = {"gce_cluster_config": {"zone_uri": "z", "metadata": {"a": "b"}}}
    config = dataproc_request.request_of("wall-a", {**DATAPROC, "extra": extra}, OWNER)["config"]
    assert config["gce_cluster_config"]["zone_uri"] == "z"
    assert config["gce_cluster_config"]["metadata"] == {
        "a": "b",
        "airflow-wall-deployment": "production",
        "airflow-wall-dag": "shop~orders",
        "airflow-wall-run": "manual__2024-03-02T00:00:00+00:00",
    }


@pytest.mark.parametrize(
    ("workers", "emr", "dataproc"),
    [
        ({"count": 4, "spot": "50%"}, [("CORE", 2), ("TASK", 2)], (2, 2)),
        ({"count": 4, "spot": "100%"}, [("CORE", 1), ("TASK", 3)], (2, 2)),
        ({"count": 2, "spot": "50%"}, [("CORE", 1), ("TASK", 1)], (2, 0)),
        ({"count": 1}, [("CORE", 1)], (1, 0)),
        ({"count": 0}, [], (0, 0)),
        (None, [("CORE", 2)], (2, 0)),
    ],
)
def test_spot_machines_are_never_all(workers: Any, emr: Any, dataproc: Any) -> None:
    groups = emr_request.request_of("w", {**EMR, "workers": workers}, OWNER)["Instances"]["InstanceGroups"]
    assert [(group["InstanceRole"], group["InstanceCount"]) for group in groups[1:]] == emr
    config = dataproc_request.request_of("w", {**DATAPROC, "workers": workers}, OWNER)["config"]
    spot = config.get("secondary_worker_config", {"num_instances": 0})["num_instances"]
    assert (config["worker_config"]["num_instances"], spot) == dataproc
    assert bool(config["software_config"]["properties"]) == (dataproc == (0, 0))


@pytest.mark.parametrize(
    ("reason", "key"),
    [
        ("The subnet subnet-1 does not exist", "`cluster.network.subnet: subnet-1`"),
        ("m5.huge is not supported by emr-7.9.0", "`cluster.image: emr-7.9.0`"),
        ("no idea", "`cluster`"),
    ],
)
def test_the_key_is_named_whose_value_the_cloud_quotes(reason: str, key: str) -> None:
    config = {**EMR, "network": {"subnet": "subnet-1"}, "workers": {"machine": "m5.huge", "count": 2}}
    assert faulty_key(config, reason) == key
