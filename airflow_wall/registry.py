"""Registries of objects by name: one object per module of a package, and objects of other packages by entry points."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")


class LazyRegistry(Mapping[str, T], Generic[T]):
    """
    A mapping of names to objects that are imported on first use.

    :param own: Name -> `module:attribute` of each object of this package, in the order of the documentation. Without an
        attribute the object is the module.
    :param group: The group of entry points for objects of other packages. They cannot replace a name of ours. Names
        have no dot, so installed packages are not searched for a name with a dot.
    """

    def __init__(self, own: Mapping[str, str], group: str) -> None:
        self.group = group
        self._own = own
        self._loaded: dict[str, T] = {}  # each task of a pipeline asks for its step

    @property
    def _brought(self) -> dict[str, EntryPoint]:
        return {name: point for name, point in installed_objects(self.group).items() if name not in self._own}

    def __getitem__(self, name: str) -> T:
        """
        Import and return the object with this name.

        :raises KeyError: no object has this name.
        """
        if name in self._loaded:
            return self._loaded[name]
        if name in self._own:
            self._loaded[name] = load_object(self._own[name])
            return self._loaded[name]
        if "." in name:
            raise KeyError(name)
        return cast("T", self._brought[name].load())

    def module(self, name: str) -> str:
        """Return the name of the module that defines an object, without importing it."""
        return self._own[name].partition(":")[0] if name in self._own else self._brought[name].module

    def __contains__(self, name: object) -> bool:
        return name in self._own or (isinstance(name, str) and "." not in name and name in self._brought)

    def __iter__(self) -> Iterator[str]:
        yield from self._own
        yield from self._brought

    def __len__(self) -> int:
        return len(self._own) + len(self._brought)


@functools.cache
def installed_objects(group: str) -> Mapping[str, EntryPoint]:
    """Return the entry points of a group by name. Cached, because it reads the metadata of all installed packages."""
    return {point.name: point for point in entry_points(group=group)}


def load_object(reference: str) -> Any:
    """Import and return the object that `module:attribute` names, or the module that `module` names."""
    module, _, attribute = reference.partition(":")
    loaded = importlib.import_module(module)
    return getattr(loaded, attribute) if attribute else loaded


def modules_of(package: str) -> list[str]:
    """Return the names of a package's modules with one registered object each: all except `base` and private ones."""
    spec = importlib.util.find_spec(package)  # without an import, because each process of Airflow needs the names
    names = (module.name for module in pkgutil.iter_modules(spec.submodule_search_locations if spec else ()))
    return sorted(name for name in names if name != "base" and not name.startswith("_"))


def class_name(name: str) -> str:
    """Return the name of the class in a module: `check_new_data` has `CheckNewData`."""
    return "".join(word.title() for word in name.split("_"))
