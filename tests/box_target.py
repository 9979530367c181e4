"""A target of releases that another package brings. Tests write this file into that package."""

import json
import shutil
from pathlib import Path

from airflow_wall.publish.targets.base import Target


class BoxTarget(Target):
    """A directory of JSON files."""

    form = "box://CONN/NAME"
    needs_key = True

    def open(self, site):
        return BoxWriter(Path(site.connections(self.conn_id).host) / self.name, self.name)


class BoxWriter:
    """Writes a directory per version, and a file that names the version that readers see."""

    reversible = True

    def __init__(self, folder, pointer):
        self.folder = folder
        self.pointer = pointer

    @property
    def place(self):
        return self

    def shown(self, pointer):
        path = self.folder / "current"
        return path.read_text() if path.exists() else None

    def show(self, moves):
        version = moves[self.pointer]
        if version is None:
            (self.folder / "current").unlink(missing_ok=True)
        else:
            (self.folder / "current").write_text(version)

    def stage(self, version, part, rows):
        path = self.folder / version / f"{part}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(rows.data.to_pylist(), default=str))

    def discard(self, version, part):
        (self.folder / version / f"{part}.json").unlink(missing_ok=True)

    def count(self, version):
        files = (self.folder / version).glob("*.json")
        return {path.stem: len(json.loads(path.read_text())) for path in files}

    def forget(self, keep):
        seen = {*keep, self.shown(self.pointer)}
        for path in self.folder.iterdir() if self.folder.exists() else ():
            if path.is_dir() and path.name not in seen:
                shutil.rmtree(path)
