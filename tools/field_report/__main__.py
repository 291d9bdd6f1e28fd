"""Asks a live account what no documentation says, and prints shapes, counts and statuses: `docs/field-report.md`.

    python tools/field_report customerio config.json

It only reads, and prints no value of the account.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from source_kit.cdk.lazy_import import import_lazily

VENDORS = ("pendo", "customerio", "heap")


def main(arguments: list[str]) -> int:
    import_lazily()  # the CDK in a part of its seconds, as the connectors do
    from airbyte_cdk.utils.traced_exception import AirbyteTracedException

    parser = argparse.ArgumentParser(prog="field_report", description=__doc__)
    parser.add_argument("vendor", choices=VENDORS)
    parser.add_argument("config", type=Path, help="the configuration of the connector")
    parser.add_argument(
        "--send-key-to-the-other-region",
        action="store_true",
        help="customerio only: ask what the other region answers to the key, for which it is sent there once",
    )
    chosen = parser.parse_args(arguments)
    options: dict[str, Any] = {}
    if chosen.send_key_to_the_other_region:
        if chosen.vendor != "customerio":
            parser.error("--send-key-to-the-other-region is for customerio only")
        options["other_region"] = True
    try:
        config = json.loads(chosen.config.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"The configuration cannot be read as JSON ({type(error).__name__}): check the path.\n")
        return 1
    try:
        import_module(f"ask_{chosen.vendor}").run(config, **options)
    except ModuleNotFoundError as error:
        sys.stderr.write(f"{error.name} is not installed here: run it in the image of source-{chosen.vendor}.\n")
        return 1
    except AirbyteTracedException as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
