"""Every link of every Markdown file to a file of the repository leads to a file, and to a heading, that exists."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import readme_links
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[1]
FOLDERS = (".github", "benchmarks", "compose", "dags", "docs", "examples", "helm", "image", "tests")
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])
PAGES = [page for page in PAGES if "node_modules" not in page.parts]
MARKDOWN = MarkdownIt("js-default")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    assert dead_links(page) == []


def dead_links(page: Path) -> list[str]:
    """The links of a page that lead nowhere, with the line of the paragraph each stands in."""
    return [f"line {line}: {link}" for line, link in links(page) if not leads_somewhere(page, link)]


def links(page: Path) -> Iterator[tuple[int, str]]:
    """Line and address of each link and image."""
    for token in MARKDOWN.parse(page.read_text(encoding="utf-8")):
        for child in token.children or []:
            link = child.attrGet("href") or child.attrGet("src")
            if isinstance(link, str):
                yield (token.map or [0])[0] + 1, link


def leads_somewhere(page: Path, link: str) -> bool:
    own = re.fullmatch(rf"{re.escape(readme_links.public_address())}/(?:blob|raw)/main/(.+)", link)
    parts = urlsplit(own[1] if own else link)
    if parts.scheme:
        return not link.startswith(readme_links.public_address())  # another site
    folder = ROOT if own else page.parent
    target = (folder / unquote(parts.path)).resolve() if parts.path else page
    if not target.is_relative_to(ROOT) or not target.exists():
        return False
    return not parts.fragment or parts.fragment in anchors(target)


@cache
def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    slugs: Counter[str] = Counter()
    found = set()
    tokens = MARKDOWN.parse(page.read_text(encoding="utf-8"))
    for heading, inline in pairwise(tokens):
        if heading.type == "heading_open":
            text = "".join(child.content for child in inline.children or [] if is_text(child))
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            found.add(f"{slug}-{slugs[slug]}" if slugs[slug] else slug)
            slugs[slug] += 1
    return found


def is_text(token: Token) -> bool:
    return token.type in ("text", "code_inline")


@pytest.mark.parametrize(
    ("link", "leads"),
    [
        ("other.md", True),
        ("other.md#its-heading-of-code-2", True),
        ("#here", True),
        ("https://example.org/x", True),
        (f"{readme_links.public_address()}/blob/main/other.md#its-heading-of-code-2", True),
        (f"{readme_links.public_address()}/blob/main/missing.md", False),
        (f"{readme_links.public_address()}/blob/other/other.md", False),
        ("missing.md", False),
        ("other.md#another", False),
        ("#there", False),
    ],
)
def test_link_to_what_is_missing_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: str, leads: bool
) -> None:
    monkeypatch.setattr("test_links.ROOT", tmp_path)
    (tmp_path / "other.md").write_text("## Its heading, of `code` 2\n")
    page = tmp_path / "page.md"
    page.write_text(f"# Here\n\n| a |\n| --- |\n| [text]({link}) |\n")
    assert dead_links(page) == ([] if leads else [f"line 5: {link}"])


NAMED = re.compile(r"\bdocs/[\w./-]+\.(?:md|yaml|svg|png)\b")
SOURCES = [
    *(ROOT / "airflow_wall").rglob("*.py"),
    *(path for path in (ROOT / "helm").rglob("*") if path.suffix in (".yaml", ".tpl", ".json", ".txt")),
    *(ROOT / name for name in ("Dockerfile", "Makefile", "docker-compose.yaml", ".ci/gate.py")),
]


def test_pages_that_messages_and_comments_name_are_there() -> None:
    named = {(path, name) for path in SOURCES for name in NAMED.findall(path.read_text(encoding="utf-8"))}
    assert len(named) > 5
    assert [f"{path}: {name}" for path, name in sorted(named) if not (ROOT / name).exists()] == []


def test_links_of_the_readme_work_on_a_package_index() -> None:
    readme = ROOT / "README.md"
    assert [link for _, link in links(readme) if not link.startswith("https://")] == []
    assert readme_links.with_address(readme.read_text(encoding="utf-8")) == readme.read_text(encoding="utf-8"), (
        "run `make docs`"
    )


def test_another_address_changes_every_link_of_the_readme(monkeypatch: pytest.MonkeyPatch) -> None:
    before = (ROOT / "README.md").read_text(encoding="utf-8")
    old = readme_links.public_address()
    monkeypatch.setattr(readme_links, "public_address", lambda: "https://git.example.org/team/wall")
    after = readme_links.with_address(before)
    assert old not in after
    assert after.replace("https://git.example.org/team/wall", old) == before


def test_every_page_is_in_the_index_of_the_docs() -> None:
    index = ROOT / "docs" / "README.md"
    listed = {(index.parent / link.partition("#")[0]).resolve() for _, link in links(index)}
    pages = {page for page in (ROOT / "docs").rglob("*.md") if page.parent.name not in ("adr", "examples")}
    assert sorted(pages - listed - {index}) == []


MODULE = re.compile(r"`(airflow_wall(?:[./][a-z_0-9]+)+)")
ENTRY_POINT_GROUPS = {
    f"airflow_wall.{name}" for name in ("steps", "operators", "jobs", "checks", "targets", "clusters", "cluster_specs")
}
ADDED = re.compile(r"`(airflow_wall/[\w/]+\.py)`[^`]*?:\n\n```python")
"""Files whose content follows, which the reader is to write."""


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.name != "CHANGELOG.md"],  # it names the modules of earlier versions, too
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_modules_that_a_page_names_exist(page: Path) -> None:
    assert missing_modules(page.read_text(encoding="utf-8")) == []


def missing_modules(text: str) -> list[str]:
    """The modules and packages, as `airflow_wall.a.b` or `airflow_wall/a/b.py`, that the package does not have."""
    names = set(MODULE.findall(text)) - ENTRY_POINT_GROUPS - set(ADDED.findall(text))
    paths = {name: ROOT / name.removesuffix(".py").replace(".", "/") for name in names}
    return sorted(name for name, path in paths.items() if not path.is_dir() and not path.with_suffix(".py").is_file())


def test_missing_module_is_found() -> None:
    text = "`airflow_wall.operators.ingest.IngestOperator`, `airflow_wall/jobs/gone.py` and `airflow_wall.gone.Class`"
    assert missing_modules(text) == ["airflow_wall.gone", "airflow_wall/jobs/gone.py"]
