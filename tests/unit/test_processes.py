"""Processes that end together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

PROGRAM = """
import os, time
from airflow_wall.processes import die_with_parent
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
