"""Create venvs and install packages into them, with uv if it is available, else with pip."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from airflow_wall.processes.lifetime import dying_with_parent

_FRAME = re.compile(r"^\s*(error: |cause: |hint: |ERROR: |×|╰─▶|├─▶|│)\s*")
_NOISE = re.compile(r"^\s*(Using |Resolved |Prepared |Installed |Creating |Activate |Audited |WARNING: Retrying|$)")
_ABSENT = re.compile(
    r"error sending request|Request failed|\(Connect\)|dns error|timed out|connection broken|new connection"
    r"|HTTP status server error|Server error",
    re.IGNORECASE,
)
_UNSOLVED = re.compile(r"No solution found|ResolutionImpossible|No matching distribution", re.IGNORECASE)
_SECRET = re.compile(r"(?<=://)[^/@\s]+@")
_LONGEST = 1500


class InstallError(Exception):
    """
    Raised when uv or pip fails.

    :param output: What the installer printed.
    """

    def __init__(self, output: str) -> None:
        self.output = _SECRET.sub("", output)
        super().__init__(self.output)

    @property
    def is_absent(self) -> bool:
        """True if the package index does not answer."""
        return _ABSENT.search(self.output) is not None

    @property
    def is_unsolved(self) -> bool:
        """True if no compatible versions exist, or a name is unknown."""
        return not self.is_absent and _UNSOLVED.search(self.output) is not None

    @property
    def reason(self) -> str:
        """The installer's message, in one paragraph."""
        lines = [_FRAME.sub("", line).strip() for line in self.output.splitlines() if not _NOISE.match(line)]
        lines = [line for line in lines if "ResolutionImpossible" not in line and "No solution found" not in line]
        return " ".join(dict.fromkeys(lines))[-_LONGEST:].strip() or "the installer gives no reason"


class Installer:
    """
    Creates venvs.

    :param folder: Directory of the venvs, and working directory, so that project configuration elsewhere has no effect.
    :param environment: All environment variables of its processes, with the package index and its credentials.
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.uv = _uv()
        # Only a Python that the deployment has; without this uv would download one.
        self.environment = {"UV_PYTHON_DOWNLOADS": "never", **environment, "NO_COLOR": "1"}

    def find(self, version: str) -> str:
        """
        Return the path of a Python of that version, such as `3.12`.

        :raises InstallError: none is found.
        """
        if self.uv is None:
            path = shutil.which(f"python{version}")
            if path is None:
                raise InstallError(f"there is no program `python{version}` on the PATH")
            return path
        return self._run_checked([self.uv, "python", "find", "--no-project", "--system", version]).strip()

    def create(self, folder: Path, python: str) -> None:
        """
        Create an empty venv with that interpreter.

        :raises InstallError: the venv cannot be created.
        """
        if self.uv is None:
            self._run_checked([python, "-m", "venv", str(folder)])
        else:
            self._run_checked([self.uv, "venv", "--quiet", "--no-project", "--python", python, str(folder)])

    def install(self, folder: Path, files: Sequence[Path]) -> None:
        """
        Install these requirements files into the venv.

        :raises InstallError: they cannot be installed.
        """
        python = str(folder / "bin" / "python")
        if self.uv is None:
            command = [python, "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
            command += ["--quiet", "--progress-bar", "off", "--retries", "2"]
        else:
            command = [self.uv, "pip", "install", "--no-progress", "--python", python]
        for file in files:
            command += ["-r", str(file)]
        self._run_checked(command)

    def _run_checked(self, command: list[str]) -> str:
        done = self._run(command)
        if done.returncode != 0:
            raise InstallError(done.stderr.strip() or done.stdout.strip())
        return done.stdout

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        self.folder.mkdir(parents=True, exist_ok=True)
        preexec: Callable[[], None] | None = dying_with_parent()
        return subprocess.run(  # noqa: S603  a fixed program with checked arguments
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=preexec,
        )


def _uv() -> str | None:
    beside = Path(sys.executable).with_name("uv")  # a worker's venv is often not on its PATH
    return str(beside) if beside.exists() else shutil.which("uv")
