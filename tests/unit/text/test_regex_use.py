"""Each regular expression of the package takes time by the length of its text, or its text has a bound."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from airflow_wall.text.regex_cost import MAX_STEPS, steps_of

PACKAGE = Path(__file__).parents[3] / "airflow_wall"

BOUNDED = {
    ("dag/pod.py", "_KUBERNETES"): "an annotation in the code of an operator",
    ("cli/formats.py", "_MUST"): "a message of at most 1,000 characters",
    ("cli/status.py", "_DAG_ID"): "begins at a line, and reads no further",
    ("project/csv_file.py", "_COMMA_NUMBER"): "two choices, each of which reads a digit once",
    ("project/from_csv.py", "_KEY"): "the name of one column, in a command that its user waits for",
    ("clusters/emr_request.py", "sub"): "reads on where it matched",
    ("planner/planner.py", "_ID"): "begins at a line, and reads no further",
    ("environments/installer.py", "_SECRET"): "begins behind `://`, which it cannot read",
    ("fronts/importer.py", "_PROVIDER"): "begins at a word, and reads on where it matched",
    ("fronts/importer.py", "_PLACE"): "begins at a line, and reads no further",
    ("sources/broken_files.py", "_CONVERTED"): "a message of DuckDB",
    ("sources/dates.py", "_DATE"): "fixed numbers of digits",
    ("publish/targets/base.py", "name_pattern"): "at most 40 characters",
    ("environments/zipapp.py", "_IMPORT"): "lines of our own modules",
    ("engines/duckdb/type_names.py", "_FIELD"): "a type of at most 5,000 characters",
    ("engines/spark/engine.py", "_OURS"): "one line of a log that a driver of ours writes",
    ("loader/expressions.py", "_SIMPLE"): "possessive, and each choice begins otherwise",
    ("loader/requirements.py", "_COMMENT"): "one line, of which the end always matches",
    ("diagnostics/wording.py", "split"): "spaces that always have a comma behind them",
    ("redaction.py", "_URL"): "begins with at most 30 characters",
    ("text/reader.py", "_UNQUOTED"): "a line of at most 160 characters",
    ("text/reader.py", "_WITH_COLON"): "a line of at most 160 characters",
}
"""Expressions that could take more than linear time, and why they do not."""


def expressions(source: str) -> Iterator[tuple[str, str, str]]:
    """Name, pattern and method of each expression that is written out in a module."""
    tree = ast.parse(source)
    used: dict[str, set[str]] = defaultdict(set)
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        if isinstance(call.func, ast.Attribute):
            used[ast.unparse(call.func.value)].add(call.func.attr)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Call)
            and ast.unparse(node.value.func) == "re.compile"
        ):
            name = ast.unparse(node.targets[0])
            for method in used[name] or {"search"}:
                yield name, _written(node.value), method
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in (
            "re.search",
            "re.match",
            "re.fullmatch",
            "re.findall",
            "re.sub",
            "re.split",
        ):
            yield node.func.attr, _written(node), node.func.attr


def _written(call: ast.Call) -> str:
    try:
        pattern = ast.literal_eval(call.args[0])
    except ValueError:
        return ""  # made of names
    pattern = pattern.decode("latin-1") if isinstance(pattern, bytes) else pattern
    flags = "".join(
        letter
        for name, letter in (("MULTILINE", "m"), ("IGNORECASE", "i"), ("DOTALL", "s"))
        if name in ast.unparse(call)
    )
    return f"(?{flags}:{pattern})" if flags else pattern


def slow(source: str) -> set[str]:
    found = set()
    for name, pattern, method in expressions(source):
        whole = f"(?:{pattern})$" if method == "fullmatch" else pattern
        if steps_of(whole, is_anchored=True if method in ("match", "fullmatch") else None) > MAX_STEPS:
            found.add(name)
    return found


def test_expressions_are_linear_or_their_texts_bounded() -> None:
    found = {
        (path.relative_to(PACKAGE).as_posix(), name)
        for path in PACKAGE.rglob("*.py")
        for name in slow(path.read_text())
    }
    assert found == BOUNDED.keys()


def test_control_a_slow_expression_is_found() -> None:
    assert slow("import re\n_A = re.compile('x*y')\n_A.search(text)\nre.findall('a+b', text)") == {"_A", "findall"}
    assert slow("import re\n_A = re.compile('x*y')\n_A.match(text)") == set()
