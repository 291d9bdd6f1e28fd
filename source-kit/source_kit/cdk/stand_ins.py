"""Stands in for libraries that the CDK imports and a command never uses, while the CDK is imported.

* `requests_cache`, a cache of answers that no stream here turns on (`HttpStream.use_cache`). The CDK names its classes
  as a base, in annotations and in `isinstance`, and sets a method of one.
* `pydantic.v1`, for `BaseConfig`, which no source here uses, and for `InternalConfig`, limits on rows in Airbyte's
  acceptance tests. The CDK makes one in `split_config` and in `Stream.read_only_records`, which no command calls.

Both take a fifth of the time in which a command starts. A stand-in is in `sys.modules` only while the CDK is imported:
an `import requests_cache` anywhere else finds the library itself. A class that is used after all raises StandInUsed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any, NoReturn

#: The classes that the CDK names in each library when it is imported. For other names the library itself is imported.
CLASSES: Mapping[str, Sequence[str]] = {
    "requests_cache": ("CacheMixin", "CachedSession", "SQLiteDict"),
    "pydantic.v1": ("BaseModel",),
}
#: Functions that only describe an attribute of such a class
_FIELDS = {"pydantic.v1": ("Field",)}


class StandInUsed(RuntimeError):
    """A command used a library that it was not to need."""


@contextmanager
def stand_ins() -> Iterator[None]:
    """Within the block, imports of the libraries find stand-ins, unless a library was imported before."""
    for name in CLASSES:
        package = name.partition(".")[0]
        if package not in sys.modules:
            sys.modules[package] = StandIn(package)
            sys.modules[name] = StandIn(name)
    try:
        yield
    finally:
        _remove(CLASSES)


def _remove(names: Iterable[str]) -> None:
    for name in names:
        for module in (name, name.partition(".")[0]):
            if isinstance(sys.modules.get(module), StandIn):
                del sys.modules[module]


class StandIn(ModuleType):
    """A module with the classes that are named in its place. Any other name is the library's own."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        for known in CLASSES.get(name, ()):
            setattr(self, known, Unusable(known, (), {"__module__": name}))
        for known in _FIELDS.get(name, ()):
            setattr(self, known, lambda *_, **__: None)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        _remove(known for known in CLASSES if known.startswith(self.__name__.partition(".")[0]))
        return getattr(import_module(self.__name__), name)


class Unusable(type):
    """The type of a class that can be named, checked against and inherited from, but not used."""

    def __call__(cls, *_: Any, **__: Any) -> NoReturn:
        raise _used(cls)

    def __getattr__(cls, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")
        raise _used(cls)


def _used(cls: type) -> StandInUsed:
    stand_in = next(base for base in reversed(cls.__mro__) if isinstance(base, Unusable))
    return StandInUsed(
        f"{cls.__module__}.{cls.__qualname__} was used, which needs {stand_in.__module__}: the command starts without "
        "this library, since no connector needs it"
    )
