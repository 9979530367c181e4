"""
The watchdog of a Spark cluster as version 0.1.0 starts it: its own code, command line and document.

`tests/deployed/0.1.0/watchdog.json` holds what that version wrote.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow_wall import state

RECORDED: dict[str, Any] = json.loads(
    (Path(__file__).parent / "deployed" / "0.1.0" / "watchdog.json").read_text(encoding="utf-8")
)
NAME: str = RECORDED["document"]["name"]


def start_watchdog(folder: Path, spark_home: Path) -> Path:
    """
    Start the watchdog of version 0.1.0, as a task of that version does.

    :param folder: The lake is `lake` below it, temporary files are in `tmp`.
    :return: The document of its cluster.
    """
    for path, lines in RECORDED["modules"].items():
        file = folder / "old" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join([*lines, ""]), encoding="utf-8")
    now = datetime.now(UTC)
    lease = (now + timedelta(hours=6)).isoformat()
    document = folder / "lake" / "_wall" / "clusters" / f"{NAME}.json"
    state.create(document, {**RECORDED["document"], "started": now.isoformat(), "lease": lease})
    document.with_suffix("").mkdir()
    *words, settings = [str(word).replace("/lake/", f"{folder}/lake/") for word in RECORDED["command"][1:]]
    settings = json.dumps({**json.loads(settings), "spark_home": str(spark_home), "lease": lease})
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "JAVA_HOME") if key in os.environ}
    (folder / "tmp").mkdir(exist_ok=True)
    with (document.with_suffix("") / "watchdog.log").open("ab") as output:
        subprocess.run(
            [sys.executable, *words, settings],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**kept, **RECORDED["environment"], "PYTHONPATH": str(folder / "old"), "TMPDIR": str(folder / "tmp")},
            cwd="/",
            start_new_session=True,
            check=True,
        )
    return document
