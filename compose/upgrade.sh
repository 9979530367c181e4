#!/bin/sh
# Replaces all of Airflow's containers by ones of the image as it is now. Nothing is paused: tasks under way finish where
# they are, new ones start on new workers meanwhile. Run it after `docker compose build`, `pull`, or a changed setting.
#
# For a while each worker is there twice, the old one until its last task has ended; the host needs memory for both.
set -eu

# The database first: what is old works with the newer schema for as long as this takes.
docker compose run --rm migrate
# Then, one by one, what tasks speak to; they wait for the api-server as long as it takes to start.
for service in api-server scheduler dag-processor triggerer; do
  docker compose up --detach --no-deps --wait "$service"
done

for service in $(docker compose config --services | grep '^worker'); do
  old=$(docker compose ps --quiet "$service")
  count=$(echo "$old" | grep -c . || true)
  [ "$count" -gt 0 ] || continue
  docker compose up --detach --no-deps --no-recreate --wait --scale "$service=$((2 * count))" "$service"
  for container in $old; do # all at once: each takes no more tasks from now on
    docker stop --time "$(docker inspect --format '{{.Config.StopTimeout}}' "$container")" "$container" >/dev/null &
  done
  wait
  # shellcheck disable=SC2086 # one word each
  docker rm $old >/dev/null
done
docker compose ps
