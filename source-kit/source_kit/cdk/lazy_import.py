"""Imports the CDK without the parts that a source does not need. Does nothing if the CDK was imported before.

* Its top-level package imports the low-code engine and the destinations: 0.7 of the 1.8 CPU seconds in which a source
  started. So the package is registered without being executed, and executed when somebody needs a name of its own.
* Its serializers of messages (serpyco-rs) parse the source text of every model for descriptions in JSON schemas that
  nobody uses: another 0.4 seconds.
* Its sources import requests-cache and pydantic, which no command uses (`stand_ins`): another fifth.

Only the command calls this, before it imports anything of the CDK. So this module needs only the standard
library.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

from source_kit.cdk.stand_ins import stand_ins

CDK = "airbyte_cdk"
#: Names with underscores in the package. The import machinery also asks for others.
_OWN = frozenset({"__all__", "__version__"})


def import_lazily() -> None:
    """Registers the CDK's package without executing it. Call it before the first import from the CDK."""
    if CDK in sys.modules:
        return
    spec = find_spec(CDK)
    if spec is not None and spec.loader is not None:
        sys.modules[CDK] = _unexecuted(spec)
        _import_serializers()
        _import_sources()


def _import_serializers() -> None:
    """Imports serpyco-rs while the function for descriptions returns none: serpyco-rs keeps that function."""
    try:
        library: Any = import_module("attributes_doc")
    except ImportError:
        return  # serpyco-rs works without it
    descriptions = library.get_attributes_doc
    library.get_attributes_doc = lambda _: {}
    try:
        import_module("serpyco_rs")
    finally:
        library.get_attributes_doc = descriptions


def _import_sources() -> None:
    """Imports the CDK's sources with stand-ins, if these fit the installed CDK. Else they are imported later, whole."""
    before = set(sys.modules)
    try:
        with stand_ins():
            import_module(f"{CDK}.sources")
    except Exception:  # a test notices; the command must start with every CDK that the packages allow
        for name in sys.modules.keys() - before:
            if name.startswith(f"{CDK}."):
                del sys.modules[name]


def _unexecuted(spec: ModuleSpec) -> ModuleType:
    package = module_from_spec(spec)

    def complete(name: str) -> Any:
        """The missing attribute: executes the package, once."""
        if submodule := sys.modules.get(f"{CDK}.{name}"):
            return submodule  # one that is being imported
        if (name.startswith("__") and name not in _OWN) or "__getattr__" not in vars(package):
            raise AttributeError(f"module {CDK!r} has no attribute {name!r}")
        del package.__getattr__
        assert spec.loader is not None  # noqa: S101 - import_lazily has looked
        spec.loader.exec_module(package)
        return getattr(package, name)

    package.__getattr__ = complete  # type: ignore[method-assign]
    return package
