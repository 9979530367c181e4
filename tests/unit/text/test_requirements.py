"""A requirement is written from its parsed parts, so nothing that was not understood reaches an installer."""

from __future__ import annotations

from importlib.metadata import version

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from airflow_wall.text.requirements import RequirementFault, parse_requirement

SHA256 = f"--hash=sha256:{'0' * 64}"
SHA512 = f"--hash=sha512:{'a' * 128}"


@pytest.mark.parametrize(
    ("text", "name", "line"),
    [
        ("pandas", "pandas", "pandas"),
        ("Pandas_Ext[b,a] >=2,<3", "pandas-ext", "Pandas_Ext[a,b]<3,>=2"),
        ('polars>=1; python_version > "3"', "polars", 'polars>=1; python_version > "3"'),
        (f"packaging==25.0 {SHA256} {SHA512}", "packaging", f"packaging==25.0 {SHA256} {SHA512}"),
        (f"packaging==25.0   {SHA256}", "packaging", f"packaging==25.0 {SHA256}"),
        ("polars @ https://example.org/a.whl", "polars", "polars @ https://example.org/a.whl"),
    ],
)
def test_requirement_is_written_from_its_parts(text: str, name: str, line: str) -> None:
    found = parse_requirement(text)
    assert (found.name, found.line) == (name, line)
    assert parse_requirement(found.line) == found


@pytest.mark.parametrize(
    "text",
    [
        "packaging --hash=sha256:00\n./evil/src",
        f"packaging {SHA256}\n./evil/src",
        f"packaging {SHA256}\r./evil/src",
        f"packaging {SHA256}\u2028./evil/src",
        f"packaging {SHA256} ./evil/src",
        f"packaging {SHA256} --index-url https://evil.example",
        f"packaging {SHA256} -r evil.txt",
        f"packaging {SHA256} \\",
        "packaging\\",
        "packaging @ https://example.org/a\n--index-url=https://evil.example",
        "packaging @ https://example.org/a\\",
        'packaging; python_version > "3\n./evil"',
        "packaging --hash=sha256:00",
        "packaging --hash=md5:0123456789abcdef0123456789abcdef",
        f"packaging {SHA256.upper()}",
        "packaging --hash=",
        "packaging --config-settings=a=b",
        "packaging --global-option=build",
        "packaging # --hash=sha256:00",
        "-e .",
        "--index-url=https://evil.example",
        "./evil/src",
        "https://example.org/a.whl",
        "",
    ],
)
def test_more_than_one_requirement_is_refused(text: str) -> None:
    with pytest.raises(RequirementFault):
        parse_requirement(text)


@pytest.mark.skipif(Version(version("packaging")) >= Version("26.4"), reason="packaging refuses it itself")
def test_packaging_alone_lets_a_line_end_through() -> None:
    """The control: without the check of characters, `packaging` takes an address with a line end in it."""
    assert "\n" in str(Requirement("packaging @ https://example.org/a\n--index-url=https://evil.example"))
