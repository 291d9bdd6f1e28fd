"""Secrets are masked in every form, and before a text is cut."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from airbyte_cdk.utils.airbyte_secrets_utils import update_secrets
from kit_toys import CommandLine, ToySource, ToyStream
from source_kit.errors import shorten
from source_kit.secrets import mask, secret_shapes, set_secrets
from source_kit.stream import SliceItem
from test_kit.catalogs import stream_state
from test_kit.messages import logs

KEY = "k-0123456789-abcdefghijklmnop"


@pytest.fixture(autouse=True)
def _nothing_is_kept() -> Iterator[None]:
    yield
    update_secrets([])


@pytest.mark.parametrize("shape", [KEY, KEY.encode().hex(), KEY.encode().hex().upper()])
@pytest.mark.parametrize("shown", [100, 500])
def test_no_part_of_a_secret_is_left_where_a_text_is_cut(shape: str, shown: int) -> None:
    set_secrets([KEY])
    for before in range(shown - len(shape), shown + 1):
        text = shorten("-" * before + shape + " was denied", shown)
        assert shape[:8] not in text
        assert len(text) < shown + 30


@pytest.mark.parametrize(
    ("key", "echo"),
    [
        ("a/b+c/d=12345", r"a\/b+c\/d=12345"),
        ("a&b<c>d12345", r"a\u0026b\u003cc\u003ed12345"),
        ("späß-12345", "späß-12345".encode().hex()),
    ],
    ids=["JSON of PHP", "JSON of Go", "hex of UTF-8"],
)
def test_a_secret_is_masked_in_the_forms_of_other_languages(key: str, echo: str) -> None:
    assert echo in secret_shapes(key)


def test_a_slice_and_a_state_are_masked_before_they_are_shortened(toy: CommandLine) -> None:
    class Slices(ToyStream):
        def slices(self) -> Any:
            yield "-" * 85 + KEY

        def read_slice(self, slice_: Any) -> Iterator[SliceItem]:
            self.logger.info(f"slice {shorten(str(slice_), 100)}")
            yield [{"id": "1"}]

    states = [stream_state("s", {"slice": "-" * 275 + KEY})]
    code, messages = toy.read(ToySource(Slices("s")), config={"api_key": KEY}, states=states)
    assert code == 0
    assert "from state" in logs(messages)
    assert KEY[:8] not in logs(messages)


@pytest.mark.parametrize(
    ("variable", "value", "hidden"),
    [
        ("HTTPS_PROXY", "http://jane:pass-word@proxy.example:3128", ["pass-word"]),
        ("all_proxy", "jane:p%40ss-word@proxy.example", ["p%40ss-word", "p@ss-word"]),
        ("http_proxy", "htp:/jane:pass@word@proxy.example", ["pass@word"]),
        ("HTTPS_PROXY", "http://jane:pw@proxy.example:3128", ["jane:pw"]),
    ],
)
def test_the_password_of_a_proxy_is_a_secret(
    variable: str, value: str, hidden: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    set_secrets([])
    text = mask(f"asked {value}, which is {' and '.join(hidden)}, for npw")
    assert [secret for secret in hidden if secret in text] == []
    assert text.endswith("npw")
