"""
What the deployment decides, read once and frozen: section `[wall]` of airflow.cfg, or AIRFLOW__WALL__* variables.

The functions that read and plan a YAML file see nothing of the outside but its text and one `Settings`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from airflow_wall.errors import SettingsError

SECTION = "wall"
POLICIES = ("open", "restricted")
LISTS = (
    "allowed_operators", "allowed_entrypoints", "allowed_classes", "allowed_templates", "allowed_connections",
    "allowed_storage", "allowed_requirements", "allowed_pythons", "allowed_images",
)  # fmt: skip
"""Settings that say what policy `restricted` allows, each a list separated by commas."""

NAMES = ("environment", "allowed_env", "policy", "project", *LISTS)
"""All settings there are."""

_PREFIX = f"AIRFLOW__{SECTION.upper()}__"


@dataclass(frozen=True)
class Settings:
    """
    :param environment: Which of a file's `environments` is in force; None where the deployment names none.
    :param env: The variables that `${{ env.NAME }}` may read, with their values at the time of reading.
    :param policy: `open`: whoever writes a pipeline may run code. `restricted`: a pipeline may only use our steps, and
        what the lists below name; of a dotted name that ends in `*`, all that begin so.
    :param project: Folder that a relative `storage` is under; None means the folder that holds `dags/`.
    :param allowed_operators: Operators, by their dotted path.
    :param allowed_entrypoints: The user's own Python, `module:name`.
    :param allowed_classes: Timetables, notifiers and callbacks, by their dotted path.
    :param allowed_templates: Names that templates may use besides those of the run's own dates and parameters.
    :param allowed_connections: Connections that data may come from or go to.
    :param allowed_storage: Folders that `storage` may be, or lie in.
    :param allowed_requirements: Packages that `requirements` may name.
    :param allowed_pythons: Interpreters that `python` may name by their path.
    :param allowed_images: Container images that `image` may name.
    """

    environment: str | None = None
    env: Mapping[str, str | None] = field(default_factory=dict)
    policy: str = "open"
    project: Path | None = None
    allowed_operators: tuple[str, ...] = ()
    allowed_entrypoints: tuple[str, ...] = ()
    allowed_classes: tuple[str, ...] = ()
    allowed_templates: tuple[str, ...] = ()
    allowed_connections: tuple[str, ...] = ()
    allowed_storage: tuple[str, ...] = ("lake",)
    allowed_requirements: tuple[str, ...] = ()
    allowed_pythons: tuple[str, ...] = ()
    allowed_images: tuple[str, ...] = ()

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
        project = values.get("project")
        return cls(
            environment=values.get("environment") or None,
            env={name: environ.get(name) for name in _list(values.get("allowed_env"))},
            policy=policy,
            project=Path(project) if project else None,
            **{name: _list(values[name]) for name in LISTS if values.get(name) is not None},
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


def listed(name: str, patterns: Collection[str]) -> bool:
    """Whether a name, dotted or `module:name`, is one of `patterns`; one that ends in `*` means all that begin so."""
    plain = name.replace(":", ".")
    known = [pattern.replace(":", ".") for pattern in patterns]
    return any(plain == each or (each.endswith("*") and plain.startswith(each[:-1])) for each in known)


def _list(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())
