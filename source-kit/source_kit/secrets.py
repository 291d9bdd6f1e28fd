"""Masks secrets, in every form in which one may come back. A text is masked first, then shortened."""

from __future__ import annotations

import base64
import html
import json
import os
import re
import urllib.parse
from collections.abc import Iterable, Mapping
from typing import Any

from airbyte_cdk.utils.airbyte_secrets_utils import add_to_secrets, filter_secrets, update_secrets

#: Shorter pieces of base64 or hex are not masked: other texts hold them by chance.
_ENCODED_MASKED_FROM = 6
#: A shorter password of a proxy is masked only together with its user: alone, it would mask parts of every log line.
_PASSWORD_MASKED_FROM = 4


def mask(text: str) -> str:
    """A text without the secrets of this process. Do not cut the text before: a part of a secret is not found."""
    return filter_secrets(text)


def set_secrets(secrets: Iterable[Any]) -> None:
    """Masks these secrets from now on, and the passwords of proxies, in every shape. None is ignored."""
    known = [*(secret for secret in secrets if secret is not None), *_proxy_passwords(os.environ)]
    shapes = {shape for secret in known for shape in secret_shapes(secret)}
    update_secrets(sorted(shapes, key=len, reverse=True))


def add_secret(secret: str) -> None:
    """Masks one more secret, which is not an option, in every shape."""
    for shape in secret_shapes(secret):
        add_to_secrets(shape)


def secret_shapes(secret: Any) -> list[str]:
    """A secret: plain, quoted for JSON, Python, HTML and URLs, in base64 and hex. The longest comes first."""
    text = str(secret)
    quoted = {text, text.strip(), repr(text)[1:-1], html.escape(text)}
    for _ in range(2):  # JSON may hold JSON in a string
        quoted |= {form for shape in quoted for form in _json_forms(shape)}
    for encoded in (urllib.parse.quote(text, safe=""), urllib.parse.quote_plus(text), urllib.parse.quote(text)):
        quoted |= {encoded, re.sub("%..", lambda found: found[0].lower(), encoded)}
    raw = text.encode("utf-8", "surrogatepass")
    shapes = quoted | _base64_shapes(raw)
    if 2 * len(raw) >= _ENCODED_MASKED_FROM:
        shapes |= {raw.hex(), raw.hex().upper()}
    return sorted((shape for shape in shapes if shape), key=len, reverse=True)


def _json_forms(text: str) -> set[str]:
    """A text in JSON as Python writes it, as PHP does (`\\/`), and as Go does (no `<`, `>` and `&`)."""
    python = json.dumps(text)[1:-1]
    go = python.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return {python, python.replace("/", "\\/"), go}


def _base64_shapes(raw: bytes) -> set[str]:
    """Base64 of a secret, alone and within other text (`user:secret`), where it begins at one of three offsets."""
    shapes = {base64.b64encode(raw), base64.urlsafe_b64encode(raw)}
    for before in range(3):
        first, end = (0, 2, 3)[before], (before + len(raw)) * 8 // 6  # these characters depend on the secret alone
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            shape = encode(b"\0" * before + raw)[first:end]
            if len(shape) >= _ENCODED_MASKED_FROM:
                shapes.add(shape)
    return {shape.decode() for shape in shapes}


def _proxy_passwords(environment: Mapping[str, str]) -> set[str]:
    """User and password of every proxy in the environment, also of one that is not a URL."""
    found = set()
    for name, value in environment.items():
        if not name.lower().endswith("_proxy") or "@" not in value:
            continue
        login = value.rpartition("@")[0]
        for one in {login, re.sub(r"^\w*:?/+", "", login)}:  # a mistyped scheme looks like a user
            _, colon, password = one.partition(":")
            if colon and password:
                found.add(one)
                if len(password) >= _PASSWORD_MASKED_FROM:
                    found |= {password, urllib.parse.unquote(password)}
    return found
