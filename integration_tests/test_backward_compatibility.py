"""Every version of a connector against its earlier releases: what their users have must keep working."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable

import pytest
from harness.compatibility import catalog_breaks, spec_breaks
from harness.runner import Runner
from harness.suite import RELEASES, Connector
from snapshots import release_folder
from test_kit.catalogs import Row

SPEC: Row = {
    "connectionSpecification": {
        "type": "object",
        "required": ["key"],
        "properties": {
            "key": {"type": "string", "airbyte_secret": True},
            "mode": {"type": "string", "enum": ["a", "b"], "default": "a"},
            "days": {"type": "integer", "minimum": 0, "maximum": 30},
            "day": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}$"},
            "way": {"type": "object", "oneOf": [{"properties": {"kind": {"const": "x"}, "id": {"type": "string"}}}]},
        },
    }
}
CATALOG: Row = {
    "streams": [
        {
            "name": "events",
            "supported_sync_modes": ["full_refresh", "incremental"],
            "source_defined_primary_key": [["id"]],
            "default_cursor_field": ["at"],
            "json_schema": {
                "properties": {
                    "id": {"type": ["null", "string"]},
                    "at": {"type": ["null", "string"], "format": "date-time"},
                    "page": {"type": ["null", "object"], "properties": {"name": {"type": ["null", "string"]}}},
                }
            },
        }
    ]
}


def _options(spec: Row) -> Row:
    return dict(spec["connectionSpecification"]["properties"])


def _fields(catalog: Row) -> Row:
    fields: Row = catalog["streams"][0]["json_schema"]["properties"]
    return fields


SPEC_BREAKS: dict[str, tuple[Callable[[Row], object], str]] = {
    "an option goes": (lambda s: s["connectionSpecification"]["properties"].pop("days"), "days: the option is gone"),
    "an option becomes required": (lambda s: s["connectionSpecification"]["required"].append("days"), "is required"),
    "a type changes": (lambda s: _options(s)["days"].update(type="string"), "days: was"),
    "a default changes": (lambda s: _options(s)["mode"].update(default="b"), "the default was 'a'"),
    "a value goes": (lambda s: _options(s)["mode"].update(enum=["a"]), "takes fewer values"),
    "a limit narrows": (lambda s: _options(s)["days"].update(maximum=10), "maximum was 30 and is 10"),
    "a pattern comes": (lambda s: _options(s)["key"].update(pattern="^k"), "the pattern is another"),
    "a pattern narrows": (lambda s: _options(s)["day"].update(pattern="^[0-9]{4}-1[0-9]$"), "the pattern is another"),
    "a choice goes": (lambda s: _options(s)["way"].update(oneOf=[]), "the choice kind=x is gone"),
    "an option of a choice goes": (lambda s: _options(s)["way"]["oneOf"][0]["properties"].pop("id"), "is gone"),
    "an option is no longer secret": (lambda s: _options(s)["key"].pop("airbyte_secret"), "secret in one version only"),
}
CATALOG_BREAKS: dict[str, tuple[Callable[[Row], object], str]] = {
    "a stream goes": (lambda c: c["streams"].clear(), "events: the stream is gone"),
    "a stream is renamed": (lambda c: c["streams"][0].update(name="event"), "events: the stream is gone"),
    "a key changes": (lambda c: c["streams"][0].update(source_defined_primary_key=[["at"]]), "primary_key was"),
    "a cursor changes": (lambda c: c["streams"][0].update(default_cursor_field=["id"]), "cursor_field was"),
    "a mode goes": (lambda c: c["streams"][0].update(supported_sync_modes=["full_refresh"]), "mode incremental"),
    "a field goes": (lambda c: _fields(c).pop("at"), "the field at is gone"),
    "a field's type changes": (lambda c: _fields(c)["id"].update(type="integer"), "the field id was"),
    "a field's format changes": (lambda c: _fields(c)["at"].pop("format"), "the field at was"),
    "a nested field goes": (lambda c: _fields(c)["page"]["properties"].clear(), "the field page.name is gone"),
}


#: Fields that a release declared and that no record of it ever had: no table loses a value
ALWAYS_EMPTY = {
    "source-pendo": (
        *(f"{name}: the field hour is gone" for name in ("events", "page_events", "feature_events", "track_events")),
        *(f"{name}: the field parameters is gone" for name in ("events", "feature_events", "track_events")),
    )
}


@pytest.mark.parametrize("change", SPEC_BREAKS)
def test_a_breaking_change_of_a_specification_is_found(change: str) -> None:
    new = copy.deepcopy(SPEC)
    make, expected = SPEC_BREAKS[change]
    make(new)

    assert any(expected in text for text in spec_breaks(SPEC, new)), spec_breaks(SPEC, new)


@pytest.mark.parametrize("change", CATALOG_BREAKS)
def test_a_breaking_change_of_a_catalog_is_found(change: str) -> None:
    new = copy.deepcopy(CATALOG)
    make, expected = CATALOG_BREAKS[change]
    make(new)

    assert any(expected in text for text in catalog_breaks(CATALOG, new)), catalog_breaks(CATALOG, new)


def test_a_field_that_lists_all_types_is_one_that_had_none() -> None:
    old, new = copy.deepcopy(CATALOG), copy.deepcopy(CATALOG)
    _fields(old)["any"] = {}
    _fields(new)["any"] = {"type": ["null", "array", "boolean", "integer", "number", "object", "string"]}

    assert catalog_breaks(old, new) == []


def test_additions_break_nothing() -> None:
    spec, catalog = copy.deepcopy(SPEC), copy.deepcopy(CATALOG)
    spec["connectionSpecification"]["properties"]["more"] = {"type": "string", "pattern": "^m"}
    _options(spec)["mode"]["enum"].append("c")
    _options(spec)["days"].update(maximum=60)
    _options(spec)["day"].update(pattern="^[0-9]{4}-[0-9]{2}(-[0-9]{2})?$")
    _fields(catalog)["more"] = {"type": ["null", "number"]}
    catalog["streams"].append({**catalog["streams"][0], "name": "pages"})

    assert spec_breaks(SPEC, spec) == []
    assert catalog_breaks(CATALOG, catalog) == []


def test_this_version_breaks_nothing_of_the_releases_unless_it_says_so(connector: Connector, runner: Runner) -> None:
    metadata = connector.metadata
    declared = [_number(version) for version in metadata.get("releases", {}).get("breakingChanges", {})]
    for version in _releases(connector):
        if any(_number(version) < breaking <= _number(metadata["dockerImageTag"]) for breaking in declared):
            continue  # the release notes name the break; users migrate
        folder = release_folder(connector, version)
        spec, catalog = (json.loads((folder / f"{name}.json").read_text()) for name in ("spec", "catalog"))

        assert spec_breaks(spec, runner.run("spec").spec) == [], version
        breaks = catalog_breaks(catalog, runner.catalog)
        assert [text for text in breaks if text not in ALWAYS_EMPTY.get(connector.name, ())] == [], version


def test_this_version_is_a_release_that_has_a_snapshot(connector: Connector) -> None:
    version = connector.metadata["dockerImageTag"]

    assert version in _releases(connector), (
        f"write it, then commit it: python integration_tests/snapshots.py release {connector.name}"
    )


def test_the_changelog_has_an_entry_for_this_version(connector: Connector) -> None:
    changelog = (connector.folder / "CHANGELOG.md").read_text(encoding="utf-8")

    assert f"## {connector.metadata['dockerImageTag']}" in changelog.replace("[", "").replace("]", "")


def _releases(connector: Connector) -> list[str]:
    prefix = f"{connector.name}-"
    return [path.name.removeprefix(prefix) for path in sorted(RELEASES.glob(f"{prefix}*"))]


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
