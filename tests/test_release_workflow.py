"""
Images by digest: the Dockerfile, compose and the chart take them, and the release workflow resolves and records them.

Stand-ins for `docker` and `gh` note how they are called, so no registry is needed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOW: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows/release.yaml").read_text())
STEPS: list[dict[str, Any]] = WORKFLOW["jobs"]["image"]["steps"]
OWN = f"registry.example.org/wall@sha256:{'a' * 64}"
BY_DIGEST = re.compile(r"[\w./-]+(:[\w.-]+)?@sha256:[0-9a-f]{64}")

DOCKER = f"""#!{sys.executable}
import hashlib, json, os, sys
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps(sys.argv) + "\\n")
if "imagetools" in sys.argv:
    if os.environ.get("MISSING", "no image is missing") in sys.argv[-1]:
        sys.exit(f"ERROR: {{sys.argv[-1]}}: not found")
    print("sha256:" + hashlib.sha256(sys.argv[-1].encode()).hexdigest())
if "--metadata-file" in sys.argv:
    with open(sys.argv[sys.argv.index("--metadata-file") + 1], "w") as metadata:
        json.dump({{"containerimage.digest": "sha256:" + "b" * 64}}, metadata)
if "login" in sys.argv:
    sys.stdin.read()
if sys.argv[1:3] == ["env", "GOPATH"]:
    print(os.path.dirname(os.path.dirname(os.path.abspath(sys.argv[0]))))
if "push" in sys.argv:
    print("Digest: sha256:" + "c" * 64)
"""
"""Stands for each program that needs a registry, and notes its call."""


def digest_of(image: str) -> str:
    return f"{image}@sha256:{hashlib.sha256(image.encode()).hexdigest()}"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("docker", "gh", "go", "helm", "cosign"):
        (folder / name).write_text(DOCKER)
        (folder / name).chmod(stat.S_IRWXU)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "CALLS": str(tmp_path / "calls")}


def digests(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "image/digests.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def interpolated(text: str, values: dict[str, str]) -> str:
    """The text as compose reads it."""
    return re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: values.get(found[1]) or found[2], text)


def from_images(dockerfile: str, arguments: dict[str, str]) -> list[str]:
    """The images of a Dockerfile's stages, without those that are stages themselves."""
    stages = set(re.findall(r"^FROM .* AS (\w+)$", dockerfile, re.MULTILINE))
    defaults = dict(re.findall(r"^ARG (\w+)=(.+)$", dockerfile, re.MULTILINE))
    given = {**defaults, **arguments}
    named = re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE) + re.findall(r"--from=(\S+)", dockerfile)
    named += re.findall(r"^# *syntax=(\S+)", dockerfile, re.MULTILINE)
    return [re.sub(r"\$\{(\w+)\}", lambda found: given[found[1]], each) for each in named if each not in stages]


def test_compose_takes_every_image_by_digest(environment: dict[str, str]) -> None:
    done = digests(environment, "compose", OWN)
    assert (done.returncode, done.stderr) == (0, "")
    values = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert values["WALL_IMAGE"] == OWN
    assert values["POSTGRES_IMAGE"] == digest_of("postgres:17")
    compose = yaml.safe_load(interpolated((ROOT / "docker-compose.yaml").read_text(), values))
    for name, service in compose["services"].items():
        assert BY_DIGEST.fullmatch(service["image"]), name
    assert BY_DIGEST.fullmatch(compose["services"]["worker"]["build"]["args"]["PYTHON_IMAGE"])


def test_control_without_digests_no_image_of_compose_has_one() -> None:
    compose = yaml.safe_load(interpolated((ROOT / "docker-compose.yaml").read_text(), {}))
    assert not [name for name, service in compose["services"].items() if BY_DIGEST.fullmatch(service["image"])]


def test_dockerfile_takes_its_only_base_by_digest() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    base = digest_of("python:3.13-slim-trixie")
    assert set(from_images(dockerfile, {"PYTHON_IMAGE": base})) == {base}
    (default,) = set(from_images(dockerfile, {}))
    assert f"${{WALL_PYTHON_IMAGE:-{default}}}" in (ROOT / "docker-compose.yaml").read_text()
    assert from_images(f"{dockerfile}\nCOPY --from=other:1 /a /a\n", {"PYTHON_IMAGE": base})[-1] == "other:1"


def test_chart_takes_every_image_by_digest(environment: dict[str, str], tmp_path: Path) -> None:
    done = digests(environment, "chart", OWN)
    assert (done.returncode, done.stderr) == (0, "")
    values = yaml.safe_load(done.stdout)["images"]
    known = yaml.safe_load((ROOT / "helm/values.yaml").read_text())["images"]
    assert values.keys() == known.keys()
    assert values["airflow"] == {"repository": "registry.example.org/wall", "digest": f"sha256:{'a' * 64}"}
    (tmp_path / "images.yaml").write_text(done.stdout)
    helm = Path(sys.executable).with_name("helm")
    command = [
        helm if helm.exists() else "helm",
        "template",
        "wall",
        ROOT / "helm",
        "--values",
        tmp_path / "images.yaml",
    ]
    rendered = subprocess.run(
        [*command, "--values", ROOT / "helm/ci/dev-values.yaml"], capture_output=True, text=True, check=False
    )
    assert rendered.returncode == 0, rendered.stderr
    images = re.findall(r"^ *(?:- )?image: \"?([^\s\"]+)", rendered.stdout, re.MULTILINE)
    assert len(set(images)) >= 3
    assert [image for image in images if not BY_DIGEST.fullmatch(image)] == []


@pytest.mark.parametrize("kind", ["compose", "chart"])
def test_image_that_has_no_digest_is_named(environment: dict[str, str], kind: str) -> None:
    done = digests({**environment, "MISSING": "redis"}, kind)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: the image `redis:7.4` has no digest: ERROR: redis:7.4: not found\n"
    done = digests(environment, kind, "wall:latest")
    assert done.returncode == 1
    assert done.stderr == "error: WALL_IMAGE must be `REPOSITORY@sha256:...`, got `wall:latest`\n"


def test_release_builds_from_digests_and_records_them(environment: dict[str, str], tmp_path: Path) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in ("image", "helm", "docker-compose.yaml", "pyproject.toml", "Dockerfile"):
        (folder / name).symlink_to(ROOT / name)
    given = {
        "REGISTRY": "registry.example.org", "REPOSITORY": "registry.example.org/wall", "GITHUB_REF_NAME": f"v{version}",
        "GITHUB_REPOSITORY": "wall/wall", "USERNAME": "me", "PASSWORD": "canary-password",
    }  # fmt: skip
    for step in STEPS:
        if "run" in step:
            done = subprocess.run(
                ["bash", "-e", "-o", "pipefail", "-c", step["run"]],
                cwd=folder,
                env=environment | given,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, (step["name"], done.stdout, done.stderr)
    calls = [json.loads(line) for line in Path(environment["CALLS"]).read_text().splitlines()]
    (build,) = [call for call in calls if "--push" in call]
    base = digest_of("python:3.13-slim-trixie")
    assert f"PYTHON_IMAGE={base}" in build
    recorded = dict(line.split("=", 1) for line in (folder / "images.env").read_text().splitlines())
    assert recorded["WALL_IMAGE"] == f"registry.example.org/wall@sha256:{'b' * 64}"
    assert recorded["WALL_PYTHON_IMAGE"] == base
    chart = yaml.safe_load((folder / "images.yaml").read_text())["images"]
    assert chart["airflow"]["digest"] == f"sha256:{'b' * 64}"
    (release,) = [call for call in calls if "release" in call]
    assert {"images.env", "images.yaml"} <= set(release)
    assert "canary-password" not in json.dumps(calls)


def test_release_refuses_a_tag_that_is_not_the_version(environment: dict[str, str]) -> None:
    step = next(step for step in STEPS if step.get("name", "").startswith("The tag"))
    done = subprocess.run(
        ["bash", "-e", "-c", step["run"]], cwd=ROOT, env={**environment, "GITHUB_REF_NAME": "v0"}, capture_output=True
    )
    assert done.returncode == 1


def test_actions_of_others_are_pinned_to_a_commit() -> None:
    used = [step["uses"] for step in STEPS if "uses" in step]
    assert used
    assert [each for each in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", each)] == []


def test_lock_asks_no_registry_of_images() -> None:
    done = subprocess.run(["make", "--dry-run", "lock"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "uv pip compile" in done.stdout
    assert "docker" not in done.stdout
    assert "digests.py" not in done.stdout
