"""`${{ }}` and the markers: what is resolved when the file is read."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_wall.loader.code import check_reference, nearest_reference
from airflow_wall.loader.faults import UNRESOLVED, Faults
from airflow_wall.loader.files import Folder
from airflow_wall.loader.policy import Policy
from airflow_wall.spec.callables import REFERENCE_PATTERN
from airflow_wall.spec.markers import MARKERS, Const, FileRef, Import, Template, XComRef
from airflow_wall.text.faults import Fault, FaultyText, Loc, Place, nearest, shown, suggestion

_EXPRESSION = re.compile(r"\$\{\{([^{}]*)\}\}")
_SIMPLE = re.compile(r"(?:[^{]++|\{(?![{%#])|\{\{ *[A-Za-z_]\w*+(?:\.\w++)*+(?: *\| *\w+)? *\}\})*+")
"""Templates that only fill in names: nothing can be wrong with them that Jinja would have to be asked about."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_0-9][A-Za-z0-9_-]*)*")
_RUN_TIME = re.compile(
    r"(?<!\$)\{\{\s*(ds|ds_nodash|ts|ts_nodash|logical_date|data_interval_start|data_interval_end|dag_run|run_id|params|macros|var|conn|"
    r"ti|task_instance|task|dag|prev_\w+)\b"
)

_HALF = re.compile(r"(?<!\$)\{\{\s*((?:vars|matrix|env)\.[A-Za-z0-9_.-]+)\s*\}\}")
"""What only `${{ }}` fills in, without its `$`."""

MAX_MADE = 250_000
"""How many values one document may become."""


_SPECIAL = ("default_args", "doc_md", "notify", "deadline")
"""Keys whose values are more than values with expressions in them; so are those of callbacks."""


@dataclass(frozen=True)
class Scope:
    """
    What `${{ }}` may name at one place of the file.

    :param names: First part (`vars`, `env`, `matrix`) to its values.
    :param places: First part to where its values stand in the text.
    """

    names: Mapping[str, Mapping[str, Any]]
    places: Mapping[str, Loc]

    def within(self, cell: Mapping[str, Any], loc: Loc) -> Scope:
        """This scope inside one repetition of a matrix at `loc`."""
        outer = self.names.get("matrix", {})
        return Scope({**self.names, "matrix": {**outer, **cell}}, {**self.places, "matrix": loc})


class _Unresolved(Exception):
    """An expression that was noted as a fault."""


class Resolver:
    """Replaces expressions and markers in values of one document; what is at fault becomes UNRESOLVED."""

    def __init__(self, faults: Faults, folder: Folder, policy: Policy) -> None:
        self.faults = faults
        self.folder = folder
        self.policy = policy
        self.made = 0
        self.sizes: dict[int, int] = {}
        self.has_imports = False
        """Whether any value became an `Import`."""

    def spend(self, value: Any, loc: Loc) -> None:
        """
        Count what one more use of a value makes: by repetitions and expressions, few lines could make billions.

        :raises Stopped: it is too much.
        """
        self.made += self._size(value)
        if self.made > MAX_MADE:
            message = f"makes more than {MAX_MADE:,} values of this document, by repetitions and expressions"
            self.faults.stop(loc, message, "split it into several pipelines")

    def spend_block(self, block: dict[str, Any], loc: Loc, *, besides: Collection[str]) -> None:
        """
        Count one more use of all keys of a block, without those `besides`.

        :raises Stopped: it is too much; says from which key on.
        """
        size = self._sum([each for key, each in block.items() if key not in besides])
        if self.made + size <= MAX_MADE:
            self.made += size
            return
        for key, each in block.items():
            if key not in besides:
                self.spend(each, (*loc, key))

    def _size(self, value: Any) -> int:
        if type(value) is str:
            return 1 + len(value) // 256
        if not isinstance(value, (dict, list)):  # a union takes twice as long, and this is asked of every value
            return 1
        size = self.sizes.get(id(value))
        if size is None:
            size = self.sizes[id(value)] = 1 + self._sum(value.values() if isinstance(value, dict) else value)
        return size

    def _sum(self, values: Iterable[Any]) -> int:
        # Most values are short texts: not worth a call each.
        return sum([1 if type(each) is str and len(each) < 256 else self._size(each) for each in values])

    def plain(self, value: Any, loc: Loc, scope: Scope) -> Any:
        """The value with its `${{ }}` resolved; markers stay what they are, mappings."""
        return self._walk(value, loc, scope)

    def block(self, value: dict[str, Any], loc: Loc, scope: Scope, *, besides: Collection[str]) -> dict[str, Any]:
        """
        The keys of a block as `plain` gives them, without those `besides`, which are read elsewhere.

        Markers are made where something is called; a Markdown file that is named as documentation becomes its text.
        """
        special = [key for key in value if key in _SPECIAL or key.endswith("_callback")]
        if not special:
            return self._entries(value, loc, scope, besides=besides)
        made = self._entries(value, loc, scope, besides=(*besides, *special))
        for key in special:
            where, written = (*loc, key), value[key]
            if key == "default_args" and isinstance(written, dict):
                made[key] = self.block(written, where, scope, besides=())
            elif key == "doc_md":
                made[key] = self._walk(written, where, scope)
            else:
                made[key] = self._walk(written, where, scope, markers=True)
                self._no_results(made[key], where)
                if key.endswith("_callback"):
                    self._functions(made[key], where)
            if key == "doc_md" and isinstance(made[key], str):
                made[key] = self._document(made[key], where)
        return made

    def _no_results(self, value: Any, loc: Loc) -> None:
        if isinstance(value, XComRef):
            self.faults.add(loc, "cannot hold what a task returns", "write the value itself, or fill it in with `$t`")
        elif isinstance(value, dict | list):
            for key, each in value.items() if isinstance(value, dict) else enumerate(value):
                self._no_results(each, (*loc, key))

    def _functions(self, value: Any, loc: Loc) -> None:
        for index, each in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(each, str) and re.fullmatch(REFERENCE_PATTERN, each):
                check_reference(each, self.folder, self.faults, (*loc, index) if isinstance(value, list) else loc)

    def _document(self, text: str, loc: Loc) -> str:
        """The text of the Markdown file that `text` names, or `text`; in neither case a name for Airflow to open."""
        if text.endswith(".md") and "\n" not in text:
            text = self.folder.read(text, loc, self.faults)
        return f"{text}\n" if text.endswith(".md") else text

    def arguments(self, value: Any, loc: Loc, scope: Scope) -> Any:
        """The value of a `with`: expressions resolved, and markers made."""
        return self._walk(value, loc, scope, markers=True)

    def _walk(self, value: Any, loc: Loc, scope: Scope, *, markers: bool = False) -> Any:
        if isinstance(value, str):
            return self._text(value, loc, scope, warn=markers)
        if isinstance(value, list):
            return [self._walk(item, (*loc, index), scope, markers=markers) for index, item in enumerate(value)]
        if isinstance(value, dict):
            made = self._marker(value, loc, scope) if markers else None
            if made is not None:
                return made
            return self._entries(value, loc, scope, markers=markers)
        return value

    def _entries(
        self, value: dict[str, Any], loc: Loc, scope: Scope, *, markers: bool = False, besides: Collection[str] = ()
    ) -> dict[str, Any]:
        return {
            # Most values are text without any sign of an expression: not worth a walk.
            key: item
            if isinstance(item, str) and "{{" not in item
            else self._walk(item, (*loc, key), scope, markers=markers)
            for key, item in value.items()
            if key not in besides
        }

    # --- ${{ }}

    def _text(self, text: str, loc: Loc, scope: Scope, *, warn: bool) -> Any:
        if warn:
            self._half(text, loc)
            if found := _RUN_TIME.search(text):
                self.faults.warn(
                    loc,
                    f"holds `{shown(found.group(0) + ' ... }}')}`, which stays text here: values are literal",
                    f"to have it filled in when the task runs, write {{$t: '{shown(text)}'}}",
                )
        if "${{" not in text:
            return text
        parts = _EXPRESSION.split(text)  # text and what is between the braces, by turns
        try:
            if len(parts) == 3 and not parts[0] and not parts[2]:
                return self._whole(parts[1].strip(), loc, scope)
            if text.count("${{") > len(parts) // 2:
                hint = "write `${{ vars.NAME }}`; a text that holds `${{` itself goes into {$const: ...} under `with`"
                self.faults.add(loc, f"opens `${{{{` without a name and `}}}}` after it: `{shown(text)}`", hint)
                raise _Unresolved
            parts[1::2] = [self._part(expression.strip(), loc, scope) for expression in parts[1::2]]
            return "".join(parts)
        except _Unresolved:
            return UNRESOLVED

    def _half(self, text: str, loc: Loc) -> None:
        if found := _HALF.search(text):
            message = f"holds `{shown(found.group(0))}`, which nothing fills in"
            self.faults.warn(loc, message, f"write `${{{{ {found.group(1)} }}}}`: it is known when the file is read")

    def _whole(self, expression: str, loc: Loc, scope: Scope) -> Any:
        value, origin = self._lookup(expression, loc, scope)
        self.spend(value, loc)
        if origin[0] != "env":  # what is wrong with it is wrong where it was written
            self.faults.places.moved[loc] = origin
        return value

    def _part(self, expression: str, loc: Loc, scope: Scope) -> str:
        value, _ = self._lookup(expression, loc, scope)
        if value is UNRESOLVED:
            raise _Unresolved
        self.spend(value, loc)
        if isinstance(value, dict | list) or value is None:
            self.faults.add(
                loc,
                f"puts `${{{{ {expression} }}}}` into a text, but its value is `{shown(value)}`",
                "use a text or number there, or make the expression the whole value",
            )
            raise _Unresolved
        return str(value).lower() if isinstance(value, bool) else str(value)

    def _lookup(self, expression: str, loc: Loc, scope: Scope) -> tuple[Any, Loc]:
        if not _NAME.fullmatch(expression):
            self._refuse(
                loc, expression, "is not a name", "write `${{ vars.NAME }}`, `${{ matrix.NAME }}` or `${{ env.NAME }}`"
            )
        first, *rest = expression.split(".")
        if first not in scope.names or not rest:
            self._refuse(loc, expression, "is not known", self._unknown_first(first, rest, scope))
        value: Any = scope.names[first]
        for depth, part in enumerate(rest):
            if not isinstance(value, Mapping) or part not in value:
                if first == "vars" and depth == 0 and self.faults.lacks_included:
                    raise _Unresolved
                known = list(value) if isinstance(value, Mapping) else []
                path = ".".join((first, *rest[:depth]))
                self._refuse(loc, expression, "is not known", self._unknown(path, part, known))
            value = value[part]
        if first == "env" and value is None:
            self._refuse(loc, expression, "is not set", f"set {rest[0]} in the environment of every Airflow component")
        return value, (*scope.places[first], *rest)

    def _unknown_first(self, first: str, rest: list[str], scope: Scope) -> str:
        if first in scope.names:
            return f"write which one: `${{{{ {first}.{next(iter(scope.names[first]), 'NAME')} }}}}`"
        if first == "vars":
            return "a var cannot name another one: write the value itself, or name both where they are used"
        if first == "matrix":
            return "`matrix` is known only inside an item that has one"
        near = nearest(first, scope.names)
        listed = ", ".join(f"`{name}.NAME`" for name in scope.names)
        return f"did you mean `${{{{ {'.'.join((near, *rest))} }}}}`?" if near else f"it may be {listed}"

    def _unknown(self, path: str, part: str, known: list[str]) -> str:
        if path == "env":
            return f"only variables that the setting `[wall] allowed_env` lists can be read; add `{part}` to it"
        near = nearest(part, known)
        if near is not None:
            return f"did you mean `${{{{ {path}.{near} }}}}`?"
        listed = ", ".join(f"`{name}`" for name in sorted(known))
        return f"`{path}` has {listed}" if known else f"`{path}` has no names in it"

    def _refuse(self, loc: Loc, expression: str, message: str, hint: str) -> None:
        written = f"${{{{ {expression} }}}}" if expression else "${{ }}"
        self.faults.add(loc, f"names `{written}`, which {message}", hint)
        raise _Unresolved

    # --- markers

    def _marker(self, value: dict[str, Any], loc: Loc, scope: Scope) -> Any:
        keys = [key for key in value if key.startswith("$")]
        if not keys:
            return None
        key = keys[0]
        kind = MARKERS.get(key)
        if kind is None:
            self.faults.add(
                (*loc, key),
                "is not a known marker",
                f"{suggestion(key, MARKERS, what='markers')} A key that does begin with `$` goes into {{$const: ...}}",
                of_key=True,
            )
            return UNRESOLVED
        if len(value) > 1:
            self.faults.add(
                (*loc, key),
                "must be the only key of its mapping",
                "put the marker into a value of its own",
                of_key=True,
            )
            return UNRESOLVED
        inner = value[key]
        if kind is Const:
            return Const(inner)
        if kind is XComRef:
            return self._xcom(inner, (*loc, key), scope)
        if kind is Template and isinstance(inner, dict) and set(inner) & {"$f", "$file"}:
            made = self._marker(inner, (*loc, key), scope)
            return self._template(self._file(made, (*loc, key)), (*loc, key))
        text = self.plain(inner, (*loc, key), scope)
        if text is UNRESOLVED:
            return UNRESOLVED
        if not isinstance(text, str):
            hint = "write one text" if isinstance(text, dict | list) else f'quote it: `"{shown(text)}"`'
            self.faults.add((*loc, key), f"must be text, got `{shown(text)}`", hint)
            return UNRESOLVED
        if kind is Import:
            return self._import(text, (*loc, key))
        return self._template(text, (*loc, key)) if kind is Template else self._file(FileRef(text), (*loc, key))

    def _template(self, text: str, loc: Loc) -> Template:
        self.check_template(text, loc)
        self._half(text, loc)
        return Template(text)

    def check_template(self, text: str, loc: Loc, *, file: str | None = None) -> None:
        """
        Note what is wrong with a text that Jinja fills in when the task runs.

        :param file: The file that holds it, as the pipeline names it.
        """
        found = None
        if _SIMPLE.fullmatch(text) is None:
            from airflow_wall.loader.templates import syntax_fault  # brings Jinja, which most files do not need

            found = syntax_fault(text)
        if found is None:
            self.policy.template(text, loc)
            return
        line, message = found
        hint = "close each `{{` by `}}` and each `{%` by `%}`; braces that are meant as text go into {{ '{{' }}"
        if file is not None:
            source = text.splitlines()[line - 1] if line <= len(text.splitlines()) else ""
            place = Place(line, len(source) - len(source.lstrip()) + 1, max(1, len(source.strip())))
            fault = Fault(self.folder.path / file, place, f"not a Jinja template: {message}", hint, text=text)
            self.faults.include(FaultyText([fault], text))
        else:
            where = f", in its line {line}" if "\n" in text else ""
            self.faults.add(loc, f"is not a Jinja template{where}: {message}", hint)

    def _file(self, reference: Any, loc: Loc) -> str:
        if not isinstance(reference, FileRef):
            return reference if isinstance(reference, str) else ""
        return self.folder.read(reference.path, loc, self.faults)

    def _import(self, reference: str, loc: Loc) -> Any:
        if not re.fullmatch(REFERENCE_PATTERN, reference):
            message = f"must be `module:name`, got `{shown(reference)}`"
            self.faults.add(loc, message, f"write e.g. `{nearest_reference(reference) or 'helpers:choose'}`")
            return UNRESOLVED
        self.policy.entrypoint(reference, loc)
        self.has_imports = True
        check_reference(reference, self.folder, self.faults, loc)
        return Import(reference)

    def _xcom(self, inner: Any, loc: Loc, scope: Scope) -> Any:
        inner = self.plain(inner, loc, scope)
        if inner is UNRESOLVED:
            return UNRESOLVED
        if isinstance(inner, str) and inner:
            return XComRef(inner)
        if isinstance(inner, dict) and isinstance(inner.get("task"), str) and set(inner) <= {"task", "key"}:
            return XComRef(inner["task"], inner.get("key"))
        self.faults.add(
            loc, f"must name a task, got `{shown(inner)}`", "write {$x: task_id} or {$x: {task: task_id, key: name}}"
        )
        return UNRESOLVED
