"""Imports the CDK without the parts that a source does not need. Does nothing if the CDK was imported before.

* Its top-level package imports the low-code engine and the destinations: 0.7 of the 1.8 CPU seconds in which a source
  started. So the package is registered without being executed, and executed when somebody needs a name of its own.
* Its serializers of messages (serpyco-rs) parse the source text of every model for descriptions in JSON schemas that
  nobody uses: another 0.4 seconds.
* Its HTTP streams import requests-cache, which imports boto3 where it is installed, for a cache in DynamoDB: 0.4
  seconds. The connectors have boto3 for buckets, and most read none.

Only the command calls this, before it imports anything of the CDK. So this module needs only the standard library.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

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
        _import_cache()


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


def _import_cache() -> None:
    """Imports requests-cache while boto3 seems to be missing: it then has no cache in DynamoDB."""
    missing: Any = None
    hidden = sys.modules.setdefault("boto3", missing) is None
    try:
        import_module("requests_cache")
    except ImportError:
        pass  # the CDK says what it lacks
    finally:
        if hidden:
            del sys.modules["boto3"]


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
