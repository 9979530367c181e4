#!/usr/bin/env bash
# Stops the engine that engine.sh started, if it started one.
set -euo pipefail
pid=$(dirname "$0")/../../.e2e/dockerd.pid
[ -f "$pid" ] || exit 0
kill "$(cat "$pid")" 2>/dev/null || true
rm "$pid"
