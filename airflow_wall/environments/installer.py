"""Make venvs and put packages into them: by uv where it is there, else by pip, with what they say against it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from airflow_wall.processes import dying_with_parent

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


class Refused(Exception):
    """
    The packages are not installed.

    :param output: What the installer printed.
    """

    def __init__(self, output: str) -> None:
        self.output = _SECRET.sub("", output)
        super().__init__(self.output)

    @property
    def is_absent(self) -> bool:
        """Whether the package index does not answer."""
        return _ABSENT.search(self.output) is not None

    @property
    def is_unsolved(self) -> bool:
        """Whether no versions fit together, or there is none of a name."""
        return not self.is_absent and _UNSOLVED.search(self.output) is not None

    @property
    def reason(self) -> str:
        """What it says, in one paragraph."""
        lines = [_FRAME.sub("", line).strip() for line in self.output.splitlines() if not _NOISE.match(line)]
        lines = [line for line in lines if "ResolutionImpossible" not in line and "No solution found" not in line]
        return " ".join(dict.fromkeys(lines))[-_LONGEST:].strip() or "it does not say why"


class Installer:
    """
    Makes venvs.

    :param folder: Where they are made. What configures a project elsewhere, such as where the worker was started, has
        no say.
    :param environment: Whole environment of its processes; the index and its credentials are in it, as the deployment
        has it.
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.uv = _uv()
        # A Python of a given version is one that the deployment has; uv would else fetch one from elsewhere.
        self.environment = {"UV_PYTHON_DOWNLOADS": "never", **environment, "NO_COLOR": "1"}

    def find(self, version: str) -> str:
        """
        The path of a Python of that version, such as `3.12`.

        :raises Refused: none is found.
        """
        if self.uv is None:
            path = shutil.which(f"python{version}")
            if path is None:
                raise Refused(f"there is no program `python{version}` on the PATH")
            return path
        return self._do([self.uv, "python", "find", "--no-project", "--system", version]).strip()

    def create(self, folder: Path, python: str) -> None:
        """
        Make an empty venv of that interpreter.

        :raises Refused: it cannot be made.
        """
        if self.uv is None:
            self._do([python, "-m", "venv", str(folder)])
        else:
            self._do([self.uv, "venv", "--quiet", "--no-project", "--python", python, str(folder)])

    def install(self, folder: Path, files: Sequence[Path]) -> None:
        """
        Put what these files of requirements name into the venv.

        :raises Refused: they cannot be installed.
        """
        python = str(folder / "bin" / "python")
        if self.uv is None:
            command = [python, "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
            command += ["--quiet", "--progress-bar", "off", "--retries", "2"]
        else:
            command = [self.uv, "pip", "install", "--no-progress", "--python", python]
        for file in files:
            command += ["-r", str(file)]
        self._do(command)

    def _do(self, command: list[str]) -> str:
        done = self._run(command)
        if done.returncode != 0:
            raise Refused(done.stderr.strip() or done.stdout.strip())
        return done.stdout

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        self.folder.mkdir(parents=True, exist_ok=True)
        preexec: Callable[[], None] | None = dying_with_parent()
        return subprocess.run(  # noqa: S603  the program is ours; what it is given is checked text
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
