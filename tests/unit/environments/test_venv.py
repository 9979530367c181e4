"""Venvs are created once, by one process at a time, and removed when unused. Installs are tested with a real index."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from airflow_wall import state
from airflow_wall.environments import venv
from airflow_wall.environments.base import EnvironmentCache
from airflow_wall.environments.installer import Installer, InstallError
from airflow_wall.environments.venv import UNUSED, Venvs
from airflow_wall.errors import EnvironmentFault, Interrupted

SPAWN = multiprocessing.get_context("spawn")


class Bare(Installer):
    """Creates real venvs, and installs nothing into them."""

    def install(self, folder: Path, files: Sequence[Path]) -> None:
        (folder / "installed").write_text("".join(file.read_text() for file in files))


def bare(folder: Path) -> Venvs:
    venvs = Venvs(folder)
    venvs.installer = Bare(folder, dict(os.environ))
    return venvs


def folders(path: Path) -> list[str]:
    return sorted(item.name for item in path.iterdir() if item.is_dir())


def test_venv_is_made_once_for_what_is_in_it(tmp_path: Path) -> None:
    lines: list[str] = []
    first = bare(tmp_path).provide(["a", "b<2"], None, lines.append)
    assert bare(tmp_path).provide(["b<2", "a"], None, lines.append) == first
    assert bare(tmp_path).provide(["a"], None, lines.append) != first
    assert [line for line in lines if line.startswith("creating")] == [
        "creating a venv with a, b<2 and the packages that jobs need",
        "creating a venv with a and the packages that jobs need",
    ]
    ours = subprocess.run([first, "-c", "import airflow_wall"], capture_output=True, check=False, cwd="/")
    assert ours.returncode == 1
    assert "duckdb" in (first.parents[1] / "installed").read_text()


def test_venv_that_cannot_be_filled_leaves_nothing(tmp_path: Path) -> None:
    class Full(Bare):
        def install(self, folder: Path, files: Sequence[Path]) -> None:
            raise InstallError("error: Failed to install\n  cause: No space left on device")

    venvs = Venvs(tmp_path)
    venvs.installer = Full(tmp_path, dict(os.environ))
    with pytest.raises(EnvironmentFault, match="No space left on device"):
        venvs.provide(["a"], None, lambda _: None)
    assert folders(tmp_path) == []
    assert bare(tmp_path).provide(["a"], None, lambda _: None).exists()


class Slow(Bare):
    """Signals when it starts to install, and then waits for a signal to continue."""

    begun: Event
    go_on: Event

    def install(self, folder: Path, files: Sequence[Path]) -> None:
        self.begun.set()
        assert self.go_on.wait(60)
        super().install(folder, files)


def slowly(folder: Path, begun: Event, go_on: Event) -> None:
    venvs = Venvs(folder)
    venvs.installer = Slow(folder, dict(os.environ))
    venvs.installer.begun, venvs.installer.go_on = begun, go_on
    venvs.provide(["a"], None, lambda _: None)


def test_second_task_waits_for_the_venv_of_the_first(tmp_path: Path) -> None:
    begun, go_on = SPAWN.Event(), SPAWN.Event()
    first = SPAWN.Process(target=slowly, args=(tmp_path, begun, go_on))
    first.start()
    assert begun.wait(60)
    lines: list[str] = []

    def log(line: str) -> None:
        lines.append(line)
        go_on.set()

    interpreters = bare(tmp_path).provide(["a"], None, log)
    first.join()
    assert lines == ["waiting for another task that creates this venv"]
    assert folders(tmp_path) == [interpreters.parents[1].name]


def test_killed_builder_leaves_nothing_that_is_used(tmp_path: Path) -> None:
    begun, go_on = SPAWN.Event(), SPAWN.Event()
    first = SPAWN.Process(target=slowly, args=(tmp_path, begun, go_on))
    first.start()
    assert begun.wait(60)
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    first.join()
    left = folders(tmp_path)
    assert len(left) == 1
    interpreter = bare(tmp_path).provide(["a"], None, lambda _: None)
    assert folders(tmp_path) == [interpreter.parents[1].name]
    assert folders(tmp_path) != left


def test_what_nobody_uses_is_removed_when_another_is_made(tmp_path: Path) -> None:
    venvs = bare(tmp_path)
    old, young = (venvs.provide([name], None, lambda _: None) for name in ("old", "young"))
    (document,) = (path for path in tmp_path.glob("*.json") if state.read(path)["requirements"] == ["old"])  # type: ignore[index]
    long_ago = time.time() - UNUSED.total_seconds() - 60
    os.utime(document, (long_ago, long_ago))
    venvs.provide(["young"], None, lambda _: None)
    assert old.exists()  # nothing was made
    venvs.provide(["new"], None, lambda _: None)
    assert not old.exists()
    assert not document.exists()
    assert young.exists()


def test_use_keeps_a_venv(tmp_path: Path) -> None:
    venvs = bare(tmp_path)
    interpreter = venvs.provide(["old"], None, lambda _: None)
    (document,) = tmp_path.glob("*.json")
    os.utime(document, (0, 0))
    venvs.provide(["old"], None, lambda _: None)
    venvs.provide(["new"], None, lambda _: None)
    assert interpreter.exists()


def test_venv_whose_python_is_gone_is_made_again(tmp_path: Path) -> None:
    venvs = bare(tmp_path)
    interpreter = venvs.provide(["a"], None, lambda _: None)
    interpreter.unlink()
    again = venvs.provide(["a"], None, lambda _: None)
    assert again.exists()
    assert folders(tmp_path) == [again.parents[1].name]


SAID = {
    "uv, conflict": (
        "Using Python 3.11.7 environment at: v1\nerror: No solution found when resolving dependencies\n"
        "  cause: Because you require a>=20 and a<10, we can conclude that your requirements are unsatisfiable.",
        "Because you require a>=20 and a<10, we can conclude that your requirements are unsatisfiable.",
    ),
    "uv of before, conflict": (
        "  × No solution found when resolving dependencies:\n"
        "  ╰─▶ Because you require a>=20 and a<10, we can conclude that your\n      requirements are unsatisfiable.",
        "Because you require a>=20 and a<10, we can conclude that your requirements are unsatisfiable.",
    ),
    "pip, conflict": (
        "ERROR: Cannot install a<10 and a>=20 because these package versions have conflicting dependencies.\n"
        "ERROR: ResolutionImpossible: for help visit https://pip.pypa.io/en/latest/topics/dependency-resolution/",
        "Cannot install a<10 and a>=20 because these package versions have conflicting dependencies.",
    ),
    "pip, no such package": (
        "ERROR: Could not find a version that satisfies the requirement a (from versions: none)\n"
        "ERROR: No matching distribution found for a",
        "Could not find a version that satisfies the requirement a (from versions: none) No matching distribution found for a",
    ),
}


@pytest.mark.parametrize("what", SAID)
def test_output_of_an_installer_is_reported_in_one_paragraph(what: str) -> None:
    output, reason = SAID[what]
    refused = InstallError(output)
    assert refused.is_unsolved
    assert not refused.is_absent
    assert refused.reason == reason


def test_password_of_an_index_is_hidden() -> None:
    refused = InstallError("error: Failed to fetch: `https://user:hunter2@example.org/simple/a/`\n  cause: dns error")
    assert refused.is_absent
    assert "hunter2" not in str(refused) + refused.reason


def test_cache_is_where_the_deployment_says_else_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    assert EnvironmentCache.of(None).cache == tmp_path / "user" / "airflow-wall"
    assert EnvironmentCache.of(str(tmp_path / "wall")).cache == tmp_path / "wall"


def test_cache_without_write_access_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentFault) as error:
        EnvironmentCache.of(str(tmp_path / "file" / "wall"))
    assert str(error.value) == (
        f"the cache directory of venvs `{tmp_path}/file/wall` cannot be used: Not a directory\n\n"
        "hint: set `[wall] venv_cache` to a directory that the worker's user can write to"
    )


def test_lock_of_another_content_is_ignored(tmp_path: Path) -> None:
    venvs = bare(tmp_path)
    venvs.provide(["a"], None, lambda _: None)
    (document,) = tmp_path.glob("*.json")
    with state.locked(document):
        assert venvs.provide(["b"], None, lambda _: None).exists()
        with pytest.raises(Interrupted):
            state.locked(document, wait=False).__enter__()
    assert venv.UNUSED.days == 30


@pytest.mark.parametrize("behind", [" --hash=sha256:00\n./evil", "\n./evil", " @ https://example.org/a\n./evil", "\\"])
def test_requirements_file_holds_only_what_was_parsed(behind: str, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="`requirements` must"):
        bare(tmp_path).provide([f"a{behind}"], None, lambda _: None)
    assert folders(tmp_path) == []
    interpreter = bare(tmp_path).provide(["A_b  [y,x] >1"], None, lambda _: None)
    assert (interpreter.parents[1] / "requirements.txt").read_text() == "A_b[x,y]>1\n"
