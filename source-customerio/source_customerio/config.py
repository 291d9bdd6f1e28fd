"""The configuration: what a user wrote, checked once and typed. Every default and every limit of an option is here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from source_kit.errors import config_error

#: Certain: vendor documentation. One API, two data centers, no redirect between them.
HOSTS: Mapping[str, str] = {"US": "https://api.customer.io", "EU": "https://api-eu.customer.io"}

LOOKBACK_DAYS = 30
#: The vendor records opens and clicks for about six months after a delivery (certain: vendor documentation).
LOOKBACK_DAYS_MAX = 180
WORKERS = 3
#: One a permitted request of a second; more could only wait.
WORKERS_MAX = 10

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_HOST_NAME = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")


@dataclass(frozen=True, slots=True)
class Config:
    """What the connector was told.

    `start` is the first second that incremental streams emit (epoch seconds, 0 or later), None for everything.
    `app_api_key` is kept out of the representation, so that no log line can carry it.
    """

    app_api_key: str
    region: str = "US"
    api_url: str | None = None
    start: int | None = None
    messages_lookback_days: int = LOOKBACK_DAYS
    esp_suppression_domains: tuple[str, ...] = ()
    num_workers: int = WORKERS

    def __repr__(self) -> str:
        return f"Config(region={self.region!r}, start={self.start!r}, num_workers={self.num_workers!r})"

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Config:
        """Check and type a raw configuration.

        Unknown options are ignored and an absent one, null or an empty text takes its default, so that a configuration
        of Airbyte's own Customer.io connector works unchanged. Raises a config_error whose sentence names the fix.
        """
        return cls(
            app_api_key=_key(raw.get("app_api_key")),
            region=_region(raw.get("region")),
            api_url=_url(raw.get("api_url")),
            start=_start(raw.get("start_date")),
            messages_lookback_days=_number(raw, "messages_lookback_days", LOOKBACK_DAYS, LOOKBACK_DAYS_MAX),
            esp_suppression_domains=_domains(raw.get("esp_suppression_domains")),
            num_workers=_number(raw, "num_workers", WORKERS, WORKERS_MAX),
        )

    @property
    def base_url(self) -> str:
        """Where requests go, with the version and without a slash at the end."""
        return f"{self.api_url or HOSTS[self.region]}/v1"

    @property
    def other_hosts(self) -> tuple[str, ...]:
        """Host names of the data centers that are not asked; none where `api_url` leads to neither of them."""
        asked = self.api_url or HOSTS[self.region]
        if asked not in HOSTS.values():
            return ()
        return tuple(str(urlsplit(url).hostname) for url in HOSTS.values() if url != asked)

    @property
    def other_region(self) -> str | None:
        """The region that was not chosen; None where `api_url` replaced the choice."""
        return None if self.api_url else next(region for region in HOSTS if region != self.region)


def _key(value: Any) -> str:
    """The key without the white space that a paste brings along."""
    key = value.strip() if isinstance(value, str) else ""
    if not key:
        message = "app_api_key is empty. Enter an App API key from Customer.io's Account Settings > API Credentials."
        raise config_error(message)
    if not key.isascii() or not key.isprintable() or " " in key:
        message = (
            "app_api_key has characters that no key has. Enter it with nothing around it, or make a new key: "
            "Customer.io shows a key only once."
        )
        raise config_error(message)
    return key


def _region(value: Any) -> str:
    region = value.strip().upper() if isinstance(value, str) and value.strip() else value or "US"
    if not isinstance(region, str) or region not in HOSTS:
        message = f"region must be one of {', '.join(HOSTS)}, not {value!r}."
        raise config_error(message)
    return str(region)


def _url(value: Any) -> str | None:
    """The host without the version, which `base_url` appends."""
    if value is None or value == "":
        return None
    url = value.strip().rstrip("/").removesuffix("/v1") if isinstance(value, str) else ""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and not {*"?#"} & {*url} and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        message = (
            "api_url is not an address. Enter one such as https://customerio-proxy.example.com, or leave it empty."
        )
        raise config_error(message)
    if parts.username or parts.password:
        message = "api_url carries a user name or password. Leave them out: the App API key is what opens Customer.io."
        raise config_error(message)
    return url


def _start(value: Any) -> int | None:
    """Epoch seconds of a start date, a part of a second rounded up.

    Years before 1970 become 0, since no record is older. A start in the future is kept: it means that nothing up to
    then is wanted.
    """
    if value is None or value == "":
        return None
    try:
        at = datetime.fromisoformat(value.strip().upper())
        aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    except (AttributeError, ValueError):
        message = (
            f"start_date {value!r} is not a date and time. Enter one such as 2025-01-01T00:00:00Z; a date alone will "
            "do, and without a time zone it is UTC."
        )
        raise config_error(message) from None
    seconds = -((_EPOCH - aware) // _SECOND)
    return max(0, seconds)


def _number(raw: Mapping[str, Any], name: str, default: int, most: int) -> int:
    value = raw.get(name)
    if value is None or value == "":
        return default
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        message = f"{name} must be a whole number from 1 to {most}, not {value!r}."
        raise config_error(message)
    return value


def _domains(value: Any) -> tuple[str, ...]:
    """Sending domains, each once: the vendor answers an unknown one with an empty list and no error."""
    names = [] if value is None else value
    if not isinstance(names, list):
        message = 'esp_suppression_domains must be a list of host names such as ["mail.example.com"].'
        raise config_error(message)
    for name in names:
        if not isinstance(name, str) or not _HOST_NAME.fullmatch(name):
            message = (
                f"esp_suppression_domains has {name!r}, which is no host name in lower case like mail.example.com."
            )
            raise config_error(message)
    if len(set(names)) != len(names):
        message = "esp_suppression_domains names a domain twice. Remove the repetition."
        raise config_error(message)
    return tuple(names)
