"""
Run one job in a process of its own: `python -m airflow_wall.jobs`.

Standard input holds `{"job": ..., "connections": {id: ...}}`; log lines go to standard error; the last line of standard
output is `{"result": ...}` or `{"error": ...}`. Secrets come by standard input, so no list of processes shows them.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import Any

from airflow_wall.connections import ConnectionInfo
from airflow_wall.errors import ConnectionFault, WallError
from airflow_wall.jobs.document import Job
from airflow_wall.jobs.table import run_job

log = logging.getLogger(__name__)


def main() -> int:
    """Run the job of standard input. Return the exit code: 0, or 1 with an error on standard output."""
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # a library that prints must not spoil the answer
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    request = json.load(sys.stdin)
    known = {conn_id: ConnectionInfo(**values) for conn_id, values in request["connections"].items()}

    def connections(conn_id: str) -> ConnectionInfo:
        if conn_id not in known:
            raise ConnectionFault(
                f"connection `{conn_id}` was not sent with the job", hint="name it in `connections` of the job"
            )
        return known[conn_id]

    reply: dict[str, Any]
    try:
        reply = {"result": run_job(Job.from_json(request["job"]), connections)}
    except WallError as error:
        reply = {"error": {"kind": type(error).__name__, "message": error.message, "hint": error.hint}}
    except Exception as error:  # a defect of ours: told as what it is, with its traceback in the log
        log.exception("the job failed by a defect of airflow-wall")
        reply = {"error": {"kind": "WallError", "message": f"{type(error).__name__}: {error}", "hint": None}}
    print(json.dumps(reply), file=answer, flush=True)
    return 0 if "result" in reply else 1


if __name__ == "__main__":
    sys.exit(main())
