"""Processes that end together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from airflow_wall.processes.lifetime import Identity

PROGRAM = """
import os, time
from airflow_wall.processes.lifetime import die_with_parent
if os.fork() == 0:
    die_with_parent()
    print(os.getpid(), flush=True)
    time.sleep(60)
os.wait()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has the signal")
def test_child_is_killed_with_its_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        os.kill(parent.pid, signal.SIGKILL)
        parent.stdout.read()  # ends when the child, which holds the other end too, is gone
    deadline = time.monotonic() + 5
    while os.path.exists(f"/proc/{child}/exe") and time.monotonic() < deadline:  # noqa: PTH110  # a link to no path
        time.sleep(0.01)
    assert not os.path.exists(f"/proc/{child}/exe")  # noqa: PTH110


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells when a process began")
def test_process_is_distinguished_from_another_with_its_pid() -> None:
    child = subprocess.Popen(["sleep", "600"])
    try:
        began = int(Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19])
        here = Identity.of_this_process().machine
        Identity(here, child.pid, began + 1).kill(lambda command: True)
        Identity("another", child.pid, began).kill(lambda command: True)
        Identity(here, child.pid, began).kill(lambda command: command == ["another"])
        time.sleep(0.1)
        assert child.poll() is None
        Identity.from_json(Identity(here, child.pid, began).to_json()).kill(lambda command: command == ["sleep", "600"])
        assert child.wait(5) == -signal.SIGKILL
        Identity(here, child.pid, began).kill(lambda command: True)  # it has ended
    finally:
        child.kill()
        child.wait()
