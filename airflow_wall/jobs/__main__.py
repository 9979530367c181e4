"""
Run one job in its own process: `python -m airflow_wall.jobs`, with `--folder FOLDER` on a cloud cluster.

Without a folder, the first line of standard input is `{"job": ..., "connections": {id: ...}}`. Log lines go to standard
error. The last line of standard output is `{"result": ...}` or `{"error": ...}`. Secrets come through standard input,
so that process lists do not show them. With `--attended` the job ends when standard input closes. This stops a job in a
container, which the waiting process cannot kill.

With a folder, its file `request.json` holds `{"job": ...}`. Log lines also go to its file `log`, and the answer goes to
`answer.json`. The process that creates `claim` there runs the job. A cloud that lost an answer may start a second copy,
which finds the claim and does nothing.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_wall import state
from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.errors import ConnectionFault, WallError
from airflow_wall.job import Job
from airflow_wall.jobs.base import run_job

log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """Run one job and return the exit code: 0, or 1 if its answer is an error."""
    parser = argparse.ArgumentParser(prog="python -m airflow_wall.jobs", description="Run one job.")
    parser.add_argument(
        "--folder", type=Path, help="directory of the job; by default the job is read from standard input"
    )
    parser.add_argument("--attended", action="store_true", help="end the job when standard input closes")
    options = parser.parse_args(arguments)
    folder: Path | None = options.folder
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    if folder is not None:
        return _run_in_folder(folder)
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output of libraries goes to standard error, so that it does not mix with the answer
    request = json.loads(sys.stdin.readline())
    if options.attended:
        threading.Thread(target=_end_with_input, daemon=True).start()
    reply = _reply(request)
    print(json.dumps(reply), file=answer, flush=True)
    return 0 if "result" in reply else 1


def _end_with_input() -> None:
    while os.read(0, 1024):  # not through `sys.stdin`: its lock would block the normal end of the job
        pass
    os._exit(1)  # in any state of the job, because nothing waits for it any more


def _run_in_folder(folder: Path) -> int:
    try:
        os.close(os.open(folder / "claim", os.O_CREAT | os.O_EXCL, 0o644))
    except FileExistsError:
        log.info("another process is already running this job")
        return 0
    logging.getLogger().addHandler(logging.FileHandler(folder / "log"))
    request = state.read(folder / "request.json")
    assert request is not None, "it is written before the job is submitted"
    reply = _reply({"job": request["job"], "connections": {}})
    state.write_bytes(folder / "answer.json", json.dumps(reply).encode())
    return 0 if "result" in reply else 1


def _reply(request: Mapping[str, Any]) -> dict[str, Any]:
    infos = {conn_id: ConnectionInfo(**values) for conn_id, values in request["connections"].items()}

    def connections(conn_id: str) -> ConnectionInfo:
        if conn_id not in infos:
            raise ConnectionFault(
                f"the job reads connection `{conn_id}`, which was not sent with it",
                hint="name it in `connections` of the job",
            )
        return infos[conn_id]

    try:
        return {"result": run_job(Job.from_json(request["job"], connections), connections)}
    except WallError as error:
        return {"error": error.to_json()}
    except Exception as error:  # a bug of this package: the log holds its traceback
        log.exception("the job failed because of a bug in airflow-wall")
        return {"error": WallError(f"{type(error).__name__}: {error}").to_json()}


if __name__ == "__main__":
    sys.exit(main())
