"""
A bundle's own copy of a folder of pipelines, of which older states can still be had.

::

    trees/<id>/     a state of the folder, named by its content: its files, and a stub beside every pipeline file
    current         a link to the latest of them
    records/<file>  for each pipeline of a file, the tree that it was last built from without a fault
    state.json      what the latest tree was made of

Files that two trees share are one file on disk. A tree is never changed, so whoever reads it sees one state of all its
files. Whoever writes holds the bundle's lock; a record is written by the process that reads the file.
"""

from __future__ import annotations

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
from airflow_wall.loader.discover import SUFFIXES
from airflow_wall.loader.ids import Bearer, shared_ids
from airflow_wall.loader.load import load_specs
from airflow_wall.settings import Settings
from airflow_wall.spec.document import Item

MARKER = ".airflow-wall.json"
"""The file at the top of a tree that says what it is."""

COPIED = (".airflowignore",)
"""The hidden files that are part of a tree."""

STUB = """\
# Shows `{file}` to Airflow as a DAG file. Made by airflow_wall.bundles.PipelineBundle: edit the YAML, not this.
{imports}from airflow_wall.fronts.stub import dags_of

globals().update(dags_of(__file__))
"""

KEPT = 6 * 3600.0
"""Seconds that a tree is kept after its last use: a task may still read it."""


@dataclass(frozen=True)
class Tree:
    """
    One state of the folder.

    :param root: Where it lies.
    :param base: The folder of the mirror.
    :param source: The folder it is a copy of, where users keep it; None where it comes from elsewhere.
    :param shared: For files with a pipeline whose id another file has: those ids, and the fault.
    """

    root: Path
    base: Path
    source: Path | None
    shared: Mapping[str, tuple[tuple[str, ...], str]]

    @classmethod
    def around(cls, path: Path) -> Tree | None:
        """The tree that a file or folder is in, if it is in one."""
        for root in (path, *path.parents):
            if (root / MARKER).is_file():
                found = json.loads((root / MARKER).read_text(encoding="utf-8"))
                source = Path(found["source"]) if found["source"] else None
                shared = {file: (tuple(ids), report) for file, (ids, report) in found["shared"].items()}
                return cls(root, Path(found["base"]), source, shared)
        return None

    @property
    def name(self) -> str | None:
        """The tree's own name; None of one that is no longer kept here once its version is not used."""
        path = self.root.resolve()
        return path.name if path.parent == self.base.resolve() / "trees" else None


class Mirror:
    """
    The copies of one folder.

    :param base: Where they are kept.
    :param source: The folder, if it is always the same; None where each state comes from a place of its own.
    :param stubs: Whether each pipeline file is given a Python file that shows it.
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
        """The latest tree, always by the same path."""
        return self.base / "current"

    def refresh(self, folder: Path, settings: Settings) -> None:
        """Have the latest tree be a copy of `folder`. Without changes, it costs a look at each file."""
        state = self._state(settings)
        known = state["files"]
        found = {rel: _stat(path) for rel, path in files_of(folder, settings)}
        if found != {rel: stat for rel, (stat, _) in known.items()} or not self.current.is_dir():
            state["files"] = self._copied(folder, found, known)
            state["tree"] = self._tree(state, settings)
            self._switch(state["tree"])
            _write(self.base / "state.json", json.dumps(state))
        self._prune(state)

    def copy(self, folder: Path, target: Path, settings: Settings) -> None:
        """Have a tree of its own at `target`, of a version that is not the latest."""
        made = target.with_name(f".{target.name}.{os.getpid()}")
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        for rel, path in files_of(folder, settings):
            (made / rel).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, made / rel)
        read = {rel: _read(path, "", None, settings) for rel, path in files_of(made, settings)}
        pipelines = {rel: found for rel, found in read.items() if found}
        self._finish(made, pipelines, settings, None)
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)

    def retell(self) -> None:
        """
        Have the files with faults read again at once: Airflow forgets their import errors at each refresh, as they are
        not of Python files.
        """
        for record in Record.all(self.base):
            shown = self.current / (f"{record.file}.py" if self.stubs else record.file)
            if record.faulty and shown.is_file():
                os.utime(shown)

    # --- making a tree

    def _state(self, settings: Settings) -> dict[str, Any]:
        key = hashlib.sha256(f"{__version__} {self.source} {self.stubs} {settings}".encode()).hexdigest()
        try:
            state: dict[str, Any] = json.loads((self.base / "state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            state = {}
        if state.get("key") != key or not (self.base / "trees" / state["tree"]).is_dir():
            return {"key": key, "tree": "", "files": {}, "pipelines": {}}
        return state

    def _copied(self, folder: Path, found: Mapping[str, list[int]], known: Mapping[str, Any]) -> dict[str, Any]:
        """Each file with its digest. The new and changed ones are copied first, so that the digest is the copy's."""
        files = {rel: each for rel, each in known.items() if found.get(rel) == each[0]}
        shutil.rmtree(self._copies, ignore_errors=True)
        self._copies.mkdir(parents=True)
        for rel in sorted(found.keys() - files.keys()):
            copy = self._copies / "new"
            try:
                shutil.copy2(folder / rel, copy)
            except FileNotFoundError:  # gone since it was listed
                continue
            with copy.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            copy.rename(self._copies / digest)
            files[rel] = [found[rel], digest]
        return dict(sorted(files.items()))

    def _tree(self, state: dict[str, Any], settings: Settings) -> str:
        """Make the tree of these files unless it is there, and return its name."""
        digests = {rel: digest for rel, (_, digest) in state["files"].items()}
        name = hashlib.sha256(json.dumps([state["key"], digests]).encode()).hexdigest()[:16]
        previous = self.base / "trees" / state["tree"]
        made = self.base / "trees" / f".{name}"
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        for rel, digest in digests.items():
            copy = self._copies / digest
            (made / rel).parent.mkdir(parents=True, exist_ok=True)
            os.link(copy if copy.exists() else previous / rel, made / rel)
        shutil.rmtree(self._copies)
        state["pipelines"] = {
            rel: found
            for rel, digest in digests.items()
            if (found := _read(made / rel, digest, state["pipelines"].get(rel), settings))
        }
        self._finish(made, state["pipelines"], settings, previous)
        if (self.base / "trees" / name).is_dir():
            shutil.rmtree(made)
        else:
            made.rename(self.base / "trees" / name)
        return name

    def _finish(self, tree: Path, pipelines: Mapping[str, Any], settings: Settings, previous: Path | None) -> None:
        """Add the stubs and the marker."""
        for rel, each in pipelines.items() if self.stubs else ():
            text = STUB.format(file=rel, imports="".join(f"import {module}\n" for module in each["imports"]))
            stub = tree / f"{rel}.py"
            before = previous / f"{rel}.py" if previous else None
            if stub.exists():  # somebody's own file of that name
                continue
            # One that has not changed keeps its time, by which Airflow decides what to parse first.
            if before and _is_same(tree / rel, before.with_suffix("")) and before.read_text(encoding="utf-8") == text:
                os.link(before, stub)
            else:
                stub.write_text(text, encoding="utf-8")
        marker = {
            "base": str(self.base),
            "source": str(self.source) if self.source else None,
            "shared": _shared(tree, pipelines, settings),
        }
        (tree / MARKER).write_text(json.dumps(marker), encoding="utf-8")

    def _switch(self, name: str) -> None:
        link = self.base / ".current"
        link.unlink(missing_ok=True)
        link.symlink_to(Path("trees") / name)
        link.replace(self.current)

    def _prune(self, state: Mapping[str, Any]) -> None:
        used = {state["tree"]}
        for record in Record.all(self.base):
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
class Record:
    """
    What is remembered of one file of a mirror.

    :param base: The folder of the mirror.
    :param file: The pipeline file, relative to the tree.
    :param trees: DAG id to the name of the tree that it was last built from without a fault.
    :param faulty: Whether it had faults when it was last read.
    """

    base: Path
    file: str
    trees: Mapping[str, str] = field(default_factory=dict)
    faulty: bool = False

    @classmethod
    def of(cls, base: Path, file: str) -> Record:
        """What is remembered of `file`."""
        empty = cls(base, file)
        try:
            found = json.loads(empty.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return empty
        return cls(base, file, found["trees"], found["faulty"])

    @classmethod
    def all(cls, base: Path) -> Iterator[Record]:
        """Of every file that something is remembered of."""
        for path in sorted((base / "records").glob("*.json")):
            try:
                file = json.loads(path.read_text(encoding="utf-8"))["file"]
            except (OSError, ValueError):
                continue
            yield cls.of(base, file)

    @property
    def path(self) -> Path:
        """Where it is written down."""
        return self.base / "records" / f"{hashlib.sha256(self.file.encode()).hexdigest()[:32]}.json"

    def root(self, dag_id: str) -> Path:
        """Where the last good tree of a pipeline lies."""
        return self.base / "trees" / self.trees[dag_id]

    def keep(self) -> None:
        """Write it down, if anything is new."""
        if self != Record.of(self.base, self.file):
            text = json.dumps({"file": self.file, "trees": dict(self.trees), "faulty": self.faulty})
            _write(self.path, text)


def files_of(folder: Path, settings: Settings) -> Iterator[tuple[str, Path]]:
    """
    Every file below a folder that is part of a tree, by its path in it.

    Links are followed. Where who writes pipelines is not trusted, none leads out of the folder: a copy of what it leads
    to would lie inside, and could be read as if it had been there.
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
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ino]


def _read(path: Path, digest: str, known: Mapping[str, Any] | None, settings: Settings) -> Mapping[str, Any] | None:
    """The ids of the pipelines of a file and the modules of Airflow they use; None where it is no pipeline file."""
    if path.suffix not in SUFFIXES:
        return None
    if known is not None and known["digest"] == digest:
        return known
    try:
        specs = load_specs(path, settings)
    except Exception:  # whoever builds its DAGs says what is wrong with it
        return {"ids": [], "imports": [], "digest": digest}
    if not specs:
        return None
    uses = {name for spec in specs for name in _uses(spec.items)}
    modules = {name.rpartition(".")[0] for name in uses if name.startswith("airflow.")}
    ids = [spec.head.dag_id for spec in specs]
    return {"ids": ids, "imports": sorted(filter(_is_installed, modules)), "digest": digest}


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


def _shared(tree: Path, pipelines: Mapping[str, Any], settings: Settings) -> dict[str, tuple[list[str], str]]:
    """For each file with a pipeline whose id another file has: those ids, and the fault."""
    bearers = Counter(dag_id for each in pipelines.values() for dag_id in set(each["ids"]))
    files = {rel: [each for each in of["ids"] if bearers[each] > 1] for rel, of in pipelines.items()}
    specs = (spec for rel, ids in files.items() if ids for spec in load_specs(tree / rel, settings))
    faults = shared_ids(Bearer.of(spec) for spec in specs)
    return {
        path.relative_to(tree).as_posix(): (files[path.relative_to(tree).as_posix()], relative(str(fault), tree))
        for path, fault in faults.items()
    }


def relative(report: str, root: Path) -> str:
    """A report in which the files of a tree are named as the user knows them: by their path in it."""
    return report.replace(f"{root}/", "")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    made.write_text(text, encoding="utf-8")
    made.replace(path)
