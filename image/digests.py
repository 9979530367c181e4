"""
Resolve the images of the deployment to digests, and print them.

    digests.py compose [WALL_IMAGE] >images.env     # for `docker compose --env-file images.env`
    digests.py chart [WALL_IMAGE] >images.yaml      # for `helm upgrade --values images.yaml`

WALL_IMAGE is the built image of airflow-wall, by its digest; without it the output holds the other images only. The
registries are asked by `docker buildx imagetools`, so no image is pulled. An image that has a digest already keeps it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
OWN = "WALL_IMAGE"

_IN_COMPOSE = re.compile(r"\$\{(\w+_IMAGE):-([^}]+)\}")
_IN_CHART = re.compile(r'^  (\w+): \{repository: (\S+), tag: "?([^,"]+)"?, digest: ""', re.MULTILINE)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def main(arguments: list[str]) -> None:
    """Print the images of one kind of deployment."""
    kind, own = arguments[0], arguments[1] if len(arguments) > 1 else None
    if own is not None and not _DIGEST.fullmatch(own.rpartition("@")[2]):
        sys.exit(f"error: WALL_IMAGE must be `REPOSITORY@sha256:...`, got `{own}`")
    print({"compose": for_compose, "chart": for_chart}[kind](own), end="")


def for_compose(own: str | None) -> str:
    """Return a file of variables: each image of docker-compose.yaml, with its digest."""
    images = dict(_IN_COMPOSE.findall((ROOT / "docker-compose.yaml").read_text()))
    images.pop(OWN)
    found = {name: with_digest(image) for name, image in images.items()} | ({OWN: own} if own else {})
    return "".join(f"{name}={image}\n" for name, image in sorted(found.items()))


def for_chart(own: str | None) -> str:
    """Return values of the chart: each image with its digest, which wins over the tag."""
    images = _IN_CHART.findall((ROOT / "helm" / "values.yaml").read_text())
    blocks: dict[str, Mapping[str, str]] = {}
    if own:
        repository, _, digest = own.partition("@")
        blocks["airflow"] = {"repository": repository, "digest": digest}
    for name, repository, tag in images:
        blocks[name] = {"digest": with_digest(f"{repository}:{tag}").partition("@")[2]}
    lines = [
        f"  {name}: {{{', '.join(f'{key}: {value}' for key, value in keys.items())}}}" for name, keys in blocks.items()
    ]
    return "\n".join(["images:", *lines, ""])


def with_digest(image: str) -> str:
    """Return `image` with the digest that its registry has for it now. Exits with a message where it has none."""
    if "@" in image:
        return image
    command = ["docker", "buildx", "imagetools", "inspect", "--format", "{{.Manifest.Digest}}", image]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    digest = done.stdout.strip()
    if done.returncode or not _DIGEST.fullmatch(digest):
        said = done.stderr.strip() or f"`{digest}` is not a digest"
        sys.exit(f"error: the image `{image}` has no digest: {said}")
    return f"{image}@{digest}"


if __name__ == "__main__":
    main(sys.argv[1:])
