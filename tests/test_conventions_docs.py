"""The hand-written pages and all docstrings are in plain English, and each decision is in the index."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_links import MARKDOWN, PAGES, ROOT, links

GENERATED = {ROOT / "docs" / "reference" / name for name in ("pipeline.md", "steps.md", "checks.md")}
"""Pages whose words come from docstrings."""
DECISIONS = ROOT / "docs" / "adr"

FIRST_WORDS = re.compile(r"(?:What|Where|Whether|Those|Of|Who|Have)\b")
HOUSE_WORDS = re.compile(
    r"\bmend(?:s|ed|ing)?\b|\b(?:is|are|be|was|were) told\b|(?<!there )\bis no (?!longer\b)", re.IGNORECASE
)
END_OF_SENTENCE = re.compile(r"(?<=[.:!?])\s+")


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page not in GENERATED],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_page_is_in_plain_english(page: Path) -> None:
    assert list(wrong_sentences(page.read_text(encoding="utf-8"))) == []


def wrong_sentences(text: str) -> Iterator[str]:
    """The sentences that begin with a word that hides the subject, or hold a word that only we use, with their line."""
    for token in MARKDOWN.parse(text):
        if token.type == "inline":
            prose = "".join(
                "`" if child.type == "code_inline" else child.content or " " for child in token.children or []
            )
            for sentence in END_OF_SENTENCE.split(prose.strip()):
                if FIRST_WORDS.match(sentence) or HOUSE_WORDS.search(sentence):
                    yield f"line {(token.map or [0])[0] + 1}: {sentence}"


SOURCES = sorted(
    path
    for folder in ("airflow_wall", "benchmarks", "compose", "docs", "examples", "helm", "image", "tests")
    for path in (ROOT / folder).rglob("*.py")
    if ".venv" not in path.parts
)


def test_docstrings_are_in_plain_english() -> None:
    """The first line says what the object is, returns or does."""
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {text.splitlines()[0]}"
        for path in SOURCES
        for line, text in docstrings(path.read_text(encoding="utf-8"))
        if FIRST_WORDS.match(text) or HOUSE_WORDS.search(text)
    ]
    assert wrong == []


def docstrings(source: str) -> Iterator[tuple[int, str]]:
    """Return the docstrings of a module, its classes, functions and variables, each with its line."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # some cases hold a file that is not Python
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for before, statement in zip([None, *node.body], node.body, strict=False):
                is_place = before is None or isinstance(before, ast.Assign | ast.AnnAssign)
                match statement:
                    case ast.Expr(ast.Constant(str(text))) if is_place:
                        yield statement.lineno, text.strip()


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ('"""What a module holds."""', 1),
        ('def f():\n    """Whether it is so."""', 1),
        ('LIMIT = 1\n"""Of all, the most."""', 1),
        ('class C:\n    a: int = 1\n    """This is no number."""', 1),
        ('"""Return what the module holds."""\n"Where"', 0),
        ("def broken(:", 0),
    ],
)
def test_wrong_docstring_is_found(source: str, count: int) -> None:
    texts = [text for _, text in docstrings(source)]
    assert sum(bool(FIRST_WORDS.match(text) or HOUSE_WORDS.search(text)) for text in texts) == count


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("# Where secrets go", 1),
        ("You see it. Whether it runs is open.", 1),
        ("| key |\n| --- |\n| **Who** gets it |", 1),
        ("* the first\n* Of all, this", 1),
        ("Fix it: the file is mended, and you\nare told.", 1),
        ("This is no table.", 1),
        ("There is no table; this is no longer one. You see what changed.", 0),
        ("```\nWhat a block of code holds.\n```", 0),
    ],
)
def test_wrong_sentence_is_found(text: str, count: int) -> None:
    assert len(list(wrong_sentences(text))) == count


def test_index_lists_every_decision() -> None:
    listed = [link for _, link in links(DECISIONS / "README.md") if re.match(r"\d{4}-", link)]
    assert listed == sorted(path.name for path in DECISIONS.glob("[0-9]*.md"))
