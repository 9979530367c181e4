"""Word pydantic's errors so that a user can act on them: what was expected, what came, how to fix it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from pydantic_core import ErrorDetails

from airflow_wall.diagnostics.patterns import (
    DAG_ID_PATTERN,
    DOTTED_PATTERN,
    MARGIN_PATTERN,
    MEMORY_PATTERN,
    NAME_PATTERN,
    REFERENCE_PATTERN,
    WORD_PATTERN,
)
from airflow_wall.diagnostics.printable import brief
from airflow_wall.diagnostics.suggestions import nearest

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
    "float_type": "write a number, e.g., `{name}: 0.5`",
    "bool_type": "write `{name}: true` or `{name}: false`, without quotes",
    "greater_than_equal": "write, e.g., `{name}: {ge}`",
    "less_than_equal": "write, e.g., `{name}: {le}`",
    "greater_than": "write a number above {gt:g}",
    "less_than": "write a number below {lt:g}",
    "too_short": "write at least {min_length}, or remove the key",
    "too_long": "remove entries until {max_length} is left",
    "string_too_short": "write a text, or remove it",
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
"""Block to an example of it."""

_NORMALIZED = 1_000

_WORDS = re.compile(r"[\w@./-]+(?: *, *[\w@./-]+)*")
"""One word, or several words that were probably meant as a list."""

_PATTERNS = {
    NAME_PATTERN: "letters, digits, `_` and `-`",
    DAG_ID_PATTERN: "letters, digits, `_`, `-` and `.`",
    WORD_PATTERN: "a name of letters, digits and `_`",
    REFERENCE_PATTERN: "`module:name` of a Python file beside the pipeline",
    MEMORY_PATTERN: "a size such as `512MB` or `4GB`",
    DOTTED_PATTERN: "a dotted path such as `package.module.Class`",
    MARGIN_PATTERN: "a share such as `1%`, or a number",
}
"""Pattern to its description."""

_EXAMPLES = {
    REFERENCE_PATTERN: "models.scores:train",
    MEMORY_PATTERN: "2GB",
    DOTTED_PATTERN: "package.module.Class",
    MARGIN_PATTERN: "1%",
}
"""Pattern to a text that matches it."""

_FILE_REFERENCE = re.compile(r"(?:\./)?(\w{1,99}(?:/\w{1,99}){0,9})\.py:(\w{1,99})")
"""A function of a file, with the path of the file."""

_YES = {
    **dict.fromkeys(("yes", "on", "y", "1", "true"), "true"),
    **dict.fromkeys(("no", "off", "n", "0", "false"), "false"),
}
"""Words that other versions of YAML, or other languages, read as booleans."""

_NUMBERS = ("int_type", "int_from_float", "float_type")
_PLAIN = (*_NUMBERS, "bool_type", "string_type")


def describe_error(detail: ErrorDetails, name: str, value: Any, written: str | None) -> tuple[str, str, str | None]:
    """
    Return the words for an error: what was expected, what came, in backticks, and the hint.

    :param name: The key, or the position in a list, of the value.
    :param value: The value.
    :param written: The value as it is written, if that is one line.
    """
    kind = detail["type"]
    context: Mapping[str, Any] = detail.get("ctx") or {}
    expected = _EXPECTED.get(kind) or _from_message(kind, detail["msg"], context)
    if kind == "string_pattern_mismatch" and context["pattern"] in (NAME_PATTERN, DAG_ID_PATTERN):
        return (*_name(value, context["pattern"]), name_hint(value))
    got = brief(value)
    if written is not None and kind in _PLAIN and "${{" not in written:
        # Show the text of the file: 1.10 instead of 1.1, and "true" with the quotes that make it wrong.
        got = written if isinstance(value, bool | int | float) or written[0] in ("'", '"') else got
    return expected, f"`{got}`", context.get("hint") or _hint(kind, name, value, got, context)


def _hint(kind: str, name: str, value: Any, got: str, context: Mapping[str, Any]) -> str | None:  # noqa: C901
    key = "" if name.isdigit() else f"{name}: "
    if value is None and kind in (*_PLAIN, "list_type", "dict_type", "model_type"):
        return f"write a value behind `{name}:`, or remove the key" if key else "write a value, or remove the line"
    if kind == "string_type":
        if isinstance(value, list | dict):
            return f"write one text, not a {'list' if isinstance(value, list) else 'mapping'}"
        return f'quote it to mean the text: `{key}"{got}"`'
    if kind == "schedule" and (written := _hint_of_schedule(value)) is not None:
        return written
    if kind == "list_type" and isinstance(value, str) and _WORDS.fullmatch(value):
        return f"write a list: `{key}[{', '.join(re.split(' *, *', value))}]`"
    if kind == "string_pattern_mismatch" and (hint := _hint_of_pattern(context["pattern"], value)):
        return f"{hint[0]} `{key}{hint[1]}`"
    if kind == "model_type" and context.get("class_name") in _BLOCKS:
        return _BLOCKS[context["class_name"]]
    if kind in _NUMBERS and isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value.strip()):
        return f"write it without quotes: `{key}{value.strip()}`"
    if kind == "bool_type" and str(value).lower() in _YES:
        return f"write `{key}{_YES[str(value).lower()]}`"
    if kind == "literal_error" and isinstance(value, str):
        choices = re.findall(r"'([^']+)'", str(context["expected"]))
        near = nearest(value.lower(), choices)
        return f"did you mean `{near}`?" if near else f"write, e.g., `{key}{choices[0]}`"
    usable = kind in _HINTS and (key or "{name}" not in _HINTS[kind])
    return _HINTS[kind].format(**{**context, "name": name}) if usable else None


def _hint_of_schedule(value: Any) -> str | None:
    """Return the hint for a list, or for a mapping of another tool, in the place of a schedule."""
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        if all(len(item.split()) == 5 for item in value):
            crons = ", ".join(f"'{item}'" for item in value)
            return (
                "write `schedule: {uses: airflow.timetables.trigger.MultipleCronTriggerTimetable, with: "
                f"{{crons: [{crons}], timezone: UTC}}}}`"
            )
        return f"write `schedule: {{assets: [{', '.join(value)}]}}` to wait for these assets"
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return "write the assets as `schedule: {assets: [{uri: ..., name: ...}]}`"
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("__type__"), str):
        pairs = [f"{key}: {brief(item)!r}" for key, item in value.items() if key != "__type__"]
        return f"write `schedule: {{uses: {value['__type__']}, with: {{{', '.join(pairs)}}}}}`"
    for key, operator in (("__or__", "or"), ("__and__", "and")):
        if key in value:
            return f"write `schedule: {{assets: {{{operator}: [...]}}}}`"
    if isinstance(value.get("cron"), str):
        return f"write the expression itself: `schedule: '{value['cron']}'`, and `timezone` beside it"
    return None


def _hint_of_pattern(pattern: str, value: str) -> tuple[str, str] | None:
    """Return the first words of the hint and a text that matches; None for a pattern without an example."""
    if pattern == REFERENCE_PATTERN and re.fullmatch(DOTTED_PATTERN, value):
        return "write", ":".join(value.rsplit(".", 1))
    path = _FILE_REFERENCE.fullmatch(value) if pattern == REFERENCE_PATTERN else None
    if path is not None:
        return "write", f"{path[1].replace('/', '.')}:{path[2]}"
    if pattern == MEMORY_PATTERN:
        size = re.sub(r"(?<=[MG])$", "B", re.sub(r"\s|I", "", value.upper()))
        if re.fullmatch(MEMORY_PATTERN, size):
            return "write", size
    return ("write, e.g.,", _EXAMPLES[pattern]) if pattern in _EXAMPLES else None


def _name(value: str, pattern: str) -> tuple[str, str]:
    if len(value) > MAX_NAME:
        return f"must have at most {MAX_NAME} characters", f"`{brief(value, 40)}`, which has {len(value)}"
    strange = next((char for char in value if not char.isascii()), None)
    if strange is None:
        return (
            f"must be {_PATTERNS[pattern]}",
            f"`{brief(value) if value.isprintable() else repr(value)[1:-1]}`",
        )
    called = unicodedata.name(strange, f"U+{ord(strange):04X}")
    return f"must be {_PATTERNS[pattern]}", f"`{brief(value)}` with the character {called}"


def name_hint(name: str) -> str | None:
    """Return the hint for a name with characters that are not allowed, or that is too long."""
    if len(name) > _NORMALIZED:  # normalizing takes the square of the length of a run of accents
        return "write a shorter one"
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    valid = re.sub(r"[^A-Za-z0-9_-]+", "_", plain).strip("_-")[:MAX_NAME]
    return f"write e.g. `{valid}`" if valid and len(name) <= MAX_NAME else "write a shorter one"


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
    if kind == "value_error":  # raised by one of our validators: "must be ..., got ..."
        return str(context["error"]).partition(", got ")[0]
    if message.startswith("must "):
        return message
    return message[0].lower() + message[1:].replace("Input should", "should").replace("input should", "must")
