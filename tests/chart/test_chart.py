"""
The chart as a whole: Helm accepts it, renders it the same each time and quickly, and Kubernetes knows its fields.

Waits for: Kubernetes' schemas of three versions for every values set.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from rendering import CASES, CHART, ROOT, Rendered, helm, template

sys.path.insert(0, str(ROOT / "docs"))
import chart as generator

CUSTOM = {"ScaledObject", "TriggerAuthentication", "ServiceMonitor", "PrometheusRule", "ExternalSecret", "HTTPRoute"}


@pytest.mark.parametrize("case", list(CASES))
def test_lint_finds_nothing(case: str) -> None:
    done = helm("lint", str(CHART), "--strict", "--quiet", *CASES[case])
    assert (done.returncode, done.stderr) == (0, "")
    assert "[WARNING]" not in done.stdout


@pytest.mark.parametrize("case", list(CASES))
def test_two_renders_are_identical(case: str) -> None:
    assert template(*CASES[case]) == template(*CASES[case])


def test_a_render_takes_less_than_a_quarter_of_a_second() -> None:
    """CPU time is measured, because the clock also counts other programs of a busy machine."""
    seconds = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        template()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 0.25, seconds


@pytest.mark.parametrize("case", list(CASES))
@pytest.mark.parametrize("version", ["1.31", "1.34", "1.36"])
def test_kubernetes_knows_every_field(case: str, version: str) -> None:
    for manifest in Rendered(*CASES[case]).all:
        if manifest["kind"] not in CUSTOM:
            kubernetes_validate.validate(manifest, version, strict=True)


def test_the_task_pod_is_one_that_kubernetes_knows() -> None:
    for case in ("kubernetes-values", "both-values", "cloud-values"):
        kubernetes_validate.validate(Rendered(*CASES[case]).pods()["task"], "1.34", strict=True)


@pytest.mark.parametrize("case", list(CASES))
def test_everything_has_the_labels_of_the_release(case: str) -> None:
    for manifest in Rendered(*CASES[case]).all:
        if manifest["metadata"]["labels"].get("app.kubernetes.io/component") != "extra":
            assert manifest["metadata"]["labels"]["app.kubernetes.io/instance"] == "wall"


@pytest.mark.parametrize("path", list(generator.pages()), ids=lambda path: path.name)
def test_what_is_generated_is_up_to_date(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == generator.pages()[path], "run `make docs`"


def test_every_block_of_values_is_described() -> None:
    keys = generator.read((CHART / "values.yaml").read_text(encoding="utf-8"))
    switches = [path for path in keys if path[-1] == "enabled"]
    silent = [".".join(path) for path in switches if not keys[path].words and "podDisruptionBudget" not in path]
    assert silent == ["triggerer.keda.enabled"]


def test_no_template_is_longer_than_two_screens() -> None:
    long = {path.name for path in (CHART / "templates").rglob("*.*") if len(path.read_text().splitlines()) > 200}
    assert long == set()


def test_the_values_files_say_nothing_that_is_default() -> None:
    """A values set that repeats defaults hides what it is about."""
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    for path in (CHART / "ci").glob("*-values.yaml"):
        assert list(_repeated(defaults, yaml.safe_load(path.read_text()))) in ([], ["executor"]), path.name


def _repeated(defaults: dict, values: dict, above: str = "") -> list[str]:
    found = []
    for key, value in values.items():
        if isinstance(value, dict) and isinstance(defaults.get(key), dict):
            found += _repeated(defaults[key], value, f"{above}{key}.")
        elif key in defaults and defaults[key] == value:
            found.append(f"{above}{key}")
    return found
