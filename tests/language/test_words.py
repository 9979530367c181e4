"""Every row of the table of other tools' words gives one fault with its hint, at the word."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_wall.language import words
from airflow_wall.language.assets import AllOf, AnyOf, Asset
from airflow_wall.language.callables import Constructed
from airflow_wall.language.operator import OperatorArguments
from airflow_wall.language.pipeline import Group, Head, Pipeline, Task
from airflow_wall.language.schedule import AssetSchedule
from airflow_wall.loader.load import load_specs
from airflow_wall.settings import Settings

DOCUMENTS = {
    "PIPELINE": "dag_id: p\n{word}: 1\ntasks: [{{id: a}}]\n",
    "TASK": "dag_id: p\ntasks:\n  - id: a\n    {word}: 1\n",
    "GROUP": "dag_id: p\ntasks:\n  - id: g\n    {word}: 1\n    tasks: [{{id: a}}]\n",
    "DEFAULT_ARGS": "dag_id: p\ndefault_args:\n  {word}: 1\ntasks: [{{id: a}}]\n",
    "SCHEDULE": "dag_id: p\nschedule:\n  assets: [a]\n  {word}: 1\ntasks: [{{id: a}}]\n",
    "ASSET": "dag_id: p\ntasks:\n  - id: a\n    outlets:\n      - name: b\n        {word}: 1\n",
    "CONSTRUCTED": "dag_id: p\non_failure_callback:\n  uses: a.b.C\n  {word}: 1\ntasks: [{{id: a}}]\n",
}
MODELS = {
    "PIPELINE": (Pipeline,),
    "TASK": (Task,),
    "GROUP": (Group,),
    "DEFAULT_ARGS": (OperatorArguments, Head),
    "SCHEDULE": (AssetSchedule, Head),
    "ASSET": (Asset, AllOf, AnyOf),
    "CONSTRUCTED": (Constructed,),
}
ROWS = [(table, word) for table in DOCUMENTS for word in getattr(words, table)]


@pytest.mark.parametrize(("table", "word"), ROWS)
def test_word_of_another_tool_is_one_fault_that_says_what_to_write(table: str, word: str, tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(DOCUMENTS[table].format(word=word))
    (spec,) = load_specs(path, Settings())
    (fault,) = spec.faults
    assert fault.message.endswith(f"{word}` is not a known key")
    assert fault.hint is not None
    assert getattr(words, table)[word] in fault.hint


@pytest.mark.parametrize("table", DOCUMENTS)
def test_table_names_only_keys_that_there_are(table: str) -> None:
    keys = {info.alias or name for model in MODELS[table] for name, info in model.model_fields.items()}
    rows = getattr(words, table)
    named = {key for hint in rows.values() for key in re.findall(r"^write it as `(\w+)`$", hint)}
    assert named - keys == set()
    assert rows.keys() & {info.alias or name for name, info in MODELS[table][0].model_fields.items()} == set()
