"""Resolve expressions, `${{ }}`, and markers when the file is read."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_wall.diagnostics.faults import Fault, FaultyText, Loc, SourcePosition
from airflow_wall.diagnostics.patterns import REFERENCE_PATTERN
from airflow_wall.diagnostics.printable import brief
from airflow_wall.diagnostics.suggestions import listed, nearest, suggestion
from airflow_wall.language.markers import MARKERS, Const, FileRef, Import, Template, XComRef
from airflow_wall.loader.code import check_reference, nearest_reference
from airflow_wall.loader.faults import UNRESOLVED, Faults
from airflow_wall.loader.files import Folder
from airflow_wall.loader.policy import Policy

_EXPRESSION = re.compile(r"\$\{\{([^{}]*)\}\}")
_SIMPLE = re.compile(r"(?:[^{]++|\{(?![{%#])|\{\{ *[A-Za-z_]\w*+(?:\.\w++)*+(?: *\| *\w+)? *\}\})*+")
"""Templates that only fill in names. They are valid without a check by Jinja."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_0-9][A-Za-z0-9_-]*)*")
_RUN_TIME = re.compile(
    r"(?<!\$)\{\{\s*(ds|ds_nodash|ts|ts_nodash|logical_date|data_interval_start|data_interval_end|dag_run|run_id|params|macros|var|conn|"
    r"ti|task_instance|task|dag|prev_\w+)\b"
)

_HALF = re.compile(r"(?<!\$)\{\{\s*((?:vars|matrix|env)\.[A-Za-z0-9_.-]+)\s*\}\}")
"""A name that only `${{ }}` fills in, written without the `$`."""

MAX_VALUES = 50_000
"""The most values that one document may expand to."""


_SPECIAL = ("default_args", "doc_md", "notify", "deadline")
"""Keys whose values need more than expressions resolved. The keys of callbacks do, too."""


@dataclass(frozen=True)
class Scope:
    """
    The names that `${{ }}` may use at one place of the file.

    :param names: First part (`vars`, `env`, `matrix`) to its values.
    :param places: First part to the path of its values in the document.
    """

    names: Mapping[str, Mapping[str, Any]]
    places: Mapping[str, Loc]

    def within(self, cell: Mapping[str, Any], loc: Loc) -> Scope:
        """Return this scope inside one repetition of a matrix at `loc`."""
        outer = self.names.get("matrix", {})
        return Scope({**self.names, "matrix": {**outer, **cell}}, {**self.places, "matrix": loc})


class _UnresolvedExpression(Exception):
    """Raised for an expression whose fault is noted already."""


class Resolver:
    """Replaces expressions and markers in values of one document. A faulty value becomes UNRESOLVED."""

    def __init__(self, faults: Faults, folder: Folder, policy: Policy) -> None:
        self.faults = faults
        self.folder = folder
        self.policy = policy
        self.count = 0
        self.sizes: dict[int, int] = {}
        self.has_imports = False
        """True if any value became an `Import`."""

    def spend(self, value: Any, loc: Loc) -> None:
        """
        Count the values of one more use of a value.

        By repetitions and expressions, a few lines could expand to billions of values.

        :raises Stopped: the document expands to too many values.
        """
        self.count += self._size(value)
        if self.count > MAX_VALUES:
            message = f"makes more than {MAX_VALUES:,} values of this document, by repetitions and expressions"
            self.faults.stop(loc, message, "split it into several pipelines")

    def spend_block(self, block: dict[str, Any], loc: Loc, *, besides: Collection[str]) -> None:
        """
        Count one more use of all keys of a block, without those in `besides`.

        :raises Stopped: the document expands to too many values. The fault names the first key beyond the bound.
        """
        size = self._sum([value for key, value in block.items() if key not in besides])
        if self.count + size <= MAX_VALUES:
            self.count += size
            return
        for key, value in block.items():
            if key not in besides:
                self.spend(value, (*loc, key))

    def _size(self, value: Any) -> int:
        if type(value) is str:
            return 1 + len(value) // 256
        if not isinstance(value, (dict, list)):  # a union takes twice as long, and this runs for every value
            return 1
        size = self.sizes.get(id(value))
        if size is None:
            size = self.sizes[id(value)] = 1 + self._sum(value.values() if isinstance(value, dict) else value)
        return size

    def _sum(self, values: Iterable[Any]) -> int:
        # Most values are short texts; skipping the call for these saves time.
        return sum([1 if type(value) is str and len(value) < 256 else self._size(value) for value in values])

    def plain(self, value: Any, loc: Loc, scope: Scope) -> Any:
        """Return the value with its `${{ }}` resolved. Markers remain mappings."""
        return self._walk(value, loc, scope)

    def block(self, value: dict[str, Any], loc: Loc, scope: Scope, *, besides: Collection[str]) -> dict[str, Any]:
        """
        Return a block with its expressions resolved, without the keys in `besides`, which are read elsewhere.

        Values that are called, such as callbacks, may hold markers, which are replaced. The name of a Markdown file in
        `doc_md` is replaced by its text.
        """
        special = [key for key in value if key in _SPECIAL or key.endswith("_callback")]
        if not special:
            return self._entries(value, loc, scope, besides=besides)
        resolved = self._entries(value, loc, scope, besides=(*besides, *special))
        for key in special:
            where, written = (*loc, key), value[key]
            if key == "default_args" and isinstance(written, dict):
                resolved[key] = self.block(written, where, scope, besides=())
            elif key == "doc_md":
                resolved[key] = self._walk(written, where, scope)
            else:
                resolved[key] = self._walk(written, where, scope, markers=True)
                self._no_results(resolved[key], where)
                if key.endswith("_callback"):
                    self._functions(resolved[key], where)
            if key == "doc_md" and isinstance(resolved[key], str):
                resolved[key] = self._document(resolved[key], where)
        return resolved

    def _no_results(self, value: Any, loc: Loc) -> None:
        if isinstance(value, XComRef):
            self.faults.add(loc, "cannot hold what a task returns", "write the value itself, or fill it in with `$t`")
        elif isinstance(value, dict | list):
            for key, item in value.items() if isinstance(value, dict) else enumerate(value):
                self._no_results(item, (*loc, key))

    def _functions(self, value: Any, loc: Loc) -> None:
        for index, item in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(item, str) and re.fullmatch(REFERENCE_PATTERN, item):
                check_reference(item, self.folder, self.faults, (*loc, index) if isinstance(value, list) else loc)

    def _document(self, text: str, loc: Loc) -> str:
        """Return the text of the Markdown file that `text` names, else `text`. Airflow reads neither as a file name."""
        if text.endswith(".md") and "\n" not in text:
            text = self.folder.read(text, loc, self.faults)
        return f"{text}\n" if text.endswith(".md") else text

    def arguments(self, value: Any, loc: Loc, scope: Scope) -> Any:
        """Return the value of a `with` with its expressions resolved and its markers replaced by their objects."""
        return self._walk(value, loc, scope, markers=True)

    def _walk(self, value: Any, loc: Loc, scope: Scope, *, markers: bool = False) -> Any:
        if isinstance(value, str):
            return self._text(value, loc, scope, warn=markers)
        if isinstance(value, list):
            return [self._walk(item, (*loc, index), scope, markers=markers) for index, item in enumerate(value)]
        if isinstance(value, dict):
            marker = self._marker(value, loc, scope) if markers else None
            if marker is not None:
                return marker
            return self._entries(value, loc, scope, markers=markers)
        return value

    def _entries(
        self, value: dict[str, Any], loc: Loc, scope: Scope, *, markers: bool = False, besides: Collection[str] = ()
    ) -> dict[str, Any]:
        return {
            # Most values are text without an expression; skipping the walk for these saves time.
            key: item
            if isinstance(item, str) and "{{" not in item
            else self._walk(item, (*loc, key), scope, markers=markers)
            for key, item in value.items()
            if key not in besides
        }

    # --- ${{ }}

    def _text(self, text: str, loc: Loc, scope: Scope, *, warn: bool) -> Any:
        if warn:
            self._literal(text, loc, f"{{$t: '{brief(text)}'}}")
        if "${{" not in text:
            return text
        parts = _EXPRESSION.split(text)  # alternates between text and the content of braces
        try:
            if len(parts) == 3 and not parts[0] and not parts[2]:
                return self._whole(parts[1].strip(), loc, scope)
            if text.count("${{") > len(parts) // 2:
                hint = "write `${{ vars.NAME }}`; a text that holds `${{` itself goes into {$const: ...} under `with`"
                self.faults.add(loc, f"opens `${{{{` without a name and `}}}}` after it: `{brief(text)}`", hint)
                raise _UnresolvedExpression
            parts[1::2] = [self._part(expression.strip(), loc, scope) for expression in parts[1::2]]
            return "".join(parts)
        except _UnresolvedExpression:
            return UNRESOLVED

    def _literal(self, text: str, loc: Loc, template: str) -> None:
        """Warn of expressions in a literal text, which stay text. `template` is the YAML that fills them in."""
        self._half(text, loc)
        if match := _RUN_TIME.search(text):
            self.faults.warn(
                loc,
                f"holds `{brief(match.group(0) + ' ... }}')}`, which stays text here: values are literal",
                f"to have it filled in when the task runs, write {template}",
            )

    def _half(self, text: str, loc: Loc) -> None:
        if match := _HALF.search(text):
            message = f"holds `{brief(match.group(0))}`, which nothing fills in"
            self.faults.warn(loc, message, f"write `${{{{ {match.group(1)} }}}}`: it is known when the file is read")

    def _whole(self, expression: str, loc: Loc, scope: Scope) -> Any:
        value, origin = self._lookup(expression, loc, scope)
        self.spend(value, loc)
        if origin[0] != "env":  # a fault of the value is reported at the place where it is written
            self.faults.places.moved[loc] = origin
        return value

    def _part(self, expression: str, loc: Loc, scope: Scope) -> str:
        value, _ = self._lookup(expression, loc, scope)
        if value is UNRESOLVED:
            raise _UnresolvedExpression
        self.spend(value, loc)
        if isinstance(value, dict | list) or value is None:
            self.faults.add(
                loc,
                f"puts `${{{{ {expression} }}}}` into a text, but its value is `{brief(value)}`",
                "use a text or number there, or make the expression the whole value",
            )
            raise _UnresolvedExpression
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
                    raise _UnresolvedExpression
                names = list(value) if isinstance(value, Mapping) else []
                path = ".".join((first, *rest[:depth]))
                self._refuse(loc, expression, "is not known", self._unknown(path, part, names))
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
        if near is not None:
            return f"did you mean `${{{{ {'.'.join((near, *rest))} }}}}`?"
        return f"it may be {listed(f'{name}.NAME' for name in scope.names)}"

    def _unknown(self, path: str, part: str, names: list[str]) -> str:
        if path == "env":
            return f"only variables that the setting `[wall] allowed_env` lists can be read; add `{part}` to it"
        near = nearest(part, names)
        if near is not None:
            return f"did you mean `${{{{ {path}.{near} }}}}`?"
        return f"`{path}` has {listed(sorted(names))}" if names else f"`{path}` has no names in it"

    def _refuse(self, loc: Loc, expression: str, message: str, hint: str) -> None:
        written = f"${{{{ {expression} }}}}" if expression else "${{ }}"
        self.faults.add(loc, f"names `{written}`, which {message}", hint)
        raise _UnresolvedExpression

    # --- markers

    def _marker(self, value: dict[str, Any], loc: Loc, scope: Scope, *, is_literal: bool = True) -> Any:
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
            file = self._marker(inner, (*loc, key), scope, is_literal=False)
            return self._template(self._file(file, (*loc, key)), (*loc, key))
        text = self.plain(inner, (*loc, key), scope)
        if text is UNRESOLVED:
            return UNRESOLVED
        if not isinstance(text, str):
            hint = "write one text" if isinstance(text, dict | list) else f'quote it: `"{brief(text)}"`'
            self.faults.add((*loc, key), f"must be text, got `{brief(text)}`", hint)
            return UNRESOLVED
        return self._of_text(kind, text, (*loc, key), is_literal=is_literal)

    def _of_text(self, kind: type, text: str, loc: Loc, *, is_literal: bool) -> Any:
        """Return the object of a marker whose value is a text: a function, a template or the text of a file."""
        if kind is Import:
            return self._import(text, loc)
        if kind is Template:
            return self._template(text, loc)
        content = self._file(FileRef(text), loc)
        if is_literal:
            self._literal(content, loc, f"{{$t: {{$f: {brief(text)}}}}}")
        return content

    def _template(self, text: str, loc: Loc) -> Template:
        self.check_template(text, loc)
        self._half(text, loc)
        return Template(text)

    def check_template(self, text: str, loc: Loc, *, file: str | None = None) -> None:
        """
        Note the faults of a text that Jinja renders when the task runs.

        :param file: The file that holds it, as the pipeline names it.
        """
        error = None
        if _SIMPLE.fullmatch(text) is None:
            if not self.faults.count_template(text, loc):
                return
            from airflow_wall.loader.templates import syntax_error  # imports Jinja, which most files do not need

            error = syntax_error(text)
        if error is None:
            self.policy.template(text, loc)
            return
        line, message = error
        hint = "close each `{{` by `}}` and each `{%` by `%}`; braces that are meant as text go into {{ '{{' }}"
        if file is not None:
            source = text.splitlines()[line - 1] if line <= len(text.splitlines()) else ""
            place = SourcePosition(line, len(source) - len(source.lstrip()) + 1, max(1, len(source.strip())))
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
            message = f"must be `module:name`, got `{brief(reference)}`"
            self.faults.add(loc, message, f"write e.g. `{nearest_reference(reference) or 'helpers:choose'}`")
            return UNRESOLVED
        self.policy.code(reference, loc)
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
            loc,
            f"must name a task, got `{brief(inner)}`",
            "write {$x: task_id} or {$x: {task: task_id, key: name}}",
        )
        return UNRESOLVED
