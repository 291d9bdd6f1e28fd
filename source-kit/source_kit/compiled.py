"""What a sync says where a connector's compiled module is missing."""

from __future__ import annotations

import logging

from source_kit.errors import shorten


def warn_of_slow_reading(what: str, by: str, package: str, missing: str | None, part: str = "module") -> None:
    """Warns that a sync reads slowly because the package's compiled `part` cannot be loaded, for the reason `missing`.

    None means that it is there. `by` does its work instead.
    """
    if missing is not None:
        logging.getLogger("airbyte").warning(
            f"{what} are read slowly, by {by}, since the connector's compiled {part} cannot be loaded "
            f"({shorten(missing, 200)}). Install {package} from a wheel for this system, or again where there is a C "
            "compiler."
        )
