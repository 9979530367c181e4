"""
The chart's containers as processes of this machine, as near to what a kubelet makes of them as bubblewrap allows.

Command, environment, airflow.cfg and mounts are those that Helm renders; the root is read-only, the user has the pod's
uid, and signals go through dumb-init, as in the image. What differs: the programs are those of this Python; all pods
share their ports, so each is given some of its own; services are found by /etc/hosts.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

HOME = "/opt/airflow"
SERVICES = ("api-server", "statsd")
PROGRAMS = (str(Path(__file__).parents[2]), sys.prefix)
"""The checkout and its Python, which an empty folder of the container would hide, e.g. `/tmp`."""


def tools() -> tuple[str, str]:
    """The paths of bubblewrap and dumb-init; skips the test where they are missing."""
    found = [shutil.which(name) for name in ("bwrap", "dumb-init")]
    if None in found:
        pytest.skip("`bwrap` and `dumb-init` are needed (Debian: `apt install bubblewrap dumb-init`)")
    bwrap, dumb_init = map(str, found)
    trial = subprocess.run(
        [bwrap, "--unshare-user", "--uid", "50000", "--ro-bind", "/", "/", "true"], capture_output=True
    )
    if trial.returncode:
        pytest.skip(f"no user namespaces here: {trial.stderr.decode().strip()}")
    return bwrap, dumb_init


class Node:
    """
    A stand-in for the node on which the pods of one release run.

    :param folder: For what they write.
    :param config: airflow.cfg of the release.
    :param secrets: Name of a Secret to its keys.
    :param shared: A folder that every pod can write, as a stand-in for what tasks work on.
    """

    def __init__(self, folder: Path, config: str, secrets: Mapping[str, Mapping[str, str]], shared: Path) -> None:
        self.folder = folder
        self.secrets = secrets
        self.shared = shared
        self.bwrap, self.dumb_init = tools()
        self.home = folder / "home"
        (self.home / "dags/chart").mkdir(parents=True)
        (self.home / "logs").mkdir()
        (self.home / "webserver_config.py").touch()
        (self.home / "airflow.cfg").write_text(config, encoding="utf-8")
        self.pipelines, self.users, self.auth = folder / "pipelines", folder / "users", folder / "auth"
        for each in (self.pipelines, self.users, self.auth, self.home / "auth"):
            each.mkdir()
        self.addresses = (f"127.1.{n // 250}.{n % 250 + 1}" for n in range(10_000))

    def start(self, pod: Mapping[str, Any], name: str, container: str | None = None, **environment: str) -> Container:
        """Start a container of a pod, by default its first; `environment` comes on top."""
        all_of_them = [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
        (found,) = [each for each in all_of_them if each["name"] == (container or pod["spec"]["containers"][0]["name"])]
        return Container(self, pod, found, name, environment)


class Container:
    """
    A running container.

    :param node: Where it runs.
    :param pod: What Helm made of its pod.
    :param spec: What Helm made of it.
    :param name: Host name, and that of its files.
    :param extra: Variables on top of its own.
    """

    def __init__(
        self, node: Node, pod: Mapping[str, Any], spec: Mapping[str, Any], name: str, extra: Mapping[str, str]
    ) -> None:
        self.node, self.pod, self.spec, self.name, self.extra = node, pod, spec, name, extra
        self.logs = node.folder / f"{name}-logs"
        self.logs.mkdir(exist_ok=True)
        self.console = node.folder / f"{name}.log"
        # As the kubelet writes it: a pod's own name has its address.
        services = "".join(f"127.0.0.1 wall-airflow-wall-{service}.data.svc\n" for service in SERVICES)
        self.hosts = node.folder / f"{name}.hosts"
        self.hosts.write_text(f"127.0.0.1 localhost\n{next(node.addresses)} {name}\n{services}", encoding="utf-8")
        with self.console.open("ab") as console:
            self.process = subprocess.Popen(
                [*self._box(), node.dumb_init, "--", *self._command(spec.get("command") or spec["args"])],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _box(self) -> list[str]:
        user = self.pod["spec"]["securityContext"]
        assert self.spec["securityContext"]["readOnlyRootFilesystem"] is True
        node = self.node
        volumes = {
            "config": None,
            "logs": self.logs,
            "pipelines": node.pipelines,
            "users": node.users,
            "auth": node.auth,
        }
        mounts: list[str] = []
        for mount in self.spec["volumeMounts"]:
            if mount["name"] == "tmp":
                mounts += ["--tmpfs", mount["mountPath"]]
            elif (source := volumes[mount["name"]]) is not None:
                mounts += ["--ro-bind" if mount.get("readOnly") else "--bind", str(source), mount["mountPath"]]
        return [
            node.bwrap, "--die-with-parent", "--unshare-user", "--uid", str(user["runAsUser"]), "--gid", str(user["runAsGroup"]),
            "--unshare-uts", "--hostname", self.name,
            "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc",
            "--ro-bind", str(self.hosts), "/etc/hosts",
            "--tmpfs", "/opt", "--tmpfs", "/run", "--ro-bind", str(node.home), HOME, *mounts,
            *(word for path in PROGRAMS for word in ("--ro-bind", path, path)),
            "--bind", str(node.shared), "/opt/shared",
            "--chdir", HOME,
        ]  # fmt: skip

    @staticmethod
    def _command(words: list[str]) -> list[str]:
        programs = {"airflow": [sys.executable, "-m", "airflow"], "python": [sys.executable]}
        return [*programs.get(words[0], words[:1]), *words[1:]]

    def _environment(self) -> dict[str, str]:
        """Return the container's variables; of this process it has only the search path."""
        given = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "AIRFLOW_HOME": HOME, "HOME": "/tmp"}
        for each in self.spec.get("env", []):
            if "value" in each:
                given[each["name"]] = each["value"]
            else:
                reference = each["valueFrom"]["secretKeyRef"]
                given[each["name"]] = self.node.secrets[reference["name"]][reference["key"]]
        return {**given, "PYTHONUNBUFFERED": "1", "NO_PROXY": "*", "no_proxy": "*", **self.extra}

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command as in the container, e.g. that of a probe."""
        return subprocess.run(
            [*self._box(), *self._command(list(command))],
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=120,
        )

    def terminate(self) -> None:
        """SIGTERM to the container's first process, as the kubelet does; it does not wait."""
        (first,) = psutil.Process(self.process.pid).children()
        assert first.name() == "dumb-init", first.name()
        first.send_signal(signal.SIGTERM)

    def wait(self, seconds: float) -> int:
        """Its exit code, once it has ended by itself."""
        return self.process.wait(seconds)

    def output(self) -> str:
        """Its output."""
        return self.console.read_text(encoding="utf-8", errors="replace")

    def kill(self) -> None:
        """End it at once, with all its processes."""
        tree = []
        if psutil.pid_exists(self.process.pid) and self.process.poll() is None:
            tree = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        for process in tree:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        self.process.wait()


def completed(container: Container, seconds: float = 180) -> Container:
    """Wait until a container has done its work; fail unless it did."""
    code = container.wait(seconds)
    assert code == 0, f"{container.name} exited with {code}\n{container.output()[-4000:]}"
    return container


def until_up(container: Container, ready: Any, seconds: float = 300) -> None:
    """Wait until a container is ready; fail where it ends before."""
    deadline = time.monotonic() + seconds
    while not ready():
        assert container.process.poll() is None, f"{container.name} has ended\n{container.output()[-4000:]}"
        assert time.monotonic() < deadline, f"{container.name} is not ready\n{container.output()[-4000:]}"
        time.sleep(0.3)
