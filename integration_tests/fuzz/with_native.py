"""Runs a Python program with another build of the compiled module `source_heap.avro.native`.

python with_native.py native.abi3.so program.py [argument ...]
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import runpy
import sys
from pathlib import Path

NAME = "source_heap.avro.native"


def use_native(path: Path) -> None:
    """Makes the module at a path the one that the package imports."""
    spec = importlib.util.spec_from_loader(NAME, importlib.machinery.ExtensionFileLoader(NAME, str(path)))
    assert spec is not None
    assert spec.loader is not None
    sys.modules[NAME] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


if __name__ == "__main__":
    use_native(Path(sys.argv[1]))
    sys.argv = sys.argv[2:]
    runpy.run_path(sys.argv[0], run_name="__main__")
