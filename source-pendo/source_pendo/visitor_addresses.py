"""Where Pendo answers about one visitor: how an id stands in the address."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias
from urllib.parse import quote as percent_encode

from source_kit.http.client import Answer

from source_pendo.client import PendoClient

#: Ids that stand in an address as they are, in any way of reading it
_PLAIN: Final = re.compile(r"(?!\.)[A-Za-z0-9@_.-]+(?<!\.)")
#: Clients and proxies resolve these two, also where they are percent-encoded, so they lead to another address.
_RELATIVE: Final = frozenset({".", ".."})
_BASE64: Final[Mapping[str, str]] = {"x-pendo-base64-encoded-params": "true"}
#: Nothing there, or what was asked for is refused: Pendo does not know the visitor, or the form of the id
_NOTHING_THERE: Final = (404, 422)


def _padded(visitor_id: str) -> str:
    return "b64_" + urlsafe_b64encode(visitor_id.encode()).decode()


def _unpadded(visitor_id: str) -> str:
    return _padded(visitor_id).rstrip("=")


def _percent_encoded(visitor_id: str) -> str:
    return percent_encode(visitor_id, safe="")


_Form: TypeAlias = Callable[[str], str]


class VisitorAddresses:
    """Asks Pendo about single visitors, whatever their ids hold. Thread-safe.

    An id stands in the address URL-encoded, or as `b64_` and its URL-safe base64 together with a header (both certain:
    Pendo's API documentation, August 2025). Ids hold slashes, percent signs and blanks, which proxies rewrite, so all
    but plain ids go as base64. Whether with padding is not documented, and whether every server knows the form is not
    known either: if Pendo has nothing there, or refuses it, the id is asked for without padding, then percent-encoded.
    The form that Pendo answered last comes first for the next id.
    """

    def __init__(self, client: PendoClient) -> None:
        self._client = client
        self._forms: tuple[_Form, ...] = (_padded, _unpadded, _percent_encoded)
        self._answered: set[_Form] = set()

    def history(self, visitor_id: str, start: int) -> Answer:
        """The answer about 24 hours of one visitor, from epoch milliseconds on. Its status may be 404 or 422."""
        *others, last = self._forms_of(visitor_id)
        for form in others:
            # What Pendo understands and refuses is wrong with the visitor, not with the form.
            refusals = _NOTHING_THERE if form in self._answered else (400, *_NOTHING_THERE)
            answer = self._ask(form, visitor_id, start, accept=refusals)
            if answer.status < 300:
                self._prefer(form)
                return answer
            answer.close()
        answer = self._ask(last, visitor_id, start, accept=_NOTHING_THERE)
        if others and answer.status < 300:
            self._prefer(last)
        return answer

    def _forms_of(self, visitor_id: str) -> list[_Form]:
        """The forms in which to ask for an id, each address once."""
        if _PLAIN.fullmatch(visitor_id):
            return [_percent_encoded]
        forms: dict[str, _Form] = {}
        for form in self._forms:
            if form is not _percent_encoded or visitor_id not in _RELATIVE:
                forms.setdefault(form(visitor_id), form)
        return list(forms.values())

    def _prefer(self, form: _Form) -> None:
        self._answered.add(form)
        self._forms = (form, *(other for other in self._forms if other is not form))

    def _ask(self, form: _Form, visitor_id: str, start: int, accept: tuple[int, ...]) -> Answer:
        headers = None if form is _percent_encoded else _BASE64
        path = f"/visitor/{form(visitor_id)}/history"
        return self._client.call(path, params={"starttime": start}, headers=headers, accept=accept)
