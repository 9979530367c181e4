"""
Run one job in a process of its own: `python -m airflow_wall.jobs`, or with `--folder FOLDER` on a cluster of a cloud.

Without a folder, the first line of standard input is `{"job": ..., "connections": {id: ...}}`; log lines go to standard
error; the last line of standard output is `{"result": ...}` or `{"error": ...}`. Secrets come by standard input, so no
list of processes shows them. With `--attended` the job also ends when standard input does: where the one who waits for
it cannot kill it, because it is in a container.

With one, `request.json` in it holds `{"job": ...}`, log lines go to `log` beside it too, the answer to `answer.json`.
Who creates `claim` there does the job; a second copy, which a cloud that lost an answer may have started, does nothing.
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
from airflow_wall.connections import ConnectionInfo
from airflow_wall.errors import ConnectionFault, WallError
from airflow_wall.jobs.document import Job
from airflow_wall.jobs.table import run_job

log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """Run one job. Return the exit code: 0, or 1 with an error as its answer."""
    parser = argparse.ArgumentParser(prog="python -m airflow_wall.jobs", description="Run one job.")
    parser.add_argument("--folder", type=Path, help="folder of the job; without it, the job comes by standard input")
    parser.add_argument("--attended", action="store_true", help="end with standard input")
    given = parser.parse_args(arguments)
    folder: Path | None = given.folder
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    if folder is not None:
        return _in_folder(folder)
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # a library that prints must not spoil the answer
    request = json.loads(sys.stdin.readline())
    if given.attended:
        threading.Thread(target=_end_with_input, daemon=True).start()
    reply = _reply(request)
    print(json.dumps(reply), file=answer, flush=True)
    return 0 if "result" in reply else 1


def _end_with_input() -> None:
    while os.read(0, 1024):  # not by `sys.stdin`, whose lock would be held when the job has ended by itself
        pass
    os._exit(1)  # whatever the job is at: nobody waits for it any more


def _in_folder(folder: Path) -> int:
    try:
        os.close(os.open(folder / "claim", os.O_CREAT | os.O_EXCL, 0o644))
    except FileExistsError:
        log.info("another copy of this job has begun it")
        return 0
    logging.getLogger().addHandler(logging.FileHandler(folder / "log"))
    request = state.read(folder / "request.json")
    assert request is not None, "it is written before the job is submitted"
    reply = _reply({"job": request["job"], "connections": {}})
    state.write_bytes(folder / "answer.json", json.dumps(reply).encode())
    return 0 if "result" in reply else 1


def _reply(request: Mapping[str, Any]) -> dict[str, Any]:
    known = {conn_id: ConnectionInfo(**values) for conn_id, values in request["connections"].items()}

    def connections(conn_id: str) -> ConnectionInfo:
        if conn_id not in known:
            raise ConnectionFault(
                f"connection `{conn_id}` was not sent with the job", hint="name it in `connections` of the job"
            )
        return known[conn_id]

    try:
        return {"result": run_job(Job.from_json(request["job"]), connections)}
    except WallError as error:
        return {"error": error.to_json()}
    except Exception as error:  # a defect of ours: told as what it is, with its traceback in the log
        log.exception("the job failed by a defect of airflow-wall")
        return {"error": WallError(f"{type(error).__name__}: {error}").to_json()}


if __name__ == "__main__":
    sys.exit(main())
