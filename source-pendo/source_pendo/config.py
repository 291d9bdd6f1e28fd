"""The user's options, checked and typed. Every default and limit is here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Literal, cast, get_args

from source_kit.convert import parse_instant
from source_kit.errors import config_error

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
#: Days of lookback: Pendo calls a day unfinished for seven to nine days
DEFAULT_LOOKBACK_DAYS: Final = 10
#: Other vendors met time-outs and exhausted memory with pages of 100,000 rows and more
DEFAULT_RECORD_LIMIT: Final = 50_000
#: A page never asks for more, not even where one visitor has more rows than a page
LARGEST_RECORD_LIMIT: Final = 200_000
#: Pendo gives up on a query after about five minutes
DEFAULT_TIMEOUT_SECONDS: Final = 300
DEFAULT_WORKERS: Final = 4


@dataclass(frozen=True, slots=True)
class Config:
    """One connection. `start_date` is a calendar day, read in the subscription's own time zone."""

    api_key: str
    base_url: str
    region: Region = "US"
    start_date: date | None = None
    period: Period = "day"
    lookback_days: int = DEFAULT_LOOKBACK_DAYS
    app_ids: tuple[str, ...] = ()
    include_anonymous_visitors: bool = False
    record_limit: int = DEFAULT_RECORD_LIMIT
    request_timeout: int = DEFAULT_TIMEOUT_SECONDS
    num_workers: int = DEFAULT_WORKERS

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Config:
        """Read the raw options. Raises a config_error with one sentence that names the option and the fix.

        The platform sends an option that was left empty as absent, null or "", so the three are the same.
        """
        given = {name: value for name, value in raw.items() if value is not None and value != ""}
        region = cast("Region", _one_of(given, "region", get_args(Region), "US"))
        return cls(
            api_key=_key(given.get("api_key")),
            base_url=_base_url(given.get("api_url"), region),
            region=region,
            start_date=_start_date(given.get("start_date")),
            period=cast("Period", _one_of(given, "period", get_args(Period), "day")),
            lookback_days=_whole(given, "lookback_window", DEFAULT_LOOKBACK_DAYS, 0, 365),
            app_ids=_app_ids(given.get("app_ids", [])),
            include_anonymous_visitors=_flag(given, "include_anonymous_visitors"),
            record_limit=_whole(given, "record_limit", DEFAULT_RECORD_LIMIT, 1, LARGEST_RECORD_LIMIT),
            request_timeout=_whole(given, "request_timeout", DEFAULT_TIMEOUT_SECONDS, 1, 3600),
            num_workers=_whole(given, "num_workers", DEFAULT_WORKERS, 1, 20),
        )


def _key(value: Any) -> str:
    key = value.strip() if isinstance(value, str) else ""
    if not key:
        message = (
            "api_key is empty: write your integration key; if nobody has kept it, make a new key in Pendo's Settings > "
            "Integrations > Integration Keys."
        )
        raise config_error(message)
    if not re.fullmatch(r"[\x21-\x7e]+", key):
        message = (
            "api_key holds a space, a line break or a letter that no key has: write the key and nothing else, or make "
            "a new key in Pendo's Settings > Integrations > Integration Keys."
        )
        raise config_error(message)
    return key


def _base_url(value: Any, region: Region) -> str:
    if value is None:
        return HOSTS[region] + API_PATH
    text = value.strip().rstrip("/") if isinstance(value, str) else ""
    if not re.fullmatch(r"https?://[^\s?#@]+", text):
        message = "api_url must be an address such as https://adopt.pendo.io, without user name, query or fragment."
        raise config_error(message)
    return text.removesuffix(API_PATH) + API_PATH


def _start_date(value: Any) -> date | None:
    if value is None:
        return None
    if isinstance(value, str):
        try:
            # The day as it is written: a day of the subscription's calendar, whose time zone no endpoint tells.
            parse_instant(value)
            return datetime.fromisoformat(value.strip()).date()
        except ValueError:
            pass
    message = "start_date is not a date: write it like 2026-03-01T00:00:00Z."
    raise config_error(message)


def _one_of(given: Mapping[str, Any], name: str, allowed: tuple[str, ...], default: str) -> str:
    value = given.get(name, default)
    folded = value.strip().casefold() if isinstance(value, str) else value
    for choice in allowed:
        if choice.casefold() == folded:
            return choice
    message = f"{name} is not one of {', '.join(allowed)}: choose one of them."
    raise config_error(message)


def _whole(given: Mapping[str, Any], name: str, default: int, low: int, high: int) -> int:
    value = given.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        message = f"{name} is not a whole number from {low} to {high}: write one, or leave it empty for {default}."
        raise config_error(message)
    return value


def _flag(given: Mapping[str, Any], name: str) -> bool:
    value = given.get(name, False)
    if not isinstance(value, bool):
        message = f"{name} is neither true nor false: choose one of the two."
        raise config_error(message)
    return value


def is_app_id(text: str) -> bool:
    """Whether a text is the id of an application."""
    return re.fullmatch(r"-?[0-9]{1,19}", text) is not None


def _app_ids(value: Any) -> tuple[str, ...]:
    wanted = value if isinstance(value, list) else [None]
    texts = [item.strip() if isinstance(item, str) else "" for item in wanted]
    if not all(map(is_app_id, texts)):
        message = (
            'app_ids is not a list of application ids such as "-323232" or "6304859583021056": '
            "copy them from app_id in the records, or leave the list empty for all applications."
        )
        raise config_error(message)
    return tuple(dict.fromkeys(texts))
