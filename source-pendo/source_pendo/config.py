"""The user's options, checked and typed. Every default and limit is here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, Literal, get_args

from source_kit.errors import config_error
from source_kit.options import Options, choice, flag, instant, text, texts, url, whole
from source_kit.webhook_events import WebhookStore, webhook_columns, webhook_store

Region = Literal["US", "US1", "EU", "JPN", "AU"]
Period = Literal["day", "hour"]

#: Certain for all five: two other vendors' connectors talk to them.
HOSTS: Final[Mapping[str, str]] = {
    "US": "https://app.pendo.io",
    "US1": "https://us1.app.pendo.io",
    "EU": "https://app.eu.pendo.io",
    "JPN": "https://app.jpn.pendo.io",
    "AU": "https://app.au.pendo.io",
}
API_PATH: Final = "/api/v1"

#: Days before the first sync with which the event streams begin when there is no start_date
DEFAULT_HISTORY_DAYS: Final = 30
#: Pendo was founded in 2013: there are no events before
EARLIEST_DAY: Final = date(2013, 1, 1)
#: A page never asks for more, not even where one visitor has more rows than a page
LARGEST_RECORD_LIMIT: Final = 200_000


def is_app_id(text: str) -> bool:
    """Whether a text is the id of an application."""
    return re.fullmatch(r"-?[0-9]{1,19}", text) is not None


def is_object_id(text: str) -> bool:
    """Whether a text may be the id of a report or a segment: not the address of its page, which contains one."""
    return re.fullmatch(r"[A-Za-z0-9_-]{1,100}", text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Options):
    """One connection.

    `start_date` and `end_date` are days as they are written: days of the subscription's calendar, whose time zone no
    endpoint gives. Pendo calls a day unfinished for seven to nine days, hence ten days of lookback; it gives up on a
    query after five minutes (documented), hence the timeout (seconds). Other vendors met time-outs and exhausted memory
    with pages of 100,000 rows and more.
    """

    api_key: str = text(
        "your integration key; if nobody has kept it, make a new key in Pendo's Settings > Integrations > Integration "
        "Keys",
        required=True,
        secret=True,
    )
    region: Region = choice(get_args(Region), default="US")
    start_date: date | None = instant(datetime.date)
    end_date: date | None = instant(datetime.date)
    period: Period = choice(get_args(Period), default="day")
    lookback_days: int = whole(0, 365, default=10, name="lookback_window")
    app_ids: tuple[str, ...] = texts(
        'a list of application ids such as ["-323232", "6304859583021056"], as app_id has them in the records, or '
        "empty for all applications",
        check=is_app_id,
    )
    include_anonymous_visitors: bool = flag(default=False)
    record_limit: int = whole(1, LARGEST_RECORD_LIMIT, default=50_000)
    request_timeout: int = whole(1, 3600, default=300)
    num_workers: int = whole(1, 20, default=4)
    detect_deletions: bool = flag(default=False)
    report_ids: tuple[str, ...] = texts(
        "a list of report ids, as the stream reports has them in its column id, or empty", check=is_object_id
    )
    segment_ids: tuple[str, ...] = texts(
        "a list of segment ids, as the stream segments has them in its column id, or empty", check=is_object_id
    )
    api_url: str | None = url("https://adopt.pendo.io", path=API_PATH)
    single_column_keys: bool = flag(default=False)
    webhook_store: WebhookStore | None = webhook_store()
    webhook_columns: tuple[str, ...] = webhook_columns()

    def __post_init__(self) -> None:
        if self.start_date and self.end_date and self.end_date <= self.start_date:
            raise config_error(
                "Option end_date must be a later day than start_date, because it is the first day that is not read: "
                "enter a later end_date or an earlier start_date."
            )

    @property
    def base_url(self) -> str:
        """Where requests go, without a slash at the end."""
        return (self.api_url or HOSTS[self.region]) + API_PATH
