"""A project with one finished run, for tests of what happens next."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

import pytest
from project import Project

sys.path.insert(0, str(Path(__file__).parent))
from outcomes import FIRST, SECOND, assert_all_is_published


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose first run succeeded, one for all processes of the tests. Copy it; never change it."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # xdist gives each of its processes a folder below one of this session
    project = Project(folder / "finished")
    with (folder / "finished.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not project.folder.exists():
            Project.make(project.folder).land(FIRST)
            ran = project.run(FIRST)
            assert ran.code == 0, ran.text
    assert_all_is_published(project)
    return project


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished project in which one more day has landed."""
    copy = finished.copy(tmp_path / "project")
    copy.land(SECOND)
    return copy
