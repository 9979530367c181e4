"""Pydantic's errors in words that a user can act on: what was expected, what came, how to mend it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from pydantic_core import ErrorDetails

from airflow_wall.spec.base import MEMORY_PATTERN, NAME_PATTERN
from airflow_wall.spec.callables import DOTTED_PATTERN, REFERENCE_PATTERN
from airflow_wall.spec.markers import Marker
from airflow_wall.text.faults import nearest, shown

MAX_NAME = 200

_EXPECTED = {
    "int_type": "must be an integer",
    "int_from_float": "must be an integer",
    "float_type": "must be a number",
    "bool_type": "must be `true` or `false`",
    "string_type": "must be text",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "list_type": "must be a list",
    "none_required": "must be empty",
}

_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}

_HINTS = {
    "int_type": "write a whole number, e.g., `{name}: 3`",
    "int_from_float": "write a whole number, e.g., `{name}: 3`",
    "bool_type": "write `{name}: true` or `{name}: false`, without quotes",
    "greater_than_equal": "write, e.g., `{name}: {ge}`",
    "less_than_equal": "write, e.g., `{name}: {le}`",
    "list_type": "write a list, e.g., `{name}: [a, b]`",
    "dict_type": "write keys and values, e.g., `{name}: {{key: value}}`",
    "model_type": "write keys and values, e.g., `{name}: {{key: value}}`",
    "asset": "write its name or URI, or `{{name: ..., uri: ...}}`, or `{{alias: ...}}`",
    "asset_condition": (
        "write its name or URI, or `{{name: ..., uri: ...}}`, `{{alias: ...}}`, `{{and: [...]}}`, `{{or: [...]}}`"
    ),
    "callback": "write `module:function`, or `{{uses: package.module.Class, with: {{...}}}}`",
    "deadline_reference": (
        "write `dagrun_queued_at`, `dagrun_logical_date`, `{{average_runtime: {{}}}}` or `{{fixed_datetime: ...}}`"
    ),
    "interval": "write e.g. `interval: 2h`, or `interval: {{variable: NAME}}`",
    "retry_policy": (
        "write `{{rules: [{{exception: builtins.TimeoutError, action: retry}}]}}`, `module:name` or "
        "`{{uses: package.module.Class, with: {{...}}}}`"
    ),
    "schedule": "write e.g. `schedule: '0 3 * * *'`, `schedule: 6h` or `schedule: {{assets: [lake/scores]}}`",
}


_BLOCKS = {
    "Deadline": "write e.g. `deadline: {interval: 2h}`",
    "NoticeBy": "write e.g. `slack: {channel: '#data'}` or `email: {to: data@example.org}`",
}
"""Block to how it is written."""

_WORDS = re.compile(r"[\w@./-]+(?: *, *[\w@./-]+)*")
"""One word, or several that a list was meant to hold."""

_PATTERNS = {
    NAME_PATTERN: "letters, digits, `_` and `-`",
    REFERENCE_PATTERN: "`module:name` of a Python file beside the pipeline",
    MEMORY_PATTERN: "a size such as `512MB` or `4GB`",
    DOTTED_PATTERN: "a dotted path such as `package.module.Class`",
}
"""Pattern to what it means."""

_YES = {
    **dict.fromkeys(("yes", "on", "y", "1", "true"), "true"),
    **dict.fromkeys(("no", "off", "n", "0", "false"), "false"),
}
"""Words that other versions of YAML, or other languages, take for truth values."""

_NUMBERS = ("int_type", "int_from_float", "float_type")
_PLAIN = (*_NUMBERS, "bool_type", "string_type")


def said(detail: ErrorDetails, name: str, given: Any, written: str | None) -> tuple[str, str, str | None]:
    """
    An error in words.

    :param name: The key, or the position in a list, of the value.
    :param given: The value.
    :param written: The value as it is written, where that is one line.
    :return: What was expected, what came, in backticks, and the hint.
    """
    kind = detail["type"]
    context: Mapping[str, Any] = detail.get("ctx") or {}
    expected = _EXPECTED.get(kind) or _from_message(kind, detail["msg"], context)
    if kind == "string_pattern_mismatch" and context["pattern"] == NAME_PATTERN:
        return (*_name(given), name_hint(given))
    got = shown(str(given) if isinstance(given, Marker) else given)
    if written is not None and kind in _PLAIN and "${{" not in written:
        # 1.10 is not 1.1 to who wrote it, and the quotes of "true" are what is wrong with it.
        got = written if isinstance(given, bool | int | float) or written[0] in ("'", '"') else got
    return expected, f"`{got}`", context.get("hint") or _hint(kind, name, given, got, context)


def _hint(kind: str, name: str, given: Any, got: str, context: Mapping[str, Any]) -> str | None:
    key = "" if name.isdigit() else f"{name}: "
    if given is None and kind in (*_PLAIN, "list_type", "dict_type", "model_type"):
        return f"write a value behind `{name}:`, or remove the key" if key else "write a value, or remove the line"
    if kind == "string_type":
        if isinstance(given, list | dict):
            return f"write one text, not a {'list' if isinstance(given, list) else 'mapping'}"
        return f'quote it to mean the text: `{key}"{got}"`'
    if kind == "list_type" and isinstance(given, str) and _WORDS.fullmatch(given):
        return f"write a list: `{key}[{', '.join(re.split(' *, *', given))}]`"
    if (
        kind == "string_pattern_mismatch"
        and context["pattern"] == REFERENCE_PATTERN
        and re.fullmatch(DOTTED_PATTERN, given)
    ):
        return f"write `{key}{':'.join(given.rsplit('.', 1))}`"
    if kind == "model_type" and context.get("class_name") in _BLOCKS:
        return _BLOCKS[context["class_name"]]
    if kind in _NUMBERS and isinstance(given, str) and re.fullmatch(r"-?\d+(\.\d+)?", given.strip()):
        return f"write it without quotes: `{key}{given.strip()}`"
    if kind == "bool_type" and str(given).lower() in _YES:
        return f"write `{key}{_YES[str(given).lower()]}`"
    if kind == "literal_error" and isinstance(given, str):
        near = nearest(given.lower(), re.findall(r"'([^']+)'", str(context["expected"])))
        return f"did you mean `{near}`?" if near else None
    usable = kind in _HINTS and (key or "{name}" not in _HINTS[kind])
    return _HINTS[kind].format(**{**context, "name": name}) if usable else None


def _name(given: str) -> tuple[str, str]:
    if len(given) > MAX_NAME:
        return f"must have at most {MAX_NAME} characters", f"`{shown(given, 40)}`, which has {len(given)}"
    strange = next((char for char in given if not char.isascii()), None)
    if strange is None:
        return f"must be {_PATTERNS[NAME_PATTERN]}", f"`{shown(given) if given.isprintable() else repr(given)[1:-1]}`"
    called = unicodedata.name(strange, f"U+{ord(strange):04X}")
    return f"must be {_PATTERNS[NAME_PATTERN]}", f"`{shown(given)}` with the character {called}"


def name_hint(given: str) -> str | None:
    """How to write a name that holds what names cannot."""
    plain = unicodedata.normalize("NFKD", given).encode("ascii", "ignore").decode()
    made = re.sub(r"[^A-Za-z0-9_-]+", "_", plain).strip("_-")[:MAX_NAME]
    return f"write e.g. `{made}`" if made and len(given) <= MAX_NAME else "write a shorter one"


def _from_message(kind: str, message: str, context: Mapping[str, Any]) -> str:
    if kind == "literal_error":
        return f"must be one of {str(context['expected']).replace(chr(39), '`')}"
    if kind == "string_pattern_mismatch":
        pattern = context["pattern"]
        return f"must be {_PATTERNS[pattern]}" if pattern in _PATTERNS else f"must match `{pattern}`"
    if kind in ("too_short", "too_long"):
        few, count = ("at least", context["min_length"]) if kind == "too_short" else ("at most", context["max_length"])
        return f"must have {few} {count} entr{'y' if count == 1 else 'ies'}"
    if kind == "string_too_short":
        return "must not be empty"
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"must be {words} {context[name]:g}"
    if message.startswith("must "):
        return message
    return message[0].lower() + message[1:].replace("Input should", "should").replace("input should", "must")
