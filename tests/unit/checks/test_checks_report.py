from __future__ import annotations

import json
from html.parser import HTMLParser

import pyarrow as pa

from airflow_wall.checks.base import Report, Result
from airflow_wall.checks.profile import profile
from airflow_wall.checks.report import failures_text, to_html, to_json, to_text

REPORT = Report(
    (
        Result("row_count", "row_count", "error", True, "72 rows", "at least 1 rows", over="table"),
        Result("drift of score", "drift", "warn", False, "KS 0.7 (p 1e-20)", "KS at most 0.6", "72 values against 900"),
        Result(
            "x < 1 & <script>",
            "range",
            "error",
            False,
            "3 of 72 values outside",
            "at least 0",
            "the values are -1 to 5",
        ),
    ),
    rows=72,
    earlier_rows=9000,
    now="2013-07-02T00:00:00+00:00",
    about={"table": "gold/scores", "run": "<run>"},
)


def test_the_text_is_a_table():
    assert to_text(REPORT) == (
        "      check             over   observed                expected\n"
        "pass  row_count         table  72 rows                 at least 1 rows\n"
        "warn  drift of score    slice  KS 0.7 (p 1e-20)        KS at most 0.6\n"
        "fail  x < 1 & <script>  slice  3 of 72 values outside  at least 0\n"
        "72 rows: 1 passed, 1 warned, 1 failed"
    )


def test_the_json_holds_everything():
    found = json.loads(json.dumps(to_json(REPORT)))
    assert (found["passed"], found["warned"], found["failed"], found["rows"]) == (1, 1, 1, 72)
    assert found["about"] == {"table": "gold/scores", "run": "<run>"}
    assert found["results"][2] == {
        "name": "x < 1 & <script>",
        "kind": "range",
        "severity": "error",
        "passed": False,
        "observed": "3 of 72 values outside",
        "expected": "at least 0",
        "detail": "the values are -1 to 5",
        "over": "slice",
        "score": None,
        "sample": [],
        "status": "fail",
    }


def test_the_failures_are_whole():
    assert failures_text(REPORT.failures) == (
        "  x < 1 & <script>: 3 of 72 values outside; expected at least 0\n      the values are -1 to 5"
    )


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data.strip())


def test_the_page_is_self_contained_and_escapes_what_it_shows():
    page = Page(to_html(REPORT))
    assert not [tag for tag, _ in page.tags if tag in ("script", "link", "img", "run")]
    assert not [attrs for _, attrs in page.tags if {"src", "href", "onclick"} & set(attrs)]
    for word in ("gold/scores", "<run>", "x < 1 & <script>", "3 of 72 values outside", "the values are -1 to 5"):
        assert word in page.words


def test_the_page_shows_what_failed_first():
    text = to_html(REPORT)
    assert text.index("x &lt; 1") < text.index("drift of score") < text.index(">row_count<")
    assert '<h1>gold/scores <b class="fail">failed</b></h1>' in text


def test_the_page_shows_sample_rows_and_each_column_beside_its_baseline():
    tables = {
        "1": pa.table({"x": [1.0, 2.0, 3.0, 4.0], "kind": ["a", "a", "b", None], "who": ["p"] * 4}),
        "2": pa.table({"x": [7.0, None, 9.0, 9.5], "kind": ["<c>", "a", "a", "a"], "who": ["q"] * 4}),
    }

    def read(slices, names):
        return pa.concat_tables([tables[name] for name in slices]).select(names)

    drawn = profile(read, tables["1"].schema, {"1": 4, "2": 4}, this="2", earlier=["1"], personal=["who"])
    x, kind, who = drawn.columns
    assert (x.nulls, kind.nulls, round(sum(x.now), 3), sum(x.before)) == ((0.25, 0.0), (0.0, 0.25), 1, 1)
    assert dict(zip(kind.labels, zip(kind.now, kind.before, strict=True), strict=True)) == {
        "a": (0.75, 0.66667), "b": (0.0, 0.33333), "<c>": (0.25, 0.0),
    }  # fmt: skip
    assert (who.labels, who.is_personal) == ((), True)
    sample = [{"x": "-1", "note": "<b>"}, {"x": None, "note": None}]
    result = Result("range of x", "range", "error", False, "2 outside", "at least 0", sample=sample)
    text = to_html(Report((result,), 4, 4, "2013-07-02T00:00:00Z", {"table": "t"}, drawn))
    page = Page(text)
    assert not [tag for tag, _ in page.tags if tag in ("script", "link", "img")]
    for word in ("Rows over time", "2: 4 rows", "<c>: 25 %, before 0 %", "25 % null, before 0 %", "<b>", "null"):
        assert word in page.words, word
    assert "values are not shown: personal data" in page.words
