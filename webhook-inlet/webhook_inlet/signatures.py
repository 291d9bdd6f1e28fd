"""Who signed a post: HMAC-SHA256 in the three forms that senders use, over the bytes as they were sent.

No time window: a sender's retry may keep its first timestamp, and a replay is harmless, because the event's key is
known. Header values are hostile: what is not understood is no signature.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from webhook_inlet.config import InletConfig, standard_key

Headers = Mapping[bytes, bytes]  # names in lower case

#: Longer header values, and more signatures in one, are no signature
_MAX_VALUE = 4096
_MAX_CLAIMS = 16
_DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True)
class Claim:
    """What a post's headers say: the digests, one of which must be that of `prefix` and the body."""

    prefix: bytes
    digests: tuple[bytes, ...]


class Stream:
    """A body that comes in pieces: one HMAC for each secret."""

    def __init__(self, keys: tuple[bytes, ...], claim: Claim) -> None:
        self._claim = claim
        self._macs = [hmac.new(key, claim.prefix, "sha256") for key in keys]

    def update(self, piece: bytes) -> None:
        """Takes the next piece."""
        for mac in self._macs:
            mac.update(piece)

    def place(self) -> int | None:
        """The place of the secret that signed the pieces, None if none did."""
        return _place([mac.digest() for mac in self._macs], self._claim)


@dataclass(frozen=True, slots=True)
class Verifier:
    """The secrets of an inlet and the form of its sender's signatures."""

    keys: tuple[bytes, ...]
    read: Callable[[Headers], Claim | None]
    header: str  # where the signature is, for sentences

    def stream(self, claim: Claim) -> Stream:
        """For a body that comes in pieces."""
        return Stream(self.keys, claim)

    def place(self, claim: Claim, body: bytes) -> int | None:
        """The place of the secret that signed a whole body, None if none did."""
        message = claim.prefix + body
        return _place([hmac.digest(key, message, "sha256") for key in self.keys], claim)


def verifier(config: InletConfig) -> Verifier | None:
    """What checks the posts of an inlet; None for `signature: none`."""
    if config.signature == "none":
        return None
    texts = [secret.get_secret_value() for secret in config.secrets]
    if config.source == "standard":
        return Verifier(tuple(map(standard_key, texts)), _standard, "webhook-signature")
    keys = tuple(text.encode() for text in texts)
    if config.source == "pendo":
        return Verifier(keys, _pendo, "X-Pendo-Signature")
    return Verifier(keys, _customerio, "X-CIO-Signature")


def _place(made: list[bytes], claim: Claim) -> int | None:
    found = None
    for place, digest in enumerate(made):
        for claimed in claim.digests:
            if hmac.compare_digest(digest, claimed) and found is None:
                found = place
    return found


def _customerio(headers: Headers) -> Claim | None:
    """`X-CIO-Signature`: hex of the HMAC of `v0:<X-CIO-Timestamp>:<body>`, the key is the signing key as text.

    Source: Customer.io's specification of reporting webhooks and its `customerio-node` (certain). `v0=<hex>` and
    several values split by commas are what another receiver accepts.
    """
    stamp = headers.get(b"x-cio-timestamp")
    if stamp is None or len(stamp) > _MAX_VALUE:
        return None
    digests = _digests(headers.get(b"x-cio-signature"), b",", b"v0=", _hex)
    return Claim(b"v0:%b:" % stamp, digests) if digests else None


def _pendo(headers: Headers) -> Claim | None:
    """`X-Pendo-Signature`: the HMAC of the body. The encoding is not published, so hex and base64 are both accepted."""
    digests = _digests(headers.get(b"x-pendo-signature"), b",", b"sha256=", _hex_or_base64)
    return Claim(b"", digests) if digests else None


def _standard(headers: Headers) -> Claim | None:
    """`webhook-signature`: `v1,<base64>` split by spaces, of `<webhook-id>.<webhook-timestamp>.<body>` (certain)."""
    name, stamp = headers.get(b"webhook-id"), headers.get(b"webhook-timestamp")
    if not name or not stamp or len(name) > _MAX_VALUE or len(stamp) > _MAX_VALUE:
        return None
    value = headers.get(b"webhook-signature") or b""
    kept = b" ".join(part[3:] for part in value[:_MAX_VALUE].split(b" ") if part.startswith(b"v1,"))
    digests = _digests(kept, b" ", b"", _base64)
    return Claim(b"%b.%b." % (name, stamp), digests) if digests else None


def _digests(
    value: bytes | None, separator: bytes, prefix: bytes, decode: Callable[[bytes], bytes]
) -> tuple[bytes, ...]:
    if not value or len(value) > _MAX_VALUE:
        return ()
    digests = []
    for part in value.split(separator)[:_MAX_CLAIMS]:
        text = part.strip()
        if prefix and text[: len(prefix)].lower() == prefix:
            text = text[len(prefix) :]
        digest = decode(text)
        if len(digest) == _DIGEST_BYTES:
            digests.append(digest)
    return tuple(digests)


def _hex(text: bytes) -> bytes:
    try:
        return binascii.unhexlify(text)
    except ValueError:
        return b""


def _base64(text: bytes) -> bytes:
    text = text.rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except ValueError:
        return b""


def _hex_or_base64(text: bytes) -> bytes:
    return _hex(text) if len(text) == 2 * _DIGEST_BYTES else _base64(text)
