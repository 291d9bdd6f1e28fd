"""Runs a Python program with another build of a compiled module.

python with_native.py source_heap.avro.native native.abi3.so program.py [argument ...]
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import runpy
import sys
from pathlib import Path


def use_native(name: str, path: Path) -> None:
    """Makes the module at a path the one that is imported by a name."""
    spec = importlib.util.spec_from_loader(name, importlib.machinery.ExtensionFileLoader(name, str(path)))
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    package, _, last = name.rpartition(".")
    setattr(importlib.import_module(package), last, module)


if __name__ == "__main__":
    use_native(sys.argv[1], Path(sys.argv[2]))
    sys.argv = sys.argv[3:]
    runpy.run_path(sys.argv[0], run_name="__main__")
