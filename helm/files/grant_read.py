"""Let a role read what KEDA's queries read, and nothing else: `python grant_read.py ROLE`."""

import sys

from airflow import settings
from sqlalchemy import text

settings.configure_orm()
with settings.engine.begin() as database:
    role = database.dialect.identifier_preparer.quote(sys.argv[1])
    database.execute(text(f"GRANT SELECT ON task_instance, callback, trigger TO {role}"))
print(f"{role} may read task_instance, callback and trigger")
