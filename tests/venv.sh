# Sourced by the suites that have a venv apart, because together they hold more than `make test` can.
# shellcheck shell=bash

# have_venv NAME ARGUMENTS...: leaves it in $VENV, installed by these arguments of pip. It is made anew when they, this
# checkout, or what pyproject.toml and constraints.txt say has changed; and every week, for what they leave open.
have_venv() {
  local name=$1 stamp made uv
  shift
  PYTHON=${PYTHON:-python3}
  VENV=${XDG_CACHE_HOME:-$HOME/.cache}/airflow-wall/$name
  stamp=$VENV/.installed
  made=$(printf '%s\n' "$PWD" "$@" && cat pyproject.toml constraints.txt)
  if [ -e "$stamp" ] && [ "$(cat "$stamp")" = "$made" ] && [ -z "$(find "$stamp" -mtime +7)" ]; then return; fi
  uv=$(command -v uv || echo .venv/bin/uv)
  if [ -x "$uv" ]; then
    "$uv" venv --quiet --clear --python "$PYTHON" "$VENV"
    "$uv" pip install --quiet --compile-bytecode --python "$VENV/bin/python" "$@"
  else
    "$PYTHON" -m venv --clear "$VENV"
    "$VENV/bin/python" -m pip install --quiet --upgrade 'pip>=25.1'
    "$VENV/bin/python" -m pip install --quiet "$@"
  fi
  printf '%s' "$made" >"$stamp"
}
