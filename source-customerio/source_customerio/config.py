"""The user's options, checked and typed. Every default and limit is here."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from source_kit.errors import config_error
from source_kit.options import Options, choice, flag, instant, text, texts, url, whole
from source_kit.webhook_events import WebhookStore, webhook_columns, webhook_store

#: Certain: vendor documentation. One API, two data centers, no redirect between them.
HOSTS: Mapping[str, str] = {"US": "https://api.customer.io", "EU": "https://api-eu.customer.io"}


def _second(at: datetime) -> int:
    """Epoch seconds, a part of a second rounded up. Years before 1970 become 0, since no record is older."""
    return max(0, math.ceil(at.timestamp()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Options):
    """One connection. A configuration of Airbyte's own Customer.io connector works unchanged.

    `start` is the first second that incremental streams emit (epoch seconds, 0 or later), None for everything. One in
    the future is kept: it means that nothing up to then is wanted. The vendor records opens and clicks for about six
    months after a delivery (certain: vendor documentation), and permits ten requests a second for the workspace, of
    which `requests_per_second` is this connection's share.

    `end` is the first second of which `messages` reads nothing (epoch seconds), None for no end.
    """

    app_api_key: str = text(
        "an App API key; Customer.io shows a key only once, so make a new one in its Account Settings > API "
        "Credentials if need be",
        required=True,
        secret=True,
    )
    region: str = choice(HOSTS, default="US")
    start: int | None = instant(_second, name="start_date")
    end: int | None = instant(_second, name="end_date")
    messages_lookback_days: int = whole(1, 180, default=30)
    esp_suppression_domains: tuple[str, ...] = texts(
        'a list of host names in lower case, each once, such as ["mail.example.com"]',
        check=re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}").fullmatch,
        unique=True,
    )
    num_workers: int = whole(1, 10, default=3)
    requests_per_second: int = whole(1, 10, default=10)
    api_url: str | None = url("https://customerio-proxy.example.com", path="/v1")
    single_column_keys: bool = flag(default=False)
    webhook_store: WebhookStore | None = webhook_store()
    webhook_columns: tuple[str, ...] = webhook_columns()

    def __post_init__(self) -> None:
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise config_error(
                "Option end_date must be later than start_date, because it is the first moment that is not read: "
                "enter a later end_date or an earlier start_date."
            )

    @property
    def base_url(self) -> str:
        """Where requests go, with the version and without a slash at the end."""
        return f"{self.api_url or HOSTS[self.region]}/v1"

    @property
    def other_hosts(self) -> tuple[str, ...]:
        """Host names of the data centers that get no requests; none where `api_url` leads to neither of them."""
        others = set(HOSTS.values()) - {self.api_url or HOSTS[self.region]}
        return tuple(str(urlsplit(url).hostname) for url in others if len(others) < len(HOSTS))

    @property
    def other_region(self) -> str | None:
        """The region that was not chosen; None where `api_url` replaced the choice."""
        return None if self.api_url else next(region for region in HOSTS if region != self.region)
