"""
A bundle's own copy of a directory of pipelines, which also keeps older versions.

::

    trees/<id>/     a version of the directory, named by its content: its files, and a stub beside each pipeline file
    current         a link to the latest tree
    records/<file>  for each pipeline of a file, the tree that it was last built from without faults
    state.json      the files that the latest tree was made from

Trees share unchanged files by hard links. A tree is never changed, so a reader sees one consistent version of all its
files. Writers hold the bundle's lock, but a record is written by the process that reads the file.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_wall import __version__
from airflow_wall.diagnostics.faults import FaultyText, SourcePosition
from airflow_wall.language.document import Item
from airflow_wall.loader.discover import SUFFIXES, PipelineId, duplicate_ids
from airflow_wall.loader.load import load_specs
from airflow_wall.planner.check import READING, ended_fault
from airflow_wall.processes.isolation import Ended, run_isolated
from airflow_wall.settings import Settings

MARKER = ".airflow-wall.json"
"""File at the root of a tree that describes it."""

COPIED = (".airflowignore",)
"""Hidden files that are copied too."""

STUB = """\
# Shows `{file}` to Airflow as a DAG file. Made by airflow_wall.bundles.PipelineBundle: edit the YAML, not this.
{imports}from airflow_wall.fronts.stub_loader import dags_of

globals().update(dags_of(__file__))
"""

_FORMAT = 2
"""Version of the format of `state.json`."""

KEPT = 6 * 3600.0
"""Seconds that a tree is kept after its last use, because a task may still read it."""


@dataclass(frozen=True)
class Tree:
    """
    One version of the directory.

    :param root: Directory of the tree.
    :param base: Directory of the mirror.
    :param source: The user's directory that it is a copy of; None if each version comes from another directory.
    :param shared: File to its pipeline ids that other files have too, and the fault.
    :param unread: File to its fault, for files that exceeded the limits of reading. They are not read again.
    """

    root: Path
    base: Path
    source: Path | None
    shared: Mapping[str, tuple[tuple[str, ...], str]]
    unread: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def around(cls, path: Path) -> Tree | None:
        """Return the tree that contains a path; None if it is not in a tree."""
        for root in (path, *path.parents):
            if (root / MARKER).is_file():
                marker = json.loads((root / MARKER).read_text(encoding="utf-8"))
                source = Path(marker["source"]) if marker["source"] else None
                shared = {file: (tuple(ids), report) for file, (ids, report) in marker["shared"].items()}
                return cls(root, Path(marker["base"]), source, shared, marker.get("unread", {}))
        return None

    @property
    def name(self) -> str | None:
        """Return the name of the tree in the mirror; None for a tree outside `trees/`."""
        path = self.root.resolve()
        return path.name if path.parent == self.base.resolve() / "trees" else None


class Mirror:
    """
    The copies of one directory.

    :param base: Directory of the copies.
    :param source: The original directory, if it is always the same; None if each version comes from another one.
    :param stubs: True to create a Python file for each pipeline file, which shows its DAGs to Airflow.
    """

    def __init__(self, base: Path, source: Path | None, *, stubs: bool) -> None:
        self.base = base
        self.source = source
        self.stubs = stubs

    @property
    def _copies(self) -> Path:
        return self.base / "copies"

    @property
    def current(self) -> Path:
        """The latest tree, always under the same path."""
        return self.base / "current"

    def refresh(self, folder: Path, settings: Settings) -> None:
        """Make the latest tree a copy of `folder`. Without changes, this only stats each file."""
        state = self._state(settings)
        copied = state["files"]
        stats = {rel: _stat(path) for rel, path in files_of(folder, settings)}
        if stats != {rel: stat for rel, (stat, _) in copied.items()} or not self.current.is_dir():
            state["files"] = self._copy_files(folder, stats, copied)
            state["tree"] = self._create_tree(state, settings)
            self._switch(state["tree"])
            _write(self.base / "state.json", json.dumps(state))
        self._prune(state)

    def copy(self, folder: Path, target: Path, settings: Settings) -> None:
        """Create a separate tree at `target`, for a version that is not the latest."""
        new_tree = target.with_name(f".{target.name}.{os.getpid()}")
        shutil.rmtree(new_tree, ignore_errors=True)
        new_tree.mkdir(parents=True)
        for rel, path in files_of(folder, settings):
            (new_tree / rel).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, new_tree / rel)
        pipelines = _read_all(
            new_tree, dict.fromkeys((rel for rel, _ in files_of(new_tree, settings)), ""), {}, settings
        )
        self._add_stubs_and_marker(new_tree, pipelines, None)
        shutil.rmtree(target, ignore_errors=True)
        new_tree.rename(target)

    def touch_faulty_files(self) -> None:
        """
        Touch the files with faults, so that Airflow reads them again at once.

        Airflow deletes their import errors at each refresh, because they are not Python files.
        """
        for record in FileRecord.all(self.base):
            parsed_file = self.current / (f"{record.file}.py" if self.stubs else record.file)
            if record.faulty and parsed_file.is_file():
                os.utime(parsed_file)

    # --- making a tree

    def _state(self, settings: Settings) -> dict[str, Any]:
        key = hashlib.sha256(f"{__version__} {_FORMAT} {self.source} {self.stubs} {settings}".encode()).hexdigest()
        try:
            state: dict[str, Any] = json.loads((self.base / "state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            state = {}
        if state.get("key") != key or not (self.base / "trees" / state["tree"]).is_dir():
            return {"key": key, "tree": "", "files": {}, "pipelines": {}}
        return state

    def _copy_files(self, folder: Path, stats: Mapping[str, list[int]], copied: Mapping[str, Any]) -> dict[str, Any]:
        """Return each file with its digest. New and changed files are copied first: the digest is that of the copy."""
        files = {rel: entry for rel, entry in copied.items() if stats.get(rel) == entry[0]}
        shutil.rmtree(self._copies, ignore_errors=True)
        self._copies.mkdir(parents=True)
        for rel in sorted(stats.keys() - files.keys()):
            copy = self._copies / "new"
            try:
                shutil.copy2(folder / rel, copy)
            except FileNotFoundError:  # removed since it was listed
                continue
            with copy.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            copy.rename(self._copies / digest)
            files[rel] = [stats[rel], digest]
        return dict(sorted(files.items()))

    def _create_tree(self, state: dict[str, Any], settings: Settings) -> str:
        """Create the tree of these files unless it exists, and return its name."""
        digests = {rel: digest for rel, (_, digest) in state["files"].items()}
        name = hashlib.sha256(json.dumps([state["key"], digests]).encode()).hexdigest()[:16]
        previous = self.base / "trees" / state["tree"]
        new_tree = self.base / "trees" / f".{name}"
        shutil.rmtree(new_tree, ignore_errors=True)
        new_tree.mkdir(parents=True)
        for rel, digest in digests.items():
            copy = self._copies / digest
            (new_tree / rel).parent.mkdir(parents=True, exist_ok=True)
            os.link(copy if copy.exists() else previous / rel, new_tree / rel)
        shutil.rmtree(self._copies)
        state["pipelines"] = _read_all(new_tree, digests, state["pipelines"], settings)
        self._add_stubs_and_marker(new_tree, state["pipelines"], previous)
        if (self.base / "trees" / name).is_dir():
            shutil.rmtree(new_tree)
        else:
            new_tree.rename(self.base / "trees" / name)
        return name

    def _add_stubs_and_marker(self, tree: Path, pipelines: Mapping[str, Any], previous: Path | None) -> None:
        """Add the stubs and the marker."""
        for rel, facts in pipelines.items() if self.stubs else ():
            text = STUB.format(file=rel, imports="".join(f"import {module}\n" for module in facts["imports"]))
            stub = tree / f"{rel}.py"
            before = previous / f"{rel}.py" if previous else None
            if stub.exists():  # a user's own file of that name
                continue
            # An unchanged stub keeps its modification time, by which Airflow decides which files to parse first.
            if before and _is_same(tree / rel, before.with_suffix("")) and before.read_text(encoding="utf-8") == text:
                os.link(before, stub)
            else:
                stub.write_text(text, encoding="utf-8")
        marker = {
            "base": str(self.base),
            "source": str(self.source) if self.source else None,
            "shared": _files_with_shared_ids(tree, pipelines),
            "unread": {rel: facts["unread"] for rel, facts in pipelines.items() if facts["unread"]},
        }
        (tree / MARKER).write_text(json.dumps(marker), encoding="utf-8")

    def _switch(self, name: str) -> None:
        link = self.base / ".current"
        link.unlink(missing_ok=True)
        link.symlink_to(Path("trees") / name)
        link.replace(self.current)

    def _prune(self, state: Mapping[str, Any]) -> None:
        used = {state["tree"]}
        for record in FileRecord.all(self.base):
            if record.file in state["pipelines"]:
                used |= set(record.trees.values())
            else:
                record.path.unlink(missing_ok=True)
        for tree in (self.base / "trees").iterdir():
            if tree.name in used:
                os.utime(tree)
            elif time.time() - tree.stat().st_mtime > KEPT:
                shutil.rmtree(tree, ignore_errors=True)


@dataclass(frozen=True)
class FileRecord:
    """
    The stored state of one file of a mirror.

    :param base: Directory of the mirror.
    :param file: The pipeline file, relative to the tree.
    :param trees: DAG id to the name of the tree that it was last built from without faults.
    :param faulty: True if it had faults when it was last read.
    """

    base: Path
    file: str
    trees: Mapping[str, str] = field(default_factory=dict)
    faulty: bool = False

    @classmethod
    def of(cls, base: Path, file: str) -> FileRecord:
        """Return the record of `file`; an empty one if none is stored."""
        empty = cls(base, file)
        try:
            values = json.loads(empty.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return empty
        return cls(base, file, values["trees"], values["faulty"])

    @classmethod
    def all(cls, base: Path) -> Iterator[FileRecord]:
        """Yield all stored records."""
        for path in sorted((base / "records").glob("*.json")):
            try:
                file = json.loads(path.read_text(encoding="utf-8"))["file"]
            except (OSError, ValueError):
                continue
            yield cls.of(base, file)

    @property
    def path(self) -> Path:
        """File of this record."""
        return self.base / "records" / f"{hashlib.sha256(self.file.encode()).hexdigest()[:32]}.json"

    def root(self, dag_id: str) -> Path:
        """Return the directory of the last good tree of a pipeline."""
        return self.base / "trees" / self.trees[dag_id]

    def keep(self) -> None:
        """Store the record if it has changed."""
        if self != FileRecord.of(self.base, self.file):
            text = json.dumps({"file": self.file, "trees": dict(self.trees), "faulty": self.faulty})
            _write(self.path, text)


def files_of(folder: Path, settings: Settings) -> Iterator[tuple[str, Path]]:
    """
    Yield the files of a directory that belong to a tree: relative path and full path.

    Links are followed. If the authors of pipelines are not trusted, links out of the directory are skipped: a copy of
    their target would be inside, and could be read like any other file.
    """
    root = folder.resolve() if settings.policy == "restricted" else Path("/")
    seen: set[Path] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        resolved = Path(parent).resolve()
        if resolved in seen or not resolved.is_relative_to(root):
            folders.clear()
            continue
        seen.add(resolved)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__pycache__")
        for name in sorted(names):
            path = Path(parent) / name
            if name.startswith(".") and name not in COPIED:
                continue
            if path.is_file() and (not path.is_symlink() or path.resolve().is_relative_to(root)):
                yield path.relative_to(folder).as_posix(), path


def _stat(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ino]


def _read_all(
    tree: Path, digests: Mapping[str, str], previous: Mapping[str, Any], settings: Settings
) -> dict[str, dict[str, Any]]:
    """
    Return facts of each pipeline file: its ids, their positions, its imports, and its fault if it is unread.

    Changed files are read in a child process: a file that takes too long must not block the others.
    """
    yaml = {rel: digest for rel, digest in digests.items() if rel.endswith(SUFFIXES)}
    same = {rel: previous[rel] for rel, digest in yaml.items() if rel in previous and previous[rel]["digest"] == digest}
    changed = [rel for rel in yaml if rel not in same]
    answers = run_isolated(functools.partial(_read, settings=settings), [tree / rel for rel in changed], READING)
    changed_files = {rel: _facts_of(rel, answer) for rel, answer in zip(changed, answers, strict=True)}
    read = {rel: {**facts, "digest": yaml[rel]} for rel, facts in changed_files.items() if facts}
    return {rel: facts for rel in yaml if (facts := same.get(rel) or read.get(rel))}


def _read(path: Path, settings: Settings) -> dict[str, Any]:
    """Return the ids of the pipelines of a file with their positions, and the operators they use."""
    try:
        specs = load_specs(path, settings)
    except MemoryError:
        raise
    except Exception:  # the build of its DAGs reports the fault
        return {"ids": [], "uses": [], "places": [], "is_pipeline": True}
    places = [spec.document.place(("dag_id",)) for spec in specs]
    return {
        "ids": [spec.head.dag_id for spec in specs],
        "uses": sorted({name for spec in specs for name in _uses(spec.items)}),
        "places": [[place.line, place.column, place.width] for place in places],
        "is_pipeline": bool(specs),
    }


def _facts_of(rel: str, answer: Any) -> dict[str, Any]:
    """Return the facts that are stored of an answer; empty if the file is not a pipeline file."""
    if isinstance(answer, Ended):
        fault = str(FaultyText([ended_fault(Path(rel), answer)], ""))
        return {"ids": [], "imports": [], "places": [], "unread": fault}
    if not answer["is_pipeline"]:
        return {}
    modules = {name.rpartition(".")[0] for name in answer["uses"] if name.startswith("airflow.")}
    imports = sorted(filter(_is_installed, modules))
    return {"ids": answer["ids"], "imports": imports, "places": answer["places"], "unread": None}


def _is_same(path: Path, other: Path) -> bool:
    return other.is_file() and path.samefile(other)


def _uses(items: Iterable[Item]) -> Iterator[str]:
    for item in items:
        name = getattr(item.block, "uses", None)
        if isinstance(name, str):
            yield name
        yield from _uses(item.items)


def _is_installed(module: str) -> bool:
    try:
        return all(part.isidentifier() for part in module.split(".")) and importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _files_with_shared_ids(tree: Path, pipelines: Mapping[str, Any]) -> dict[str, tuple[list[str], str]]:
    """Return the files with pipeline ids that other files have too: file to these ids and the fault."""
    bearers = Counter(dag_id for facts in pipelines.values() for dag_id in set(facts["ids"]))
    files = {rel: [dag_id for dag_id in of["ids"] if bearers[dag_id] > 1] for rel, of in pipelines.items()}
    shared = duplicate_ids(
        PipelineId(dag_id, tree / rel, SourcePosition(*place), (tree / rel).read_text(encoding="utf-8"))
        for rel, ids in files.items()
        if ids
        for dag_id, place in zip(pipelines[rel]["ids"], pipelines[rel]["places"], strict=True)
    )
    return {
        path.relative_to(tree).as_posix(): (files[path.relative_to(tree).as_posix()], relative(str(fault), tree))
        for path, fault in shared.items()
    }


def relative(report: str, root: Path) -> str:
    """Return a report with the paths of a tree's files relative to the tree, as the user knows them."""
    return report.replace(f"{root}/", "")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
