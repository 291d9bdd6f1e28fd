"""guide_versions: all versions of each guide that changed, each under a key of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from pendo_reader import Row, Subscription, cut_in_the_middle, instant
from simulators.faults import Fault
from test_kit.messages import Output

NAME = "guide_versions"
AT = 1_773_000_000_000
DAY = 86_400_000


def keys(out: Output) -> list[tuple[str, str]]:
    """The primary keys of the records."""
    return [(row["guide_id"], row["version_id"]) for row in out.records[NAME]]


def answer(pendo: Subscription, path: str, rows: Any, status: int = 200, times: int = -1) -> None:
    """Let an endpoint answer this."""
    text = orjson.dumps(rows).decode()
    pendo.sim.faults.add(Fault("status", path=f"{path}($|[?])", status=status, answer=text, times=times))


def guide(name: str, days: int = 0) -> Row:
    """A guide that changed some days before the newest one."""
    return {"id": name, "name": name, "lastUpdatedAt": AT - days * DAY}


def version(own_id: Any, at: int | None, **more: Any) -> Row:
    """A version of a guide."""
    return {"id": own_id, "lastUpdatedAt": at, **more}


@pytest.mark.parametrize("own_ids", ["", "id", "stableVersionId"])
def test_every_version_is_emitted_once_under_a_key_of_its_own(pendo: Subscription, own_ids: str) -> None:
    """Also two of one edit, which have the same time, and whether or not versions have ids of their own."""
    pendo.sim.mutate("switch", own_version_ids=own_ids)
    truth = pendo.truth(NAME)
    out = pendo.read(NAME)
    assert len(out.records[NAME]) == len(truth)
    assert len(set(keys(out))) == len(truth)
    if own_ids == "id":
        assert sorted(keys(out)) == sorted((row["guideId"], row["id"]) for row in truth)
    else:
        assert {key.partition("-")[0] for _, key in keys(out)} == {str(row["lastUpdatedAt"]) for row in truth}
    newest = max(row["lastUpdatedAt"] for row in pendo.truth("guides"))
    assert out.state(NAME) == {"last_updated_at": instant(newest), "version": 1}


@pytest.mark.slow
def test_a_sync_asks_for_the_list_and_each_guide_that_changed_and_earlier_keys_stay(pendo: Subscription) -> None:
    """Guides that changed in the hour before the state are read again."""
    first = pendo.read(NAME)
    pendo.sim.mutate("advance", days=1)
    touched = pendo.sim.mutate("touch_definition", kind="guides")
    asked = len(list(pendo.sim.requests))
    second = pendo.read(NAME, state={NAME: first.state(NAME)})
    newest = first.state(NAME)["last_updated_at"]
    changed = {row["id"] for row in pendo.truth("guides") if instant(row["lastUpdatedAt"] + 3_600_000) >= newest}
    assert touched["id"] in changed
    assert len(list(pendo.sim.requests)) - asked == 1 + len(changed)
    assert {guide_id for guide_id, _ in keys(second)} == changed
    mine = {key for key in keys(first) if key[0] == touched["id"]}
    assert mine < {key for key in keys(second) if key[0] == touched["id"]}
    assert second.state(NAME)["last_updated_at"] == instant(touched["lastUpdatedAt"])


def test_the_cursor_is_the_guides_time_and_the_version_keeps_its_own(pendo: Subscription) -> None:
    answer(pendo, "/guide", [guide("g")])
    rows = [version("g", AT, name="new", steps=[{"pageId": "p"}]), version("g", AT - DAY, name="old", resetAt=0)]
    answer(pendo, "/guide/g/history", rows)
    new, old = pendo.read(NAME).records[NAME]
    assert (new["last_updated_at"], old["last_updated_at"]) == (instant(AT), instant(AT))
    assert (new["version_last_updated_at"], old["version_last_updated_at"]) == (instant(AT), instant(AT - DAY))
    assert (new["version_id"], old["version_id"]) == (str(AT), str(AT - DAY))
    assert (new["name"], new["steps"], old["reset_at"]) == ("new", [{"page_id": "p"}], None)


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ([("v3", 3), ("v2", 2), ("v1", 1)], ["v3", "v2", "v1"]),
        ([("g", 3)], ["3"]),
        ([("g", 3), ("g", 3), ("g", 3), ("g", 1)], ["3-3", "3-2", "3", "1"]),
        ([(None, None), ("v2", 2), (None, None)], ["0-2", "v2", "0"]),
        ([("v1", 3), ("v1", 2), ("v0", 1)], ["3", "v1", "v0"]),
        ([("3", 4), (None, 3), (7, 3)], ["4", "3-2", "3"]),
    ],
)
def test_no_two_versions_have_one_key(
    pendo: Subscription, versions: Sequence[tuple[Any, int | None]], expected: list[str]
) -> None:
    """A further version, whatever its id and time, changes no key of an earlier sync. Newest first."""
    for known in range(1, len(versions) + 1):
        pendo.sim.faults.clear()
        answer(pendo, "/guide", [guide("g")])
        answer(pendo, "/guide/g/history", [version(own_id, at) for own_id, at in versions[-known:]])
        assert [key for _, key in keys(pendo.read(NAME))] == expected[-known:]


def test_a_guide_that_fails_costs_that_guide_and_the_state_stays_before_it(pendo: Subscription) -> None:
    """The others are read; the next sync reads it and the later ones again."""
    answer(pendo, "/guide", [guide("c"), guide("a", days=9), guide("b", days=5)])
    answer(pendo, "/guide/b/history", {}, status=422, times=1)
    for name in "abc":
        answer(pendo, f"/guide/{name}/history", [version(name, AT)])
    out = pendo.read(NAME)
    assert sorted(keys(out)) == [("a", str(AT)), ("c", str(AT))]
    assert "1 of the 3 parts of guide_versions could not be read: guide b." in out.failures[NAME].message
    assert out.statuses[NAME][-1] == "INCOMPLETE"
    assert out.state(NAME)["last_updated_at"] == instant(AT - 9 * DAY)
    again = pendo.read(NAME, state={NAME: out.state(NAME)})
    assert {name for name, _ in keys(again)} == {"a", "b", "c"}
    assert again.failures == {}


def test_a_guide_that_answers_404_has_no_versions(pendo: Subscription) -> None:
    """And does not hold the state back, even if it is the only one that changed."""
    answer(pendo, "/guide", [guide("old", days=9), guide("gone")])
    answer(pendo, "/guide/old/history", [version("old", AT)])
    answer(pendo, "/guide/gone/history", {}, status=404)
    state = {"last_updated_at": instant(AT - DAY), "version": 1}
    out = pendo.read(NAME, state={NAME: state})
    assert out.failures == {}
    assert keys(out) == []
    assert out.state(NAME)["last_updated_at"] == instant(AT)


@pytest.mark.slow
@pytest.mark.parametrize("status", [403, 404])
def test_an_endpoint_that_refuses_every_guide_is_no_empty_stream(pendo: Subscription, status: int) -> None:
    """The stream fails alone, its state stays, and the catalog goes without it."""
    pendo.sim.mutate("forbid", kinds=["guideHistory"], status=status)
    out = pendo.read(NAME, "pages")
    expected = "refuses this stream" if status == 403 else "no versions of any guide"
    assert expected in out.failures[NAME].message
    assert out.states[NAME] == []
    assert out.statuses["pages"][-1] == "COMPLETE"
    succeeded, sentence = pendo.check()
    assert succeeded
    assert NAME in sentence
    assert NAME not in [stream.name for stream in pendo.discover().streams]


@pytest.mark.slow
def test_a_subscription_without_guides_has_no_versions(pendo: Subscription) -> None:
    answer(pendo, "/guide", [])
    assert NAME in [stream.name for stream in pendo.discover().streams]
    assert pendo.read(NAME).statuses[NAME] == ["STARTED", "COMPLETE"]


@pytest.mark.slow
def test_a_history_that_breaks_in_the_middle_is_read_again_and_each_version_comes_once(pendo: Subscription) -> None:
    """More versions than memory holds go through a file."""
    rows = [version("g", AT - number, text="x" * 10_000, appIds=[]) for number in range(800)]
    answer(pendo, "/guide", [guide("g")])
    for text in (cut_in_the_middle(rows), orjson.dumps(rows).decode()):
        pendo.sim.faults.add(Fault("status", path="/guide/g/history", status=200, answer=text))
    out = pendo.read(NAME)
    assert out.logged("broke in the middle")
    assert [key for _, key in keys(out)] == [str(row["lastUpdatedAt"]) for row in rows]


def test_the_option_app_ids_restricts_versions_to_the_guides_of_these_applications(pendo: Subscription) -> None:
    out = pendo.read(NAME, app_ids=["-323232"])
    assert {name for name, _ in keys(out)} == {row["id"] for row in pendo.truth("guides", apps="-323232")}


def test_a_guide_without_a_time_of_change_is_read_at_every_sync(pendo: Subscription) -> None:
    answer(pendo, "/guide", [{"id": "g"}, guide("old", days=9)])
    answer(pendo, "/guide/g/history", [version("g", AT)])
    state = {"last_updated_at": instant(AT), "version": 1}
    out = pendo.read(NAME, state={NAME: state})
    assert keys(out) == [("g", str(AT))]
    assert out.state(NAME) == state


@pytest.mark.slow
def test_a_version_has_every_column_of_a_guide(pendo: Subscription) -> None:
    """A column that is added to guides must come here, too."""
    ours, guides = pendo.schema(NAME)["properties"], pendo.schema("guides")["properties"]
    types = {name: column.get("type") for name, column in ours.items()}
    assert {name: column.get("type") for name, column in guides.items()}.items() <= types.items()
