#!/bin/sh
# Check the services that run, and print how to fix each problem: each service reports its facts, and the scheduler compares them.
set -eu

for container in $(docker compose ps --quiet); do
  told=$(docker inspect --format '{{index .Config.Cmd 0}} {{.Name}} {{.Config.StopTimeout}}' "$container")
  # shellcheck disable=SC2086 # three words
  set -- $told
  [ "$1" = airflow ] || continue
  docker exec "$container" airflow-wall doctor --facts --name "${2#/}" --grace "$3"
done | docker compose exec --no-TTY scheduler airflow-wall doctor -
