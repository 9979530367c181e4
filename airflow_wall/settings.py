"""
What the deployment decides, read once and frozen: section `[wall]` of airflow.cfg, or AIRFLOW__WALL__* variables.

The functions that read and plan a YAML file see nothing of the outside but its text and one `Settings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from airflow_wall.errors import SettingsError

SECTION = "wall"
POLICIES = ("open", "restricted")
NAMES = ("environment", "allowed_env", "policy", "project")
_PREFIX = f"AIRFLOW__{SECTION.upper()}__"


@dataclass(frozen=True)
class Settings:
    """
    :param environment: Which of a file's `environments` is in force; None where the deployment names none.
    :param env: The variables that `${{ env.NAME }}` may read, with their values at the time of reading.
    :param policy: `open`: whoever writes a pipeline may run code. `restricted`: a pipeline may only use our steps.
    :param project: Folder that a relative `storage` is under; None means the folder that holds `dags/`.
    """

    environment: str | None = None
    env: Mapping[str, str | None] = field(default_factory=dict)
    policy: str = "open"
    project: Path | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], *, environment: str | None = None) -> Settings:
        """
        Read the settings from AIRFLOW__WALL__* variables.

        :param environ: Usually `os.environ`.
        :param environment: Overrides the setting of that name (the CLI's `--env`).
        :raises SettingsError: a setting has a value that is not allowed.
        """
        values = {name: environ.get(f"{_PREFIX}{name.upper()}") for name in NAMES}
        if environment is not None:
            values["environment"] = environment
        return cls.from_values(values, environ)

    @classmethod
    def from_values(cls, values: Mapping[str, str | None], environ: Mapping[str, str]) -> Settings:
        """Read the settings from the values of section `[wall]`; `environ` is what `allowed_env` picks from."""
        policy = values.get("policy") or "open"
        if policy not in POLICIES:
            raise SettingsError(
                f"setting `[{SECTION}] policy` must be `open` or `restricted`, got `{policy}`",
                hint=f"mend airflow.cfg, or the variable {_PREFIX}POLICY",
            )
        allowed = [name.strip() for name in (values.get("allowed_env") or "").split(",") if name.strip()]
        project = values.get("project")
        return cls(
            environment=values.get("environment") or None,
            env={name: environ.get(name) for name in allowed},
            policy=policy,
            project=Path(project) if project else None,
        )

    def project_of(self, path: Path) -> Path:
        """The folder that a relative `storage` of the pipeline file `path` is under, absolute."""
        if self.project is not None:
            return self.project.absolute()
        folder = path.absolute().parent
        for parent in (folder, *folder.parents):
            if parent.name == "dags":
                return parent.parent
        return folder
