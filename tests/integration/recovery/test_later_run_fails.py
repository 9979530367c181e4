"""
A later run that fails step by step: clients see the last release until the same command ends with the right rows.

Waits for: one whole run of the article's pipeline, and seven more, each to the step that fails.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from outcomes import FIRST, FIRST_RUN, SECOND, SECOND_RUN, assert_all_is_published, assert_still_published
from project import DOMAINS, Project

pytestmark = pytest.mark.integration


def test_later_run_is_fixed_step_by_step_while_clients_see_the_last_release(
    project: Project, finished: Project
) -> None:
    dags, connections = project.folder / "dags", project.folder / "connections.yaml"
    query, training = dags / "sql" / "normalize.sql", dags / "models" / "scores.py"
    right = {file: file.read_text() for file in (connections, query, training, project.pipeline)}

    # There are no credentials.
    connections.unlink()
    ran = project.run(SECOND)
    assert (ran.code, "Traceback" in ran.text) == (1, False)
    assert ran.errors == [
        f"task `get_credentials` ({project.place('get_credentials')}): `conn_id`: connection `platform` is not defined; "
        f"looked in `{connections}` (no such file), the variable `AIRFLOW_CONN_PLATFORM`, and Airflow's database\n\n"
        "hint: add it to that file, or set `AIRFLOW_CONN_PLATFORM`"
    ]

    # They are for something else.
    connections.write_text(right[connections].replace("lake/platform.db", "dags/pipelines.py"))
    ran = project.run(SECOND)
    assert (ran.code, "Traceback" in ran.text) == (1, False)
    assert ran.errors == [
        f"task `get_credentials` ({project.place('get_credentials')}): `conn_id`: connection `platform` "
        f"(sqlite:///{dags}/pipelines.py) was refused: file is not a database\n\n"
        f"hint: correct the connection: it is in `{connections}`"
    ]
    assert "start_cluster" not in ran.finished

    # A landed file is cut short, as an upload leaves it that broke off. The SQL is wrong for the other two domains: that
    # is one message.
    connections.write_text(right[connections])
    query.write_text(right[query].replace("try_cast(dewp as double)", "try_cast(dewpoint as double)"))
    landed = project.lake / "landing" / "domain_2" / "departures-2013-01-07.csv"
    whole = landed.read_text()
    lines = whole.splitlines(keepends=True)[:100]
    landed.write_text("".join([*lines, lines[-1][:20]]))
    ran = project.run(SECOND)
    assert (ran.code, "Traceback" in ran.text) == (1, False)
    broken, wrong = sorted(ran.errors)
    assert broken.startswith(
        f"task `etl_domain_2.ingest` ({project.place('ingest')}): `source`: `{landed}`, line 101: "
    )
    assert wrong.startswith(
        "tasks `etl_domain_1.normalize_aggregate`, `etl_domain_3.normalize_aggregate` "
        f"({project.place('normalize_aggregate')}): `sql` (sql/normalize.sql): "
    )
    assert 'Referenced column "dewpoint" not found' in wrong
    assert (broken.count("hint: "), wrong.count("hint: ")) == (1, 1)

    # The training function raises.
    landed.write_text(whole)
    query.write_text(right[query])
    lines = right[training].splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("    rows = features"))
    training.write_text("\n".join([*lines[:at], '    raise ValueError("no luck")', *lines[at:]]))
    ran = project.run(SECOND)
    assert ran.code == 1
    assert ran.text.count("Traceback") == 1  # of the function: it begins in the user's file
    assert ran.errors == [
        f"task `retrain_on_new_data` ({project.place('retrain_on_new_data')}): `entrypoint` `models.scores:train` "
        f"raised `ValueError: no luck` ({training}:{at + 1})\n\n"
        "Traceback (most recent call last):\n"
        f'  File "{training}", line {at + 1}, in train\n    raise ValueError("no luck")\n'
        "ValueError: no luck"
    ]

    # Half of the release cannot be staged, so none of it is shown, and what was staged is gone.
    training.write_text(right[training])
    project.pipeline.write_text(right[project.pipeline].replace("key: [domain, hour]", "key: [domain]"))
    ran = project.run(SECOND)
    assert (ran.code, "Traceback" in ran.text) == (1, False)
    *faults, consequence = sorted(ran.errors)
    assert faults == [
        f"task `finalize_{domain}.index` ({project.place('index')}): `key` `domain` must be unique, but "
        f"(domain={domain}) occur in more than one row\n\n"
        "hint: remove the duplicates in the transform, or add a column to `key`"
        for domain in DOMAINS
    ]
    assert consequence.startswith(f"task `stop_sender` ({project.place('stop_sender')}): release `platform-2013")
    assert_still_published(project, finished)

    # All in one run, and nothing done again that was done: only the release that was taken back is filled anew.
    project.pipeline.write_text(right[project.pipeline])
    ran = project.run(SECOND)
    assert ran.code == 0, ran.text
    assert "\nrows in      933 from 3 files into 3 tables\n" in ran.text
    assert_all_is_published(project)
    assert list(project.runs()) == [FIRST_RUN, SECOND_RUN]
    tries = project.tries(SECOND_RUN)
    once = {"check_new_data", "predict", "check_integrity", "etl_domain_2.normalize_aggregate"}
    once |= {f"etl_{domain}.ingest" for domain in ("domain_1", "domain_3")}
    twice = {"retrain_on_new_data", "start_sender", "stop_sender", "etl_domain_2.ingest"}
    twice |= {f"etl_{domain}.normalize_aggregate" for domain in ("domain_1", "domain_3")}
    twice |= {f"finalize_{domain}.{name}" for domain in DOMAINS for name in ("persist", "index")}
    assert {name for name, count in tries.items() if count == 1} == once
    assert {name for name, count in tries.items() if count == 2} == twice


def test_a_second_run_of_a_date_finds_nothing_new(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "project")
    ran = project.run(FIRST)
    assert ran.code == 0, ran.text
    assert "\nno new data in `landing`: earlier runs have processed all 18 versions\n" in ran.text
    assert ran.finished == {"get_credentials"}
    assert_all_is_published(project)
    assert_still_published(project, finished)
