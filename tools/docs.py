"""Writes the stream tables and the data dictionary of docs/ and the sources of dbt/ from what the connectors declare.

`python tools/docs.py` rewrites them, `--check` fails when one is not up to date. Both take names of connectors.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dbt_sources
from data_dictionary import Dictionary, Vendor
from demo.programs import simulator
from dictionary_facts import CUSTOMERIO, PENDO

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Documented:
    """A connector whose tables are generated, and the simulator that it discovers."""

    connector: str
    vendor: Vendor
    page: str
    simulator: tuple[str, ...]
    config: dict[str, Any]
    columns: str
    """The page of the data dictionary."""

    @property
    def package(self) -> str:
        """The connector's package."""
        return self.connector.replace("-", "_")


#: It adds a stream to the table. Nobody asks the inlet.
WEBHOOK_STORE = {"type": "inlet", "url": "http://127.0.0.1:8080", "token": "simulated-token", "inlet": "prod"}

CONNECTORS = (
    Documented(
        "source-pendo",
        PENDO,
        "pendo.md",
        ("pendo", "--size", "tiny"),
        {
            "api_key": "simulated-integration-key.us",
            "webhook_store": WEBHOOK_STORE,
            "report_ids": ["any"],
            "segment_ids": ["any"],
        },
        "pendo-columns.md",
    ),
    Documented(
        "source-customerio",
        CUSTOMERIO,
        "customerio.md",
        ("customerio", "--size", "tiny", "--rate-limit", "0"),
        {"app_api_key": "cio-app-key-us-4c1f9b7e20", "esp_suppression_domains": [], "webhook_store": WEBHOOK_STORE},
        "customerio-columns.md",
    ),
)


def main() -> int:
    """Rewrites or checks; the exit code says whether the pages are up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, fail when a table is out of date")
    parser.add_argument("connectors", nargs="*", default=[documented.connector for documented in CONNECTORS])
    options = parser.parse_args()
    chosen = [documented for documented in CONNECTORS if documented.connector in options.connectors]
    stale = []
    for documented in chosen:
        found = streams(documented)
        dictionary = Dictionary(documented.package, documented.vendor)
        parts = {
            (documented.page, "streams"): long_table(found, documented.vendor),
            (documented.columns, "columns"): dictionary.text([stream for stream, _ in found]),
        }
        for (page, part), content in parts.items():
            path = ROOT / "docs" / page
            if refresh(path, part, content, write=not options.check):
                stale.append(path)
        name = documented.simulator[0]
        sources = dbt_sources.text(name, documented.package, [described for _, described in found])
        if rewrite(dbt_sources.path_of(ROOT, name), sources, write=not options.check):
            stale.append(dbt_sources.path_of(ROOT, name))
    for path in stale:
        print(f"{path.relative_to(ROOT)}: {'out of date, run `make docs`' if options.check else 'rewritten'}")
    return 1 if stale and options.check else 0


def streams(documented: Documented) -> list[Any]:
    """The connector's streams, as its source makes them."""
    module = importlib.import_module(documented.package)
    source = getattr(module, module.__all__[0])()
    with simulator(*documented.simulator) as url:
        found = list(source.streams({**documented.config, "api_url": url}))
        return [(stream, stream.as_airbyte_stream()) for stream in found]


def long_table(found: Sequence[Any], vendor: Vendor) -> str:
    """What a user must know of every stream."""
    head = ("stream", "primary key", "cursor", "late rows", "read again", "deletes", "right", "requests a sync")
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for stream, described in found:
        docs = stream.docs
        resolution = f" ({docs.resolution})" if docs.resolution else ""
        mark = f" ({vendor.unverified})" if getattr(stream, "documented_only", False) else ""
        cells = [f"`{described.name}`{mark}", key(described), cursor(described) + resolution]
        permission = docs.permission or stream.permission
        cells += [fact or "-" for fact in (docs.late_rows, docs.read_again, docs.deletes, permission, docs.requests)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def key(stream: Any) -> str:
    """A stream's primary key."""
    return ", ".join(f"`{'.'.join(part)}`" for part in stream.source_defined_primary_key or []) or "-"


def cursor(stream: Any) -> str:
    """A stream's cursor."""
    return ", ".join(f"`{part}`" for part in stream.default_cursor_field or []) or "-"


def refresh(path: Path, part: str, content: str, write: bool) -> bool:
    """Puts `content` between the markers of a page's part; True when it was not there yet."""
    begin, end = f"<!-- {part}:begin -->", f"<!-- {part}:end -->"
    page = path.read_text(encoding="utf-8")
    if begin not in page or end not in page:
        sys.exit(f"{path} has no place for its {part}: it needs {begin} and {end}")
    head, rest = page.split(begin, 1)
    tail = rest.split(end, 1)[1]
    return rewrite(path, f"{head}{begin}\n{content}\n{end}{tail}", write)


def rewrite(path: Path, content: str, write: bool) -> bool:
    """Makes `content` that of the file; True when it was not yet."""
    stale = not path.exists() or path.read_text(encoding="utf-8") != content
    if stale and write:
        path.write_text(content, encoding="utf-8")
    return stale


if __name__ == "__main__":
    sys.exit(main())
