"""The documentation holds what the code says: generated tables, every sentence a user may meet, links that lead on.

Any text of a connector or of the kit that reads as a whole sentence is shown to users, so its page must explain it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

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
_HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)


@pytest.mark.parametrize("connector", PAGES)
def test_every_sentence_that_a_user_may_meet_is_explained(connector: str) -> None:
    page = flat((ROOT / "docs" / PAGES[connector]).read_text(encoding="utf-8"))
    package = f"{connector}/{connector.replace('-', '_')}"
    found = {*sentences(package), *sentences("source-kit/source_kit", _UNUSED.get(connector, ()))}
    assert len(found) > 30

    missing = [sentence for sentence in sorted(found) if not re.search(pattern(sentence), page)]

    assert missing == []


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
