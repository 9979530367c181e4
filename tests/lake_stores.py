"""Guarantees of every store of a lake, tried by several processes. A suite gives it the address of a lake."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from airflow_wall.connections.environment import connection_of_environment
from airflow_wall.errors import Interrupted
from airflow_wall.lake.documents import change
from airflow_wall.lake.lake import Lake
from airflow_wall.lake.lease import DocumentLeases

PROCESSES = 4
TIMES = 10

_BEGIN = """
import json, sys, time
from airflow_wall.connections.environment import connection_of_environment
from airflow_wall.errors import Interrupted
from airflow_wall.lake.documents import change
from airflow_wall.lake.lake import Lake
lake = Lake(sys.argv[1], connection_of_environment)
documents = lake.documents("try")
"""


def in_processes(address: str, program: str, count: int = PROCESSES) -> list[Any]:
    """Run a program in several processes at once. Return what each printed as JSON."""
    command = [sys.executable, "-c", _BEGIN + program, address]
    processes = [subprocess.Popen([*command, str(number)], stdout=subprocess.PIPE) for number in range(count)]
    outputs = [process.communicate(timeout=240)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * count
    return [json.loads(output or b"null") for output in outputs]


class StoreContract:
    """Tests of a lake that the fixture `address` names."""

    @pytest.fixture
    def lake(self, address: str) -> Lake:
        return Lake(address, connection_of_environment)

    def test_of_several_creators_one_wins(self, address: str, lake: Lake) -> None:
        won = in_processes(address, 'print(json.dumps(documents.create("one.json", {"by": sys.argv[2]})))')
        assert sorted(won) == [False] * (PROCESSES - 1) + [True]
        assert lake.documents("try").get("one.json") == {"by": str(won.index(True))}

    def test_no_change_of_several_processes_is_lost(self, address: str, lake: Lake) -> None:
        in_processes(
            address,
            f"for _ in range({TIMES}):\n"
            '    change(documents, "a/count.json", lambda old: {"count": (old or {"count": 0})["count"] + 1})',
        )
        assert lake.documents("try").get("a/count.json") == {"count": PROCESSES * TIMES}

    def test_a_stale_tag_is_refused_even_if_the_content_is_the_same_again(self, lake: Lake) -> None:
        documents = lake.documents("try")
        assert documents.create("x.json", {"a": 1})
        _, first = documents.read("x.json") or ({}, "")
        change(documents, "x.json", lambda _: {"a": 2})
        change(documents, "x.json", lambda _: {"a": 1})
        assert not documents.swap("x.json", {"a": 3}, first)
        document, tag = documents.read("x.json") or ({}, "")
        assert document == {"a": 1}
        assert documents.swap("x.json", {"a": 3}, tag)

    def test_objects_are_listed_sorted_and_by_folder(self, lake: Lake) -> None:
        objects = lake.objects
        assert (objects.below("t"), objects.names("t"), objects.get("t/a")) == ([], [], None)
        for key in ("t/b/2", "t/b/10", "t/a", "tb/1"):
            objects.put(key, key.encode())
        assert [(item.key, item.size) for item in objects.below("t")] == [("t/a", 3), ("t/b/10", 6), ("t/b/2", 5)]
        assert objects.names("t") == ["a", "b/"]
        assert [item.key for item in objects.below("")] == ["t/a", "t/b/10", "t/b/2", "tb/1"]
        objects.delete("t/a")
        objects.delete("t/a")
        objects.move("t/b", "u")
        objects.move("t/b", "u")
        assert ([item.key for item in objects.below("u")], objects.below("t")) == (["u/10", "u/2"], [])
        objects.remove("u")
        assert objects.below("u") == []

    def test_of_several_writers_of_a_folder_one_wins_and_it_is_whole(self, address: str, lake: Lake) -> None:
        won = in_processes(
            address,
            'files = {"a": sys.argv[2].encode(), "b": sys.argv[2].encode()}\n'
            'print(json.dumps([lake.objects.create_folder(f"t/{number}", files) for number in range(5)]))',
        )
        for number, by in enumerate(zip(*won, strict=True)):
            assert sum(by) == 1
            writer = str(by.index(True)).encode()
            files = [
                (item.key, (lake.objects.get(item.key) or (b"", ""))[0]) for item in lake.objects.below(f"t/{number}")
            ]
            assert files == [(f"t/{number}/a", writer), (f"t/{number}/b", writer)]

    def test_a_folder_that_another_call_has_begun_is_left_alone(self, lake: Lake) -> None:
        lake.objects.put("t/1/a", b"another")
        assert not lake.objects.create_folder("t/1", {"a": b"new", "b": b"new"})
        assert [item.key for item in lake.objects.below("t")] == ["t/1/a"]
        assert (lake.objects.get("t/1/a") or (b"", ""))[0] == b"another"

    def test_a_large_object_is_read_in_parts_and_written_whole(self, lake: Lake, tmp_path: Path) -> None:
        content = bytes(range(256)) * 50_000
        (tmp_path / "file").write_bytes(content)
        lake.objects.upload("big", tmp_path / "file")
        with lake.objects.open_read("big") as file:
            file.seek(-1000, 2)
            assert file.read() == content[-1000:]
            file.seek(256)
            assert file.read(3) == bytes([0, 1, 2])
        with pytest.raises(TypeError), lake.objects.open_write("big") as file:
            file.write(("half",))  # type: ignore[arg-type]  # the writer fails
        stored, _ = lake.objects.get("big") or (b"", "")
        assert stored == content
        with pytest.raises(FileNotFoundError), lake.objects.open_read("none"):
            pass

    def test_a_lease_is_held_by_one_process_at_a_time_with_rising_tokens(self, address: str, lake: Lake) -> None:
        held = in_processes(
            address,
            "spans = []\n"
            "for _ in range(3):\n"
            '    with lake.leases("try").hold("work") as lease:\n'
            '        documents.write("last.json", {"by": sys.argv[2]}, lease)\n'
            "        began = time.time(); time.sleep(0.05); spans.append([began, time.time(), lease.token])\n"
            "print(json.dumps(spans))",
            3,
        )
        spans = sorted(span for process in held for span in process)
        assert len(spans) == 9
        for (_, end, token), (begin, _, later) in itertools.pairwise(spans):
            assert (end <= begin, token < later) == (True, True)

    def test_who_does_not_wait_is_told_that_a_lease_is_held(self, lake: Lake) -> None:
        leases = lake.leases("try")
        with leases.hold("work"), ThreadPoolExecutor(1) as pool, pytest.raises(Interrupted):
            pool.submit(lambda: leases.hold("work", patience=0).__enter__()).result()
        with leases.hold("work", patience=5):
            pass


class DocumentLeaseContract:
    """Tests of leases that are documents: in a bucket a holder may stand still, and another one takes over."""

    @pytest.fixture
    def leases(self, address: str) -> DocumentLeases:
        return DocumentLeases(Lake(address, connection_of_environment).documents("leases"), ttl=0.6)

    def test_a_holder_that_stood_still_writes_nothing(self, leases: DocumentLeases) -> None:
        documents = leases.documents
        frozen = leases.acquire("work")
        began = time.monotonic()
        later = leases.acquire("work")
        assert time.monotonic() - began >= 0.6
        documents.write("result.json", {"by": "later"}, later)
        with pytest.raises(Interrupted):
            frozen.check()
        frozen.check = lambda: None  # type: ignore[method-assign]  # its clock stood still, too
        with pytest.raises(Interrupted, match="later holder"):
            documents.write("result.json", {"by": "frozen"}, frozen)
        assert not frozen.renew()
        frozen.release()
        assert documents.get("result.json") == {"by": "later"}
        later.check()

    def test_a_holder_that_works_keeps_its_lease(self, leases: DocumentLeases) -> None:
        with leases.hold("work") as lease:
            time.sleep(1.5)
            lease.check()
            with pytest.raises(Interrupted):
                leases.acquire("work", patience=0.1)


def of_connection(name: str, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Define a connection for this process and those that it starts."""
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(values))
