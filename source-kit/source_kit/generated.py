"""Compiles generated Python source so that a traceback shows its lines."""

from __future__ import annotations

import linecache
import weakref
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

_numbers = count(1)


def compiled(source: str, name: str, names: Mapping[str, Any]) -> Callable[..., Any]:
    """The function `name` that `source` defines. `names` are its globals.

    `linecache` keeps the source as long as the function lives. The function is removed from its own globals: without
    that cycle its last reference frees it, also in a process without garbage collection.
    """
    filename = f"<generated {name} {next(_numbers)}>"
    scope = dict(names)
    exec(compile(source, filename, "exec"), scope)  # noqa: S102 - callers quote what comes from outside
    function: Callable[..., Any] = scope.pop(name)
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    weakref.finalize(function, linecache.cache.pop, filename, None).atexit = False
    return function
