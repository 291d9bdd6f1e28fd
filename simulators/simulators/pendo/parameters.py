"""The parameters `appId` and object ids of a source, and the documented rules about them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from simulators.pendo.directory import APPS, DEFAULT_APP
from simulators.pendo.errors import PendoError, unexpected_parameters
from simulators.pendo.switches import Switches

ID_OF_SOURCE = {"pageEvents": "pageId", "featureEvents": "featureId", "trackEvents": "trackTypeId"}
"""The sources whose rows belong to a tagged object, with the parameter for one object. `...Ids` takes several."""

_PARTS_OF_GUIDES = ("guideStepId", "pollId")
_EXPRESSION = re.compile(r"""\s*expandAppIds\(\s*(["`])(?P<filter>[^"`]*)\1\s*\)\s*""")
_PLATFORMS: Mapping[str, set[str]] = {
    "web": {"web"},
    "extension": {"extension"},
    "mobile": {"ios", "android"},
    "ios": {"ios"},
    "android": {"android"},
}


def check_rules(name: str, parameters: Mapping[str, Any], period: object, switches: Switches) -> None:
    """Refuse what the documentation forbids, as far as `Rules` has it switched on. The texts are invented."""
    single = ID_OF_SOURCE.get(name, "")
    ids = [parameter for parameter in (single, f"{single}s") if parameter in parameters]
    if single and not ids and period == "hourRange" and switches.hours_need_ids:
        raise _refused(f"{single} must be specified with hourRange")
    if ids and "appId" in parameters and switches.ids_without_app:
        raise _refused(f"{ids[0]} and appId must not be specified together")
    for part in _PARTS_OF_GUIDES:
        if part in parameters and "guideId" not in parameters and switches.parts_need_guide:
            raise _refused(f"{part} must be specified with guideId")
    count = sum(len(id_values(name, parameters[parameter])) for parameter in ids)
    if switches.max_ids is not None and count > switches.max_ids:
        raise _refused(f"at most {switches.max_ids} ids are allowed, not {count}")


def app_ids(name: str, parameters: Mapping[str, Any], switches: Switches) -> frozenset[int] | None:
    """The apps of a query: a number, an expression, or a list of both; None means all apps.

    Without the parameter it is the default app (certain). A query for pages, features or track types by their ids is
    not narrowed to an app (documented: the two exclude each other).
    """
    if "appId" not in parameters:
        single = ID_OF_SOURCE.get(name, "")
        return None if parameters.keys() & {single, f"{single}s"} else frozenset({DEFAULT_APP})
    value = parameters["appId"]
    found: set[int] = set()
    for item in value if isinstance(value, list) else [value]:
        expression = _EXPRESSION.fullmatch(item) if isinstance(item, str) else None
        if expression is not None and expression["filter"] == "*":
            return None
        if expression is not None:
            found |= _apps_of_platforms(name, expression["filter"])
        else:
            found.add(_number(name, item, texts=isinstance(value, list) and not switches.app_ids_are_numbers))
    return frozenset(found)


def _apps_of_platforms(name: str, text: str) -> set[int]:
    platforms = text.split("|")
    if not set(platforms) <= set(_PLATFORMS):
        raise unexpected_parameters(name)
    wanted = {found for platform in platforms for found in _PLATFORMS[platform]}
    return {app["id"] for app in APPS if app["platform"] in wanted}


def _number(name: str, value: Any, *, texts: bool) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, str) if texts else int):
        raise unexpected_parameters(name)
    try:
        return int(value)
    except ValueError:
        raise unexpected_parameters(name) from None


def id_values(name: str, value: Any) -> frozenset[str]:
    """The ids of a parameter: a text or a list of texts."""
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str) for item in values):
        raise unexpected_parameters(name)
    return frozenset(values)


def _refused(text: str) -> PendoError:
    return PendoError(400, text)
