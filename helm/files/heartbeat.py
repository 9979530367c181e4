"""Check for a recent heartbeat of a job of this pod, without importing Airflow: `python heartbeat.py JOB_TYPE`."""

import os
import socket
import sys
from datetime import UTC, datetime, timedelta

from sqlalchemy import create_engine, text

names = [socket.gethostname(), socket.getfqdn(), socket.gethostbyname(socket.getfqdn())]
query = text(
    "SELECT max(latest_heartbeat) FROM job WHERE job_type = :type AND state = 'running' AND hostname IN (:a, :b, :c)"
)
with create_engine(os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]).connect() as database:
    beat = database.execute(query, {"type": sys.argv[1], **dict(zip("abc", names, strict=True))}).scalar()
sys.exit(beat is None or beat < datetime.now(UTC) - timedelta(minutes=3))
