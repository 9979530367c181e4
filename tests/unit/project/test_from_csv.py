"""
Projects for CSV files: the file is understood as `ingest` reads it, and is refused with one message if no model is
possible. The steps of each project run in a temporary lake before it is written.
"""

from __future__ import annotations

import random
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from airflow_wall.cli.main import app
from airflow_wall.errors import WallError
from airflow_wall.project.csv_file import read_csv_file
from airflow_wall.project.from_csv import CsvProject, project_of

TODAY = date(2024, 3, 1)


def flats(drawn: random.Random) -> bytes:
    """Semicolons, decimal commas, groups of thousands, days before months, Windows-1252."""

    def number(value: float) -> str:
        return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))

    lines = ["Nr;Datum;Stadt;Fläche;Preis"]
    for index in range(200):
        area = drawn.uniform(20, 2000)
        day = date(2023, 1, 1) + timedelta(index)
        city = drawn.choice(["Zürich", "Köln", "Málaga"])
        lines.append(f"{index};{day:%d.%m.%Y};{city};{number(area)};{number(area * 1.5 + drawn.gauss(100, 20))}")
    return "\r\n".join(lines).encode("cp1252")


def flowers(drawn: random.Random) -> bytes:
    """A text target with three classes, and a name with a space."""
    lines = ["petal width,length (cm),species"]
    for name, mean in drawn.choices([("setosa", 1), ("versicolor", 4), ("virginica", 7)], k=120):
        lines.append(f"{drawn.gauss(mean, 0.5):.1f},{drawn.gauss(mean, 0.5):.1f},{name}")
    return "\n".join(lines).encode()


def passengers(drawn: random.Random) -> bytes:
    """Nulls, quoted line breaks, a target of 0 and 1."""
    lines = ["PassengerId,Survived,Name,Sex,Age,Cabin"]
    for index in range(200):
        sex = drawn.choice(["male", "female"])
        survived = int(drawn.random() < (0.9 if sex == "female" else 0.1))
        age = "" if drawn.random() < 0.2 else drawn.randrange(1, 80)
        cabin = f"C{index}" if drawn.random() < 0.05 else ""
        lines.append(f'{index},{survived},"Doe, ""J.""\nno. {index}",{sex},{age},{cabin}')
    return "\n".join(lines).encode()


def keywords(drawn: random.Random) -> bytes:
    """Leading zeros, and columns with the names of keywords and of columns that `predict` writes; a mark of UTF-8."""
    lines = ["\ufeffzip,class,score,true,on"]
    for _ in range(120):
        x = drawn.uniform(0, 9)
        lines.append(
            f"{drawn.randrange(300):05},{drawn.choice(['no', 'null'])},{x:.3f},{drawn.randrange(9)},{x * 3:.3f}"
        )
    return "\n".join(lines).encode()


def answers(drawn: random.Random) -> bytes:
    """Tabs, words for null, booleans with nulls, a boolean target."""
    lines = ["value\tsmoker\tcount\tanswer"]
    for _ in range(150):
        value = drawn.gauss(0, 1)
        smoker, count = drawn.choice(["true", "false", ""]), drawn.choice(["n/a", "5", "7"])
        lines.append(f"{value:.3f}\t{smoker}\t{count}\t{str(value + drawn.gauss(0, 0.3) > 0).lower()}")
    return "\n".join(lines).encode()


def wines(drawn: random.Random) -> bytes:
    """Whole numbers with few values as the target."""
    rows = (f"{drawn.gauss(quality, 0.3):.2f};{quality}" for quality in drawn.choices([3, 4, 5], k=120))
    return "\n".join(['"acidity";"quality"', *rows]).encode()


def project(folder: Path, name: str, content: bytes, target: str) -> CsvProject:
    path = folder / name
    path.write_bytes(content)
    return project_of(read_csv_file(path), target, today=TODAY)


def read(planned: CsvProject, path: str) -> Any:
    text = planned.files[f"dags/{path}"]
    assert isinstance(text, str)
    return yaml.safe_load(text)


def steps(planned: CsvProject) -> dict[str, Any]:
    return {task["id"]: task["with"] for task in read(planned, f"{planned.name}.yaml")["tasks"]}


def test_notation_of_another_country_is_found(tmp_path: Path) -> None:
    planned = project(tmp_path, "flats.csv", flats(random.Random(1)), "Preis")
    assert (planned.kind, planned.date) == ("a number", "2023-07-19")
    assert steps(planned)["load"]["options"] == {
        "encoding": "cp1252", "delim": ";", "decimal_separator": ",", "thousands": ".", "dateformat": "%d.%m.%Y",
    }  # fmt: skip
    assert steps(planned)["train"]["holdout"] == {"by": "Datum"}
    assert read(planned, "contracts/flats.yaml")["columns"] == {
        "Nr": {"type": "bigint", "nullable": False}, "Datum": "date", "Stadt": "varchar", "Fläche": "double",
        "Preis": "double",
    }  # fmt: skip


def test_text_target_is_one_of_its_classes(tmp_path: Path) -> None:
    planned = project(tmp_path, "flowers.csv", flowers(random.Random(1)), "species")
    assert planned.kind == "one of 3 classes"
    assert {"accepted_values": {"column": "label", "values": ["setosa", "versicolor", "virginica"]}} in read(
        planned, "checks/flowers_scores.yaml"
    )["checks"]


def test_nulls_and_free_texts_are_no_obstacle(tmp_path: Path) -> None:
    planned = project(tmp_path, "passengers.csv", passengers(random.Random(1)), "Survived")
    assert planned.kind == "yes or no"
    assert steps(planned)["predict"]["keep"] == ["PassengerId", "Survived"]
    assert planned.notes == [
        "`PassengerId` is left out: it identifies a row",
        "`Name` is left out: it has 200 different texts",
        "`Cabin` is left out: it has values in few rows",
    ]


def test_names_of_keywords_and_leading_zeros_stay(tmp_path: Path) -> None:
    planned = project(tmp_path, "2024 select.csv", keywords(random.Random(1)), "on")
    assert planned.name == "data_2024_select"
    assert read(planned, f"contracts/{planned.name}.yaml")["columns"]["zip"] == "varchar"
    assert steps(planned)["predict"]["keep"] == ["zip", "class", "true", "on"]  # `predict` writes a column `score`


def test_booleans_with_nulls_are_features(tmp_path: Path) -> None:
    planned = project(tmp_path, "answers.tsv", answers(random.Random(1)), "answer")
    assert planned.kind == "yes or no"
    assert "options" not in steps(planned)["load"]
    assert "'smoker', 'count'" in str(planned.files["dags/models/answers.py"])


def test_whole_numbers_with_few_values_are_classes(tmp_path: Path) -> None:
    planned = project(tmp_path, "wines.csv", wines(random.Random(1)), "quality")
    assert planned.kind == "one of 3 classes"


def lines(header: str, count: int, row: str = "{0},{0}") -> bytes:
    return "\n".join([header, *(row.format(index) for index in range(count))]).encode()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("few.csv", lines("a,y", 8), "few.csv` has 8 rows with a value in `y`, and a model needs 30 or more"),
        ("y.csv", lines("a,b", 40), "--target` must be a column of `"),
        ("one.csv", lines("y", 40, "{0}"), "one.csv` must have several columns, with `,`, `;`, a tab or `|`"),
        ("same.csv", lines("a,y", 40, "{0},1"), "same.csv` have the same `y`: 1"),
        (
            "names.csv",
            lines("a,y", 40, "{0},n{0}"),
            "must be a number or have at most 20 classes, got 40 different texts",
        ),
        ("time.csv", lines("a,y", 40, "{0},2024-01-01 00:00:{0:02}"), "must be a number or a class, got a time"),
        ("key.csv", lines("a,y", 40, "k{0},{0}"), "has no column to predict `y` from: `a` identifies a row"),
        ("jinja.csv", lines("{{ a }},y", 40), "the name of column '{{ a }}' has signs that a pipeline cannot hold"),
        ("rows.csv", lines("0.5,y", 40), "line 1: must be a header with the name of each column, got the value `0.5`"),
        ("ragged.csv", lines("a,y", 40) + b"\n1", "line 42: it must have 2 fields like the first line, got 1"),
        ("twice.csv", lines("a,A,y", 40, "1,2,3"), "line 1: the header names the column `A` twice"),
        ("empty.csv", b"", "empty.csv` must have a header and rows, got an empty file"),
        ("header.csv", b"a,y\n", "header.csv` must have a header and rows, got one line"),
        ("zip.csv", b"PK\x03\x04\x00\x00", "zip.csv` must be a CSV file, got bytes that are not text"),
        ("book.xlsx", b"PK\x03\x04\x00\x00", "book.xlsx` must be a CSV file, got `.xlsx`"),
    ],
)
def test_file_without_a_model_is_refused_with_one_message(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    with pytest.raises(WallError) as error:
        project(tmp_path, name, content, "y")
    assert message in error.value.message
    assert error.value.hint


def test_target_that_nothing_predicts_is_refused(tmp_path: Path) -> None:
    """A linear model of ten columns of noise is far worse than the mean, and boosting finds nothing in 40 rows."""
    drawn = random.Random(3)
    rows = "\n".join(",".join(f"{drawn.gauss(0, 1):.3f}" for _ in range(11)) for _ in range(40))
    header = ",".join([*"abcdefghij", "y"])
    with pytest.raises(WallError, match=r"^no model predicts `y` of `.*noise.csv` better than its mean: "):
        project(tmp_path, "noise.csv", f"{header}\n{rows}\n".encode(), "y")


def test_written_project_has_no_fault(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(passengers(random.Random(1)))
    result = CliRunner().invoke(
        app, ["init", str(tmp_path / "shop"), "--from", str(tmp_path / "in.csv"), "--target", "Survived"]
    )
    assert result.exit_code == 0, result.output
    assert "airflow-wall run dags/data_in.yaml --date " in result.output
    landed = tmp_path / "shop" / "lake" / "landing" / "data_in" / "in.csv"
    assert landed.read_bytes() == (tmp_path / "in.csv").read_bytes()
    checked = CliRunner().invoke(app, ["validate", "--strict", str(tmp_path / "shop" / "dags")])
    assert checked.output == "1 pipeline in 1 file: all good\n"


def test_missing_target_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(wines(random.Random(1)))
    result = CliRunner().invoke(app, ["init", str(tmp_path / "shop"), "--from", str(tmp_path / "in.csv")])
    assert isinstance(result.exception, WallError)
    assert "needs the column to predict, and the file has `acidity`, `quality`" in result.exception.message
    assert not (tmp_path / "shop").exists()
