"""
Settings of the deployment, read once and frozen: section `[wall]` of airflow.cfg, or AIRFLOW__WALL__* variables.

The functions that read and plan a YAML file depend only on its text and one `Settings`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from airflow_wall.errors import SettingsError

SECTION = "wall"
DEFAULT_STORAGE = "lake"
"""Directory below `project` for pipelines without `storage`."""

POLICIES = ("open", "restricted")
LISTS = (
    "allowed_operators", "allowed_entrypoints", "allowed_classes", "allowed_templates", "allowed_connections",
    "allowed_storage", "allowed_requirements", "allowed_pythons", "allowed_images", "allowed_identities",
    "allowed_resources",
)  # fmt: skip
"""Settings with the values that policy `restricted` allows, each a list separated by commas."""

NAMES = ("environment", "allowed_env", "policy", "project", *LISTS)
"""Names of all settings."""

LOCAL_RUN = "AIRFLOW_WALL_LOCAL_RUN"
"""Variable that `airflow-wall run` sets for its tasks: nobody can answer a question of theirs."""

_PREFIX = f"AIRFLOW__{SECTION.upper()}__"


@dataclass(frozen=True)
class Settings:
    """
    The settings of one deployment.

    :param environment: The entry of a file's `environments` to use, or None.
    :param env: The variables that `${{ env.NAME }}` may read, with their values at the time of reading.
    :param policy: `open`: a pipeline may run any code. `restricted`: a pipeline may only use our steps and the names in
        the lists below. A name that ends in `*` stands for all names with that prefix.
    :param project: Directory that a relative `storage` is under; None means the directory that holds `dags/`.
    :param allowed_operators: Operators, by dotted path.
    :param allowed_entrypoints: The user's own Python functions, as `module:name`.
    :param allowed_classes: Timetables, notifiers and callbacks, by dotted path.
    :param allowed_templates: Names that templates may use besides the run's own dates and parameters.
    :param allowed_connections: Connections that data may come from or go to.
    :param allowed_storage: Directories that `storage` may name, and all directories below them.
    :param allowed_requirements: Packages that `requirements` may name.
    :param allowed_pythons: Interpreters that `python` may name by path.
    :param allowed_images: Container images that `image` may name, and software versions of clusters.
    :param allowed_identities: Roles and service accounts that steps may use in a cloud.
    :param allowed_resources: Buckets, projects, networks and other resources of a cloud.
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
    allowed_storage: tuple[str, ...] = (DEFAULT_STORAGE,)
    allowed_requirements: tuple[str, ...] = ()
    allowed_pythons: tuple[str, ...] = ()
    allowed_images: tuple[str, ...] = ()
    allowed_identities: tuple[str, ...] = ()
    allowed_resources: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], *, environment: str | None = None) -> Settings:
        """
        Return the settings from AIRFLOW__WALL__* variables.

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
        """
        Return the settings from the values of section `[wall]`.

        :param environ: The variables that `allowed_env` selects from.
        :raises SettingsError: a setting has a value that is not allowed.
        """
        policy = values.get("policy") or "open"
        if policy not in POLICIES:
            raise SettingsError(
                f"setting `[{SECTION}] policy` must be `open` or `restricted`, got `{policy}`",
                hint=f"correct it in airflow.cfg, or in the variable {_PREFIX}POLICY",
            )
        project = values.get("project")
        return cls(
            environment=values.get("environment") or None,
            env={name: environ.get(name) for name in _list(values.get("allowed_env"))},
            policy=policy,
            project=Path(project) if project else None,
            **{name: _list(values[name]) for name in LISTS if values.get(name) is not None},
        )

    @property
    def connections_in_force(self) -> tuple[str, ...] | None:
        """Patterns of the connections that steps may read when they run; None allows all."""
        return self.allowed_connections if self.policy == "restricted" else None

    def project_of(self, path: Path) -> Path:
        """Return the absolute directory that a relative `storage` of the pipeline file `path` is under."""
        if self.project is not None:
            return self.project.absolute()
        folder = path.absolute().parent
        for parent in (folder, *folder.parents):
            if parent.name == "dags":
                return parent.parent
        return folder

    def allows_code(self, reference: str) -> bool:
        """Return True if `allowed_entrypoints` names a reference, `module:name`, to the user's own Python."""
        patterns = [pattern.replace(":", ".") for pattern in self.allowed_entrypoints]
        return matches_any(reference.replace(":", "."), patterns)


def matches_any(name: str, patterns: Collection[str]) -> bool:
    """
    Return True if a name matches one of `patterns`. A pattern is a name, or a prefix followed by `*`.

    A name with a part `..` leads out of its prefix, so it matches no `*`.
    """
    leads_up = ".." in name.split("/")
    return any(
        name == pattern or (pattern.endswith("*") and name.startswith(pattern[:-1]) and not leads_up)
        for pattern in patterns
    )


def _list(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())
