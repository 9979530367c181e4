# Sourced by the suites that have a virtual environment of their own, because no one environment can hold all of them.
# shellcheck shell=bash

# use_venv NAME ARGUMENTS...: sets VENV to an environment that has this checkout and what these arguments of
# `uv pip install` name, and AIRFLOW_HOME to an empty folder that is removed at exit. PYTHON names the interpreter.
#
# The dependencies are installed once per user, below ~/.cache: again when the arguments, a file of pins that they name
# or the dependencies in pyproject.toml change, and after a week, for what they leave open. Each checkout has a copy of
# that in `.venvs`, made of hard links in a few seconds, and is installed into its own copy. So Airflow finds the entry
# points and scripts of this checkout, and nothing that runs in one checkout changes under it when another one renews.
use_venv() {
  local name=$1
  shift
  PYTHON=${PYTHON:-python3}
  VENV=$PWD/.venvs/$name
  _install_venv "$name" "$@"
  AIRFLOW_HOME=$(mktemp -d)
  export AIRFLOW_HOME
  trap 'rm -rf "$AIRFLOW_HOME"' EXIT
}

_install_venv() (
  name=$1 cache=${XDG_CACHE_HOME:-$HOME/.cache}/airflow-wall/suites
  shift
  shared=$cache/$name-$(_venv_key "$@")
  mkdir -p "$cache" .venvs
  if command -v flock >/dev/null; then
    exec 9>"$cache/$name.lock"
    flock 9 # another checkout may be installing
  fi
  _find_uv "$cache"
  if [ -z "$(find "$shared/.installed" -mtime -7 2>/dev/null)" ]; then
    find "$cache" -maxdepth 1 -name "$name-*" -mtime +7 -exec rm -rf {} +
    rm -rf "$shared" # not emptied: files of it may be in use by their other links
    "$UV" venv --quiet --relocatable --python "$PYTHON" "$shared"
    "$UV" pip install --quiet --compile-bytecode --python "$shared/bin/python" "$@"
    echo "$shared $(date +%s)" >"$shared/.installed"
  fi
  if ! cmp --silent "$shared/.installed" "$VENV/.installed" || [ pyproject.toml -nt "$VENV/.checkout" ]; then
    rm -rf "$VENV"
    cp -al "$shared" "$VENV" 2>/dev/null || { rm -rf "$VENV" && cp -a "$shared" "$VENV"; } # another file system
    "$UV" pip install --quiet --no-deps --python "$VENV/bin/python" -e .
    touch "$VENV/.checkout"
  fi
)

# _venv_key ARGUMENTS...: prints a hash of all that decides what is installed.
_venv_key() {
  "$PYTHON" - "$@" <<'PROGRAM'
import hashlib, json, pathlib, sys, tomllib

with open("pyproject.toml", "rb") as file:
    pyproject = tomllib.load(file)
keys = ("dependencies", "optional-dependencies")
decisive = [sys.version, sys.argv[1:], pyproject["dependency-groups"], [pyproject["project"][key] for key in keys]]
decisive += [pathlib.Path(name).read_text() for name in sys.argv[1:] if name.endswith(".txt")]
print(hashlib.sha256(json.dumps(decisive).encode()).hexdigest()[:12])
PROGRAM
}

# _find_uv FOLDER: sets UV to the uv of the machine or of `make`, else to one that it installs into FOLDER.
_find_uv() {
  for UV in "$(command -v uv)" "$PWD/.venv/bin/uv" "$1/uv/bin/uv"; do
    if [ -x "$UV" ]; then return; fi
  done
  "$PYTHON" -m venv --clear "$1/uv"
  "$1/uv/bin/python" -m pip install --quiet uv
}
