"""Missing requirements of Spark are reported with the key of the YAML, before anything is started."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_wall.clusters import spark_setup
from airflow_wall.clusters.base import ClusterSite, Owner
from airflow_wall.clusters.documents import SparkDocument, new_document, parse_document
from airflow_wall.clusters.kinds.spark import SparkCluster, check_reachable
from airflow_wall.clusters.spark_setup import check_conf, check_memory, find_spark
from airflow_wall.engines.spark_request import VARIABLE
from airflow_wall.errors import ClusterError, Interrupted
from airflow_wall.lake.lake import Lake


def error_text(call: Any, *arguments: Any) -> str:
    with pytest.raises((ClusterError, Interrupted)) as error:
        call(*arguments)
    return str(error.value)


@pytest.fixture
def pyspark(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A `pyspark` that is found, and never imported."""
    (tmp_path / "pyspark").mkdir()
    (tmp_path / "pyspark" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "pyspark", raising=False)
    return tmp_path / "pyspark"


def test_pyspark_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark_setup.importlib.util, "find_spec", lambda name: None)
    assert error_text(find_spark, {}) == (
        f"`cluster.type: spark` needs the package `pyspark`, which `{sys.executable}` does not have\n\n"
        "hint: run `pip install 'airflow-wall[spark]'`, or set `cluster.python` to an interpreter that has it"
    )


def test_python_is_missing_or_has_not_what_is_needed(tmp_path: Path) -> None:
    assert error_text(find_spark, {"python": "/nowhere/python"}) == (
        "`cluster.python: /nowhere/python` cannot be run: [Errno 2] No such file or directory: '/nowhere/python'\n\n"
        "hint: correct the path"
    )
    other = tmp_path / "python"
    other.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'pyspark'\" >&2\nexit 1\n")
    other.chmod(0o755)
    assert error_text(find_spark, {"python": str(other)}).startswith(
        f"`cluster.python: {other}` does not have the packages that a job on Spark needs: "
        "ModuleNotFoundError: No module named 'pyspark'"
    )


def test_java_is_missing(pyspark: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    assert error_text(find_spark, {}) == (
        "`cluster.type: spark` needs Java 17 or later: there is no `java` on the PATH, and JAVA_HOME is not set\n\n"
        "hint: install Java 17 or later on the workers, e.g. Debian's `openjdk-17-jre-headless`"
    )
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    assert "JAVA_HOME is `/nowhere`" in error_text(find_spark, {})


def test_java_is_old(pyspark: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    java = tmp_path / "bin" / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.20\" 2023-07-18' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert f'`{java} -version` prints: openjdk version "11.0.20"' in error_text(find_spark, {})
    java.write_text("#!/bin/sh\necho 'openjdk version \"21.0.1\" 2023-10-17' >&2\n")
    assert find_spark({}) == pyspark


def test_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark_setup, "_memory_of_this_machine", lambda: 4096)
    check_memory({"workers": {"count": 4, "memory": "1GB"}})
    assert error_text(check_memory, {"workers": {"count": 3, "memory": "2GB"}}) == (
        "`cluster.workers`: 3 workers of 2GB need 6144 MB, and this machine has 4096 MB\n\n"
        "hint: lower `workers.count` or `workers.memory`"
    )
    assert error_text(check_memory, {"workers": {"memory": "1GB"}, "parallel_jobs": 3}) == (
        "`cluster.workers.memory: 1GB` is too little for 3 jobs at once: Spark needs 512MB each\n\n"
        "hint: raise `workers.memory`, or lower `parallel_jobs`"
    )


def test_configuration_without_a_yaml_is_looked_at_too() -> None:
    check_conf({"conf": {"spark.sql.shuffle.partitions": 8}})
    check_conf({"master": "spark://h:1", "conf": {"spark.cores.max": 8}})
    assert "`spark.master`, which airflow-wall decides" in error_text(check_conf, {"conf": {"spark.master": "x"}})
    assert "`spark.cores.max`, which follows from `workers`" in error_text(check_conf, {"conf": {"spark.cores.max": 8}})
    secret = error_text(check_conf, {"conf": {"spark.hadoop.fs.s3a.secret.key": "canary"}})
    assert "Spark shows its configuration in its UI" in secret
    assert "canary" not in secret


def test_master_that_does_not_answer() -> None:
    assert error_text(check_reachable, "spark://127.0.0.1:9") == (
        "`cluster.master: spark://127.0.0.1:9` cannot be reached: [Errno 111] Connection refused\n\n"
        "hint: correct the address, or start that master; without `master` a cluster is started for the run"
    )


def test_driver_has_the_address_that_a_master_of_others_is_reached_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine with two networks has one name for both, and executors are in one of them."""
    monkeypatch.delenv("SPARK_LOCAL_IP", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        master = f"spark://127.0.0.1:{listening.getsockname()[1]}"
        site = ClusterSite(Lake(tmp_path), Owner("test", "orders", "manual"), lambda kind, config: pytest.fail(kind))
        cluster = SparkCluster("wall-orders", {"type": "spark", "master": master}, site)
        written = {**new_document(cluster.name, cluster.config, site), "state": "running", "master": master}
        document = parse_document(SparkDocument, written, cluster.name, str(cluster.document))
        assert document is not None
        environment = cluster._environment(document, Path("/spark"), "/scratch", tmp_path)
        assert environment["SPARK_LOCAL_IP"] == "127.0.0.1"
        assert json.loads(environment[VARIABLE])["conf"] == {"spark.driver.host": "127.0.0.1"}
        named = SparkCluster("wall-orders", {**cluster.config, "conf": {"spark.driver.host": "gateway"}}, site)
        environment = named._environment(document, Path("/spark"), "/scratch", tmp_path)
        assert json.loads(environment[VARIABLE])["conf"] == {"spark.driver.host": "gateway"}
