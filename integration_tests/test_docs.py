"""The documentation holds what the code says: generated tables, every sentence a user may meet, links that lead on.

Any text of a connector or of the kit that reads as a whole sentence is shown to users, so its page must explain it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
import yaml
from harness.sentences import VALUE, flat, pattern, sentences

ROOT = Path(__file__).resolve().parents[1]
PAGES = {"source-pendo": "pendo.md", "source-customerio": "customerio.md", "source-heap": "heap.md"}
#: What of the kit is not on a connector's page: Heap is not read over HTTP, and its cursor is no time; what the others
#: say about access to a bucket is on Heap's page.
_OF_BUCKETS = tuple(
    f"s3/{module}.py"
    for module in (
        "boto",
        "bucket",
        "credential_errors",
        "errors",
        "options",
        "retrying",
        "rules",
        "session",
        "transfer",
    )
)
_UNUSED = {
    "source-heap": ("http/", "errors.py", "progress.py", "saved_state.py", "s3/webhook_log.py", "webhook_"),
    "source-pendo": _OF_BUCKETS,
    "source-customerio": _OF_BUCKETS,
}
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_JOIN = re.compile(r'^  (\w+) \S+ (\w+) : "(\S+) : (\S+)"$', re.MULTILINE)
_HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)


@pytest.mark.parametrize("connector", PAGES)
def test_every_sentence_that_a_user_may_meet_is_explained(connector: str) -> None:
    page = flat((ROOT / "docs" / PAGES[connector]).read_text(encoding="utf-8"))
    package = f"{connector}/{connector.replace('-', '_')}"
    found = {*sentences(package), *sentences("source-kit/source_kit", _UNUSED.get(connector, ()))}
    assert len(found) > 30

    missing = [sentence for sentence in sorted(found) if not re.search(pattern(sentence), page)]

    assert missing == []


def test_every_sentence_that_a_user_of_spark_may_meet_is_explained() -> None:
    """Beside those of the connectors, to whose pages it leads."""
    page = flat((ROOT / "docs" / "spark.md").read_text(encoding="utf-8"))
    found = {*sentences("spark/product_analytics_spark")}
    assert len(found) > 10

    assert [sentence for sentence in sorted(found) if not re.search(pattern(sentence), page)] == []


def test_a_sentence_without_a_place_on_the_page_is_found() -> None:
    sentence = f"Pendo lost {VALUE} of the rows."

    assert re.search(pattern(sentence), flat("| `Pendo lost {some}\n of the rows.` |"))
    assert not re.search(pattern(sentence), "Pendo lost some rows.")


@pytest.mark.parametrize("connector", PAGES)
def test_every_option_is_on_the_page(connector: str) -> None:
    page = (ROOT / "docs" / PAGES[connector]).read_text(encoding="utf-8")
    package = ROOT / connector / connector.replace("-", "_")
    options = yaml.safe_load((package / "spec.yaml").read_text(encoding="utf-8"))["connectionSpecification"][
        "properties"
    ]

    assert [name for name in options if f"| `{name}` |" not in page] == []


def test_the_generated_tables_are_up_to_date() -> None:
    script = ROOT / "tools" / "docs.py"
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("vendor", ["pendo", "customerio"])
def test_the_diagram_of_keys_joins_columns_that_exist(vendor: str) -> None:
    joins = _JOIN.findall((ROOT / "docs" / f"{vendor}.md").read_text(encoding="utf-8"))
    assert len(joins) > 20

    ends = {end for one, other, left, right in joins for end in ((one, left), (other, right))}

    assert [end for end in sorted(ends) if not _in_the_dictionary(vendor, *end)] == []


def test_every_stream_of_customerio_is_among_the_keys() -> None:
    """In the diagram, or among those that join nothing."""
    keys = (
        (ROOT / "docs" / "customerio.md").read_text(encoding="utf-8").partition("\n## Keys\n")[2].partition("\n## ")[0]
    )
    streams = re.findall(r"^## (\w+)$", _dictionary("customerio"), re.MULTILINE)
    assert len(streams) > 30

    assert [stream for stream in streams if not re.search(rf"\b{stream}\b", keys)] == []


def test_a_join_by_a_column_that_does_not_exist_is_found() -> None:
    assert _in_the_dictionary("pendo", "guides", "steps[].id")
    assert _in_the_dictionary("pendo", "pages", "group.id")
    assert not _in_the_dictionary("pendo", "guides", "steps[].page")
    assert not _in_the_dictionary("pendo", "pages", "group.area")
    assert _in_the_dictionary("customerio", "messages", "customer_identifiers.cio_id")
    assert not _in_the_dictionary("customerio", "messages", "customer_identifiers.phone")


def _dictionary(vendor: str) -> str:
    return (ROOT / "docs" / f"{vendor}-columns.md").read_text(encoding="utf-8")


def _in_the_dictionary(vendor: str, table: str, column: str) -> bool:
    """Whether the data dictionary has a column, or an object with a section of its own that has it."""
    section = _dictionary(vendor).partition(f"\n## {table}\n")[2].partition("\n## ")[0]
    if f"| `{column.removesuffix('[]')}` |" in section:
        return True
    parent, _, field = column.partition(".")
    shared = re.search(rf"^\| `{re.escape(parent)}` \| \[(\w+)\]\(#object-", section, re.MULTILINE)
    return shared is not None and _in_the_dictionary(vendor, f"object {shared[1]}", field)


def test_the_erasure_of_the_docs_deletes_those_who_must_go_and_nobody_else() -> None:
    page = (ROOT / "docs" / "pendo.md").read_text(encoding="utf-8")
    (erasure,) = re.findall(r"```sql\n(delete from visitors .*?)```", page, re.DOTALL)
    with duckdb.connect() as warehouse:
        warehouse.execute("create table visitors as select unnest(['ann', 'bob']) as visitor_id")
        warehouse.execute("create table accounts as select unnest(['acme', 'globex']) as account_id")
        warehouse.execute("""create table page_events as select * from (values
            ('ann', 'acme'), ('bob', 'acme'), ('bob', 'globex'), ('bob', '')) as rows (visitor_id, account_id)""")
        warehouse.execute("create table do_not_process_visitors as select 'ann' as visitor_id")
        warehouse.execute("create table do_not_process_accounts as select 'globex' as account_id")

        warehouse.execute(erasure)

        left = [warehouse.execute(f"from {table}").fetchall() for table in ("visitors", "accounts", "page_events")]
    assert left == [[("bob",)], [("acme",)], [("bob", "acme"), ("bob", "")]]


def _pages() -> list[Path]:
    """Every page that people read: those of the root, of docs/ and of each part."""
    patterns = ("*.md", "docs/*.md", "*/README.md", "*/CHANGELOG.md")
    return sorted({page for pattern in patterns for page in ROOT.glob(pattern)})


@pytest.mark.parametrize("page", _pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    broken = []
    for link in _LINK.findall(page.read_text(encoding="utf-8")):
        if link.startswith(("http:", "https:", "mailto:")):
            continue
        target, _, heading = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        if not file.exists() or (heading and heading not in _anchors(file)):
            broken.append(link)

    assert broken == []


def _anchors(page: Path) -> set[str]:
    """What a heading is linked by: lower case, hyphens for spaces, without other punctuation."""
    headings = _HEADING.findall(page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}
