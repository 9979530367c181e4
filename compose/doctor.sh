#!/bin/sh
# Checks the services that run, and says what to mend: each tells its facts, the scheduler's container compares them.
set -eu

for container in $(docker compose ps --quiet); do
  told=$(docker inspect --format '{{index .Config.Cmd 0}} {{.Name}} {{.Config.StopTimeout}}' "$container")
  # shellcheck disable=SC2086 # three words
  set -- $told
  [ "$1" = airflow ] || continue
  docker exec "$container" airflow-wall doctor --facts --name "${2#/}" --grace "$3"
done | docker compose exec --no-TTY scheduler airflow-wall doctor -
