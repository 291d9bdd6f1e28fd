"""Which of a post's headers stand in its line: what says how to read the body, and what the sender says about itself.

Not the signature, `Authorization`, `Cookie`, or what proxies add.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_NAMES = {
    name.encode(): name for name in ("content-type", "user-agent", "x-cio-timestamp", "webhook-id", "webhook-timestamp")
}
_PREFIXES = (b"x-cio-", b"x-pendo-", b"webhook-")
_SIGNATURES = {b"x-cio-signature", b"x-pendo-signature", b"webhook-signature"}
_MOST = 20
_LONGEST = 1000


def by_name(headers: Sequence[tuple[bytes, bytes]]) -> Mapping[bytes, bytes]:
    """The headers of a request by name; values of a name that comes twice are joined by commas, as HTTP has it."""
    found = dict(headers)
    if len(found) == len(headers):
        return found
    found = {}
    for name, value in headers:
        found[name] = b"%b,%b" % (found[name], value) if name in found else value
    return found


def stored_headers(headers: Mapping[bytes, bytes], compressed: bool) -> dict[str, str]:
    """The headers that a line keeps. `compressed`: the line has the body as it was sent, in its `Content-Encoding`."""
    kept: dict[str, str] = {}
    for name, value in headers.items():
        text = _NAMES.get(name)
        if text is None:
            if not (name.startswith(_PREFIXES) or (compressed and name == b"content-encoding")) or name in _SIGNATURES:
                continue
            text = name.decode("latin-1")
        if len(kept) < _MOST and len(text) < _LONGEST:
            kept[text] = value[:_LONGEST].decode("latin-1")
    return kept
