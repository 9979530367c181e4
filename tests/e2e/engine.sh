#!/usr/bin/env bash
# Prepare the needs of `make e2e-compose`: a Docker engine, Compose 2 and the images. Write their use to .e2e/environment.
#
# With a Docker engine that runs, the official images are used. Without one, this needs Debian, root and the package
# registries: it installs and starts Debian's engine, and builds stand-ins for the official images
# (tests/e2e/standins). E2E_IMAGES=official or =standins overrides this choice. tests/e2e/stop.sh stops the engine.
set -euo pipefail
cd "$(dirname "$0")/../.."

here=$PWD/.e2e
standins=tests/e2e/standins
mkdir -p "$here"
log=$here/engine.log
: >"$log"
say() { echo "e2e: $*"; }
fail() { tail -n 40 "$log" >&2; say "$*; all of it is in $log" >&2; exit 1; }

debian() { # packages
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || fail "cannot install $*: expected root on Debian"
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$@"; } >>"$log" 2>&1 \
    || fail "cannot install $*"
}

# --- the engine
export DOCKER_CONFIG=$here/docker
taken=${E2E_IMAGES:-official}
if ! docker info >/dev/null 2>&1; then
  [ -x /usr/sbin/dockerd ] || [ -x /usr/bin/dockerd ] || { say "installing Debian's Docker engine"; debian docker.io iptables; }
  say "starting the engine"
  taken=${E2E_IMAGES:-standins}
  nohup dockerd >"$here/dockerd.log" 2>&1 &
  echo $! >"$here/dockerd.pid"
  for _ in $(seq 60); do docker info >/dev/null 2>&1 && break; sleep 1; done
  docker info >>"$log" 2>&1 || { cat "$here/dockerd.log" >>"$log"; fail "the engine does not start"; }
fi
# A client without buildx builds with the old builder, which knows no secrets; Debian's client has BuildKit in itself.
if ! docker buildx version >/dev/null 2>&1 && /usr/bin/docker --version 2>/dev/null | grep -q 'version 20\.10'; then
  PATH=/usr/bin:$PATH
fi

# For a picture of the UI; without it that test is skipped.
command -v chromium >/dev/null || (debian chromium fonts-dejavu-core) 2>/dev/null || true

secrets=()
[ -n "${SSL_CERT_FILE:-}" ] && secrets+=(--secret "id=ca_certificates,src=$SSL_CERT_FILE")
for conf in "${PIP_CONFIG_FILE:-}" "$HOME/.config/pip/pip.conf" /etc/pip.conf; do
  [ -f "$conf" ] && { secrets+=(--secret "id=pip_conf,src=$conf"); break; }
done
build() { # arguments of `docker build`
  DOCKER_BUILDKIT=1 docker build --network host "${secrets[@]}" "$@" >>"$log" 2>&1 || fail "cannot build: docker build $*"
}
there() { docker image inspect "$1" >/dev/null 2>&1; }

# --- the images that are pulled where they can be
images="WALL_PYTHON_IMAGE=python POSTGRES_IMAGE=postgres REDIS_IMAGE=redis PROMETHEUS_IMAGE=prometheus STATSD_EXPORTER_IMAGE=statsd-exporter"
python_image=$(sed -n 's/^ARG PYTHON_IMAGE=//p' Dockerfile)
environment=()
debian_base() {
  there airflow-wall-standin/debian && return
  command -v debootstrap >/dev/null || debian debootstrap
  say "making a Debian of its own to stand in for the official images"
  rm -rf "$here/debian"
  debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv,python-is-python3 trixie "$here/debian" \
    >>"$log" 2>&1 || fail "debootstrap failed"
  tar -C "$here/debian" -c . | docker import - airflow-wall-standin/debian >>"$log"
  rm -rf "$here/debian"
}
standin() { # target
  there "airflow-wall-standin/$1" && return
  debian_base
  say "making a stand-in for $1"
  build --build-arg DEBIAN=airflow-wall-standin/debian --target "$1" --tag "airflow-wall-standin/$1" "$standins"
}
if [ "$taken" = standins ]; then
  for pair in $images; do
    standin "${pair#*=}"
    environment+=("${pair%=*}=airflow-wall-standin/${pair#*=}")
  done
  python_image=airflow-wall-standin/python
fi

# --- Compose 2
if ! docker compose version 2>/dev/null | grep -q 'v\?[2-9]\.'; then
  say "building Compose 2, which takes some minutes"
  standin compose
  mkdir -p "$DOCKER_CONFIG/cli-plugins"
  container=$(docker create airflow-wall-standin/compose true)
  docker cp "$container:/docker-compose" "$DOCKER_CONFIG/cli-plugins/docker-compose" >>"$log"
  docker rm "$container" >>"$log"
  docker compose version >>"$log" 2>&1 || fail "Compose does not run"
fi

# --- our own, and one that differs, to upgrade to
say "building the image"
build --build-arg "PYTHON_IMAGE=$python_image" --build-arg EXTRAS=spark --tag airflow-wall:e2e .
printf 'FROM airflow-wall:e2e\nENV WALL_E2E=upgraded\n' | build --tag airflow-wall:e2e-next -

mkdir -p "$here/jobs"
"$PWD/.venv/bin/python" -c 'from airflow_wall.environments.base import NEEDS; print(*NEEDS, sep="\n")' >"$here/jobs/needs.txt"
build --build-arg "PYTHON_IMAGE=$python_image" --file tests/e2e/jobs.Dockerfile --tag airflow-wall-jobs:e2e "$here/jobs"

{
  printf 'export WALL_JOBS_IMAGE=airflow-wall-jobs:e2e WALL_PYTHON_IMAGE=%q\n' "$python_image"
  printf 'export PATH=%q DOCKER_CONFIG=%q WALL_IMAGE=airflow-wall:e2e\n' "$PATH" "$DOCKER_CONFIG"
  for pair in "${environment[@]}"; do printf 'export %q\n' "$pair"; done
} >"$here/environment"
say "ready: $(docker image inspect --format '{{.Size}}' airflow-wall:e2e | awk '{printf "%.0f MB", $1 / 1e6}') of image"
