#!/usr/bin/env bash
# Run the example pipeline, and the tests that need no server, with the versions that are supported: `lowest`, `newest`,
# `prerelease` and `python3.13`. ONLY names some of them. PYTHON_3_11 to PYTHON_3_13 name interpreters that are not found
# by themselves. Arguments are passed to pytest.
set -euo pipefail
cd "$(dirname "$0")/../.."

. tests/venv.sh

# Left out, because no version of Airflow or Python changes it, or because `make test` runs it with the tested versions:
# bounds and fuzzing of the reader (tests/hostile), the chart (tests/chart), the scripts of the gate (tests/test_*.py).
# Suites with servers or clouds have environments of their own.
TESTS=(tests/unit tests/language tests/test_cases.py tests/test_conventions.py)
# These try hundreds of orders of our own steps and kill our own builder: `make test` proves that once.
TESTS+=(--deselect tests/unit/clusters/test_never_leaks.py --deselect tests/unit/environments/test_venv.py)

# The import contract keeps Airflow out of these, so the lowest Airflow, on the tested Python, cannot change them.
KNOW_NO_AIRFLOW=(checks clusters connections diagnostics engines environments jobs lake models processes publish sources storage text)

OURS=(-r pyproject.toml --extra local --group test)
# Each part of Airflow is named, because uv takes pre-releases only of packages for which it is asked to.
PRERELEASE=("apache-airflow>=3.4.0b1" "apache-airflow-core>=3.4.0b1" "apache-airflow-task-sdk>=1.4.0b1")

main() {
  local name status failed=()
  for name in ${ONLY:-lowest newest prerelease python3.13}; do
    set +e # a subshell that is a condition would go on after an error
    (
      set -e
      check "$name" "$@"
    )
    status=$?
    set -e
    if [ $status != 0 ]; then failed+=("$name"); fi
  done
  if [ ${#failed[@]} != 0 ]; then
    echo "error: these versions failed: ${failed[*]}" >&2
    return 1
  fi
}

# check NAME ARGUMENTS...: runs the pipeline and the tests with one set of versions.
check() {
  local name=$1
  shift
  case $name in
    lowest) # of Python and of Airflow, with current libraries
      find_python 3.11 3.12 3.13
      use_venv "$name" -c tests/versions/lowest.txt "${OURS[@]}"
      TESTS+=("${KNOW_NO_AIRFLOW[@]/#/--ignore=tests/unit/}")
      ;;
    newest) # as `pip install` resolves it today
      find_python 3.12 3.13 3.11
      use_venv "$name" "${OURS[@]}"
      ;;
    prerelease)
      find_python 3.12 3.13 3.11
      use_venv "$name" "${OURS[@]}" "${PRERELEASE[@]}"
      ;;
    python3.13)
      if [ -z "${ONLY:-}" ] && ! find_python 3.13; then return; fi # skipped, unless it was asked for
      find_python 3.13
      use_venv "$name" -c constraints.txt "${OURS[@]}"
      ;;
    *)
      echo "error: ONLY must name some of lowest, newest, prerelease and python3.13, got \`$name\`" >&2
      return 2
      ;;
  esac
  echo "== $name: $("$VENV/bin/python" --version), Airflow $("$VENV/bin/airflow" version)"
  run_pipeline
  "$VENV/bin/python" -m pytest -q -p no:cacheprovider -n 2 --dist loadfile --no-loadscope-reorder \
    -m "not integration and not slow" "${TESTS[@]}" "$@"
}

# run_pipeline: runs the example pipeline from nothing, in a folder that is removed with AIRFLOW_HOME.
run_pipeline() {
  local project=$AIRFLOW_HOME/project
  mkdir "$project"
  cp -r dags connections.yaml "$project"
  "$VENV/bin/python" examples/nycflights13/land.py --until 2013-07-01 "$project/lake/landing"
  (cd "$project" && AIRFLOW_HOME=$project/.airflow "$VENV/bin/airflow-wall" run dags/platform_scores.yaml --date 2013-07-01)
}

# find_python VERSIONS...: sets PYTHON to an interpreter of the first of these versions that is on this machine.
find_python() {
  local version variable
  for version in "$@"; do
    variable=PYTHON_${version/./_}
    for PYTHON in "${!variable:-}" "python$version" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python; do
      if is_python "$PYTHON" "$version"; then return 0; fi
    done
  done
  echo "skipped: there is no Python $* on this machine; name one: $variable=/path/to/python make versions" >&2
  return 1
}

is_python() {
  command -v "$1" >/dev/null && "$1" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$2')" 2>/dev/null
}

main "$@"
