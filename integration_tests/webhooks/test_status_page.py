"""The status page of a real inlet in a real browser: on a desk and on a phone, with events and without."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from webhooks.behind_proxy import event, signed
from webhooks.browser import Page, Refused, browser
from webhooks.inlet_process import PATHS, READ_TOKEN, Inlet, MakeInlet, answer, write_config
from webhooks.looks import looks_right

pytestmark = pytest.mark.browser

KEYS = ("current-signing-key", "previous-signing-key")
LONG_NAME = "a-name-that-is-longer-than-a-phone-is-wide-and-that-has-no-space-in-it"


@pytest.fixture
def inlet(make_inlet: MakeInlet, tmp_path: Path, volume: Path) -> Inlet:
    """One with an inlet for Customer.io and two for Pendo, and nothing in its store."""
    entries = [
        {"name": "prod", "source": "customerio", "path": PATHS["customerio"], "secrets": KEYS},
        {"name": "guides", "source": "pendo", "path": PATHS["pendo"], "secrets": ["pendo-secret"]},
        {"name": LONG_NAME, "source": "pendo", "path": "path-of-a-long-name-0123456789", "signature": "none"},
    ]
    return make_inlet(config=write_config(tmp_path, {"type": "volume", "path": str(volume)}, inlets=entries))


def status_of(inlet: Inlet) -> str:
    """The page's address with the token, which a browser cannot send in another way."""
    return f"http://anybody:{READ_TOKEN}@127.0.0.1:{inlet.port}/status"


def post(inlet: Inlet, number: int, key: str = KEYS[0]) -> int:
    """An event of Customer.io; the status of the answer."""
    body = event(f"event-{number}")
    return answer(inlet.port, "POST", f"/in/{PATHS['customerio']}", body, signed(body, key))[0]


def read(inlet: Inlet) -> None:
    """What a connector asks for: the lanes, then the lines of the first."""
    headers = {"Authorization": f"Bearer {READ_TOKEN}", "User-Agent": "airbyte-source-customerio/0.1"}
    status, listing = answer(inlet.port, "GET", "/log/v1/prod", headers=headers)
    assert status == 200
    (lane,) = json.loads(listing)["lanes"]
    assert answer(inlet.port, "GET", f"/log/v1/prod/{lane['lane']}/1", headers=headers)[0] == 200


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A tab of one browser for all tests."""
    with browser(tmp_path_factory.mktemp("chromium")) as tab:
        yield tab


def busy(inlet: Inlet) -> None:
    """Events, a duplicate, an old key, a wrong key, a reader that is behind."""
    for number in range(20):
        assert post(inlet, number) == 200
    assert post(inlet, 3) == 200
    assert post(inlet, 20, KEYS[1]) == 200
    read(inlet)
    assert post(inlet, 21) == 200
    assert post(inlet, 22, "wrong-key") == 401


def test_an_empty_page_says_what_to_do(page: Page, inlet: Inlet) -> None:
    looks_right(page, f"{status_of(inlet)}?refresh=off")
    text = page.text()
    assert "Receiving" in text
    assert text.count("No event yet") == 3
    assert "webhook-inlet url prod --config FILE" in text
    assert "Reporting Webhooks" in text
    assert "Settings > Integrations > Webhooks" in text


def test_a_page_with_events_shows_them(page: Page, inlet: Inlet) -> None:
    busy(inlet)
    looks_right(page, f"{status_of(inlet)}?refresh=off")
    rows = page.value("[...document.querySelectorAll('article:first-of-type tr')].map(e => e.innerText)")
    rows = [" ".join(row.split()) for row in rows]
    assert "Received 24 24 24 24" in rows
    assert "Stored 22 22 22 22" in rows
    assert "Duplicates 1 1 1 1" in rows
    assert "Wrong signature (401) 1 1 1 1" in rows
    assert any(row.startswith("Place 0 22") for row in rows)
    assert any(row.startswith("Place 1 1") for row in rows)
    (reader,) = [row for row in rows if row.startswith("airbyte-source-customerio")]
    assert re.search(r"(ago|just now) 1 \d+ s$", reader)  # one event came after it
    text = page.text()
    assert "Wrong signature: a post was refused" in text
    assert "Copy the signing key from Data & Integrations" in text
    assert page.value("document.querySelectorAll('article:first-of-type .plot rect:not(.all)').length") >= 1


def test_a_new_event_appears_by_itself(page: Page, inlet: Inlet) -> None:
    page.show(1280, 900)
    page.open(status_of(inlet))
    assert page.text().count("No event yet") == 3
    assert post(inlet, 1) == 200
    page.wait(lambda: page.text().count("No event yet") == 2, 20)
    assert "Last event" in page.text()


def test_a_paused_page_stays(page: Page, inlet: Inlet) -> None:
    page.show(1280, 900)
    page.open(status_of(inlet))
    page.value("[...document.querySelectorAll('a')].find(e => e.innerText === 'Pause').click()")
    page.wait(lambda: "paused" in page.text())
    assert page.value("document.querySelectorAll('meta[http-equiv=refresh]').length") == 0
    assert page.value("location.search") == "?refresh=off"


def test_a_browser_without_the_token_sees_nothing(page: Page, inlet: Inlet) -> None:
    page.show(1280, 900)
    page.open("about:blank")
    with pytest.raises(Refused, match="ERR_INVALID_AUTH_CREDENTIALS"):
        page.open(status_of(inlet).replace(READ_TOKEN, "wrong"))
    assert "prod" not in page.text()
