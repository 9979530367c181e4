"""
Load documents in Airflow's own YAML format, which their `$schema` declares, by Airflow's rules.

Documents that Airflow's importer refuses are refused here, with the position of the fault. No key of airflow-wall is
added. Faults that only an operator's class can show are found when the DAG is built.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from airflow_wall.diagnostics.faults import Loc
from airflow_wall.diagnostics.printable import brief
from airflow_wall.diagnostics.suggestions import did_you_mean, suggestion
from airflow_wall.diagnostics.wording import name_hint
from airflow_wall.language import native
from airflow_wall.language.callables import Constructed
from airflow_wall.language.document import Spec
from airflow_wall.language.markers import MARKERS as OUR_MARKERS
from airflow_wall.language.markers import Const, FileRef, FileText, Template, XComRef
from airflow_wall.language.native import MARKERS, SCHEMA_KEY, NativePipeline, NativeTask
from airflow_wall.language.pipeline import Group, Head, Pipeline, Task
from airflow_wall.language.step_registry import STEPS
from airflow_wall.loader.expand import MAX_TASKS
from airflow_wall.loader.extends import Templates
from airflow_wall.loader.faults import UNRESOLVED, Faults, Stopped
from airflow_wall.loader.files import Folder
from airflow_wall.loader.policy import Policy
from airflow_wall.loader.run import check_run
from airflow_wall.loader.schedule import check_native_schedule
from airflow_wall.settings import Settings
from airflow_wall.text.document import YamlDocument

_ID = re.compile(r"[\w.-]{1,250}")
_EDITION = re.compile(re.escape(native.SCHEMA_PREFIX) + r"(\d{4}-\d{2}-\d{2})\.json")
_BY_OUR_RULES = f"remove `{SCHEMA_KEY}` to have the document read by airflow-wall's rules, which know it"
_OURS = frozenset(info.alias or name for model in (Pipeline, Task, Group) for name, info in model.model_fields.items())
_RESERVED_HINT = "the id of a task is its `id`, and it belongs to the document it is in"
_BASE_ARGUMENTS = native.TASK_ARGUMENTS | native.RESERVED | native.TASK_DEFERRED


def load_native(document: YamlDocument, settings: Settings) -> Spec:
    """Load one document of Airflow's own format. Its faults are part of the `Spec`; planning raises them."""
    faults = Faults(document)
    reader = _NativeReader(document, faults, Policy(settings, faults))
    try:
        pipeline = reader.pipeline()
    except Stopped:
        pipeline = None
    return Spec(
        path=document.path,
        document=document,
        head=Head.model_construct(dag_id=str(document.value.get("dag_id"))),
        items=(),
        places=faults.places,
        environment=None,
        faults=tuple(faults.collected),
        lost=pipeline is None,
        native=pipeline,
    )


class _NativeReader:
    def __init__(self, document: YamlDocument, faults: Faults, policy: Policy) -> None:
        self.value: dict[Any, Any] = document.value
        self.faults = faults
        self.policy = policy
        self.folder = Folder(document.path.parent)

    def pipeline(self) -> NativePipeline:
        """Return the valid part of the document."""
        self._edition(self.value[SCHEMA_KEY])
        self._id(self.value.get("dag_id"), ("dag_id",))
        arguments = {key: value for key, value in self.value.items() if key not in native.FORMAT_KEYS}
        for key in arguments:
            self._top_key(key)
        self._no_marker(arguments, ())
        self.policy.airflow_arguments(arguments, native.DAG_KINDS, ())
        page = arguments.get("doc_md")
        if self.policy.restricted and isinstance(page, str) and page.endswith(".md"):
            self.faults.add(
                ("doc_md",), "has Airflow open a file, which this deployment does not allow", "write it out"
            )
        return NativePipeline(self._schedule(self.value.get("schedule")), arguments, tuple(self._tasks()))

    # --- the top

    def _edition(self, schema: Any) -> None:
        match = _EDITION.fullmatch(schema) if isinstance(schema, str) else None
        schemas = [f"{native.SCHEMA_PREFIX}{edition}.json" for edition in native.EDITIONS]
        if match is None:
            hint = f"write `{schemas[-1]}`, or {_BY_OUR_RULES.removesuffix(', which know it')}"
            self.faults.add((SCHEMA_KEY,), f"must be that of Airflow's format, got `{brief(schema)}`", hint)
        elif match.group(1) not in native.EDITIONS:
            message = f"names the edition `{match.group(1)}`, which is not known"
            self.faults.add((SCHEMA_KEY,), message, suggestion(schema, schemas, what="editions"))

    def _top_key(self, key: Any) -> None:
        if not isinstance(key, str):
            self._no_text_key(key, ())
        elif key == "default_args":
            hint = f"write `templates`, and `extends` on each task; or {_BY_OUR_RULES}"
            self._fault_of_key((key,), "is not part of Airflow's format", hint)
        elif key in native.DAG_DEFERRED:
            self._fault_of_key((key,), "is not part of Airflow's format yet", _BY_OUR_RULES)
        elif key not in native.DAG_ARGUMENTS:
            hint = "remove it: it is not an argument of `DAG`"
            self._unknown((key,), native.DAG_ARGUMENTS | {*native.FORMAT_KEYS}, hint)

    def _schedule(self, schedule: Any) -> str | Constructed | None:
        loc: Loc = ("schedule",)
        if isinstance(schedule, str):
            check_native_schedule(schedule, self.faults)
        if schedule is None or isinstance(schedule, str):
            return schedule
        if not isinstance(schedule, dict):
            hint = "quote a text; or write {uses: package.module.Timetable, with: {...}}"
            self.faults.add(loc, f"must be text or a timetable, got `{brief(schedule)}`", hint)
            return None
        if not self._is_mapping(schedule, loc):
            return None
        if schedule.keys() & {"assets", "cron"}:
            key, hint = ("assets", _BY_OUR_RULES) if "assets" in schedule else ("cron", "write its text alone")
            self._fault_of_key((*loc, key), "is not part of Airflow's format", hint)
            return None
        for key in sorted(schedule.keys() - {"uses", "with"}):
            self._unknown((*loc, key), ("uses", "with"), "a timetable has `uses` and `with`")
        uses, arguments = schedule.get("uses"), schedule.get("with", {})
        if not isinstance(uses, str) or "." not in uses:
            hint = "write e.g. `airflow.sdk.CronTriggerTimetable`"
            self.faults.add((*loc, "uses"), f"must be the dotted path of a class, got `{brief(uses)}`", hint)
            return None
        if not self._is_mapping(arguments, (*loc, "with")):
            return None
        self.policy.class_path(uses, (*loc, "uses"))
        return Constructed.model_construct(uses=uses, with_=arguments)

    # --- tasks

    def _tasks(self) -> Iterable[NativeTask]:
        templates = Templates(self.value.get("templates", {}), self.faults)
        if self.value.get("templates", {}) is None:
            self.faults.add(("templates",), "must give names and what they hold", "remove it if there are none")
        for name, template in templates.by_name.items():
            self._is_mapping(template if isinstance(template, dict) else {}, ("templates", name))
        tasks = self.value.get("tasks", [])
        if not isinstance(tasks, list):
            message = f"must be a list of tasks, got `{brief(tasks)}`"
            self.faults.add(("tasks",), message, "write `- id: NAME` for each task")
            return
        if len(tasks) > MAX_TASKS:
            message = f"has {len(tasks):,} tasks; at most {MAX_TASKS:,} are allowed"
            self.faults.add(("tasks",), message, "split it into several pipelines")
            return
        for index, task in enumerate(tasks):
            loc = ("tasks", index)
            if not isinstance(task, dict):
                self.faults.add(loc, f"must be a task, got `{brief(task)}`", "write `- id: NAME` and its keys below")
                continue
            if "extends" in task and task["extends"] is None:
                self.faults.add((*loc, "extends"), "must be the name of a template, or a list of them", "remove it")
            native_task = self._task(templates.extended(task, loc), loc)
            if native_task is not None:
                yield native_task

    def _task(self, task: dict[Any, Any], loc: Loc) -> NativeTask | None:
        settings = {key: value for key, value in task.items() if key not in native.TASK_KEYS}
        for key in settings:
            self._task_key(key, loc)
        self._no_marker(settings, loc)
        self.policy.airflow_arguments(settings, native.TASK_KINDS, loc)
        uses, run = self._uses(task, loc), task.get("run")
        arguments = self._with(task.get("with", {}), (*loc, "with"))
        self.policy.airflow_arguments(arguments, native.TASK_KINDS, (*loc, "with"))
        run_arguments = None if run is None else self._run(run, task, loc)
        if not self._id(task.get("id"), (*loc, "id")):
            return None
        needs = tuple(self._needs(task.get("needs", []), (*loc, "needs")))
        return NativeTask(task["id"], needs, uses, arguments, run_arguments, settings, loc)

    def _id(self, value: Any, loc: Loc) -> bool:
        if isinstance(value, str) and _ID.fullmatch(value):
            return True
        if value is None and loc[-1] not in self._block(loc):
            self._fault_of_key(loc, "is missing", f"add `{loc[-1]}`")
        else:
            message = "must be letters, digits, `_`, `-` and `.`, at most 250"
            quote = "quote what looks like a number, a date or a truth value"
            hint = name_hint(value) if isinstance(value, str) else quote
            self.faults.add(loc, f"{message}, got `{brief(value)}`", hint)
        return False

    def _block(self, loc: Loc) -> Any:
        return self.value if len(loc) == 1 else self.value["tasks"][loc[1]]

    def _task_key(self, key: Any, loc: Loc) -> None:
        if not isinstance(key, str):
            self._no_text_key(key, loc)
        elif key in native.TASK_DEFERRED:
            self._fault_of_key((*loc, key), "is not part of Airflow's format yet", _BY_OUR_RULES)
        elif key in native.RESERVED:
            self._fault_of_key((*loc, key), "cannot be set on a task", _RESERVED_HINT)
        elif key not in native.TASK_ARGUMENTS:
            hint = "arguments of the operator itself go under `with`"
            self._unknown((*loc, key), native.TASK_ARGUMENTS | {*native.TASK_KEYS}, hint)

    def _needs(self, needs: Any, loc: Loc) -> Iterable[tuple[str, Loc]]:
        if not isinstance(needs, list | set | tuple) or not all(isinstance(task_id, str) for task_id in needs):
            hint = "write a list, e.g. `needs: [extract]`"
            self.faults.add(loc, f"must be a list of ids of tasks, got `{brief(needs)}`", hint)
            return
        for index, task_id in enumerate(sorted(needs) if isinstance(needs, set) else needs):
            yield task_id, (*loc, index)

    def _uses(self, task: dict[Any, Any], loc: Loc) -> str | None:
        uses, loc = task.get("uses"), (*loc, "uses")
        if uses is None:
            return None
        if isinstance(uses, str) and uses in STEPS:
            hint = f"{_BY_OUR_RULES}; or write the dotted path of its operator"
            self.faults.add(loc, f"names the step `{uses}`, which Airflow's format does not know", hint)
            return None
        if not isinstance(uses, str) or "." not in uses.strip("."):
            hint = "write e.g. `airflow.providers.standard.operators.bash.BashOperator`"
            self.faults.add(loc, f"must be the dotted path of an operator, got `{brief(uses)}`", hint)
            return None
        self.policy.operator(uses, loc)
        return uses

    # --- values

    def _with(self, arguments: Any, loc: Loc) -> dict[str, Any]:
        if not self._is_mapping(arguments, loc):
            return {}
        for name in sorted(arguments.keys() & _BASE_ARGUMENTS):
            hint = "write it on the task itself, beside `with`"
            hint = _RESERVED_HINT if name in native.RESERVED else hint
            self._fault_of_key((*loc, name), "is an argument of every task, not of its operator", hint)
        return {name: self._value(value, (*loc, name)) for name, value in arguments.items()}

    def _run(self, run: Any, task: dict[Any, Any], loc: Loc) -> dict[str, Any]:
        if not self._is_mapping(run, (*loc, "run")):
            return {}
        arguments = {name: self._value(value, (*loc, "run", name)) for name, value in run.items()}
        check_run(arguments, task, loc, self.faults)
        return arguments

    def _value(self, value: Any, loc: Loc) -> Any:
        if isinstance(value, dict):
            return self._mapping(value, loc)
        if isinstance(value, list | tuple):
            return [self._value(item, (*loc, index)) for index, item in enumerate(value)]
        if isinstance(value, bytes):
            try:
                return value.decode()
            except UnicodeDecodeError:
                self.faults.add(loc, "holds bytes that are not text", "encode them as text")
                return UNRESOLVED
        if isinstance(value, set):
            self.faults.add(loc, "is a set, which has no order", "write a list")
            return UNRESOLVED
        return value

    def _mapping(self, value: dict[Any, Any], loc: Loc) -> Any:
        if len(value) == 1:
            ((key, inner),) = value.items()
            if key in MARKERS:
                return self._marker(key, inner, (*loc, key))
        for key in value:
            if isinstance(key, str) and key.startswith("$"):
                hint = "a marker stands alone in its mapping; a key that does begin with `$` goes into {$const: ...}"
                near = None if key in OUR_MARKERS else did_you_mean(key, MARKERS)
                hint = _BY_OUR_RULES if key in OUR_MARKERS.keys() - MARKERS.keys() else hint
                self._fault_of_key((*loc, key), "is not a marker here", near or hint)
        if not self._is_mapping(value, loc):
            return UNRESOLVED
        return {key: self._value(item, (*loc, key)) for key, item in value.items()}

    def _marker(self, key: str, inner: Any, loc: Loc) -> Any:
        kind = MARKERS[key]
        if kind is Const:
            return Const(inner)
        if kind is XComRef:
            return self._xcom(inner, loc)
        if kind is Template and isinstance(inner, dict) and len(inner) == 1:
            ((name, file),) = inner.items()
            if MARKERS.get(name) is FileRef and isinstance(file, str):
                return self._template(self.folder.read(file, (*loc, name), self.faults, is_exact=True), loc)
        if not isinstance(inner, str):
            self.faults.add(loc, f"must be text, got `{brief(inner)}`", "quote it")
            return UNRESOLVED
        if kind is Template:
            return self._template(inner, loc)
        return FileText(self.folder.read(inner, loc, self.faults, is_exact=True))

    def _template(self, text: str, loc: Loc) -> Template:
        self.policy.template(text, loc)
        return Template(text)

    def _xcom(self, inner: Any, loc: Loc) -> Any:
        if isinstance(inner, str):
            return XComRef(inner)
        if isinstance(inner, dict) and inner.keys() <= {"task", "key"}:
            task, key = inner.get("task"), inner.get("key")
            if isinstance(task, str) and isinstance(key, str | None):
                return XComRef(task, key)
        hint = "write {$x: task_id} or {$x: {task: task_id, key: name}}"
        self.faults.add(loc, f"must name a task, got `{brief(inner)}`", hint)
        return UNRESOLVED

    # --- keys

    def _is_mapping(self, value: Any, loc: Loc) -> bool:
        if not isinstance(value, dict):
            self.faults.add(loc, f"must be a mapping, got `{brief(value)}`", "write keys and values")
            return False
        wrong = [key for key in value if not isinstance(key, str)]
        for key in wrong:
            self._no_text_key(key, loc)
        return not wrong

    def _no_marker(self, value: Any, loc: Loc) -> None:
        """Refuse markers in values where Airflow would read them as plain mappings."""
        pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, item in pairs:
            if key in MARKERS:
                hint = "only values under `with` and `run` may be markers"
                self._fault_of_key((*loc, key), "cannot be a marker here", hint)
            self._no_marker(item, (*loc, key))

    def _no_text_key(self, key: Any, loc: Loc) -> None:
        kind = type(key).__name__
        message = f"{'' if loc else 'document '}holds the key `{brief(key)}`, which is not text but {kind}"
        hint = "quote it: YAML 1.1 reads `on`, `yes`, numbers and dates without quotes as something else"
        places = self.faults.places
        part = key if type(key) is int else str(key)
        place = places.place((*loc, part), of_key=True)
        self.faults.collected.append(replace(places.fault(loc, message, hint), place=place))

    def _unknown(self, loc: Loc, allowed: Iterable[str], otherwise: str) -> None:
        key = str(loc[-1])
        if key in _OURS or key in STEPS:
            self._fault_of_key(loc, "is not a key of Airflow's format", _BY_OUR_RULES)
        else:
            self._fault_of_key(loc, "is not a known key", did_you_mean(key, allowed) or otherwise)

    def _fault_of_key(self, loc: Loc, message: str, hint: str) -> None:
        self.faults.add(loc, message, hint, of_key=True)
