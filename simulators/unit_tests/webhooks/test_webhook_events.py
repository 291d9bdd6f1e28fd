"""What the events are about, and that all that the vendors document comes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from random import Random

import orjson
from simulators.customerio import CustomerioSimulator
from simulators.pendo import PendoSimulator
from simulators.webhooks.customerio_events import TABLE, TEST_EVENT_ID, CustomerioEvents, test_event
from simulators.webhooks.events import Event, encoded, in_arrays
from simulators.webhooks.malformed import BODIES
from simulators.webhooks.pendo_events import CATEGORIES, PendoEvents


def test_every_metric_of_customerio_comes(customerio_events: Iterator[Event]) -> None:
    documents = [orjson.loads(event.body) for event in islice(customerio_events, len(TABLE))]
    assert len(TABLE) == 69
    assert {(row["object_type"], row["metric"]) for row in documents} == set(TABLE)
    assert all(set(row) == {"event_id", "object_type", "metric", "timestamp", "data"} for row in documents)
    assert len({row["event_id"] for row in documents}) == len(TABLE)


def test_every_field_of_customerio_comes(workspace_simulator: CustomerioSimulator) -> None:
    events = CustomerioEvents(workspace_simulator.workspace, with_content=True)
    names = {name for event in islice(events, 1500) for name in event.document["data"]}
    assert names == {
        *("identifiers", "customer_id", "email_address", "content", "object_type_type", "delivery_id"),
        *("broadcast_id", "trigger_id", "action_id", "journey_id", "parent_action_id", "campaign_id"),
        *("trigger_event_id", "newsletter_id", "content_id", "transactional_message_id", "subject", "recipient"),
        *("headers", "proxied", "prefetched", "synthetic", "href", "link_id", "machine", "tracked_response"),
        *("failure_message", "recipients", "inbound_event_id", "to"),
    }


def test_deliveries_and_campaigns_are_those_of_the_api(workspace_simulator: CustomerioSimulator) -> None:
    messages = workspace_simulator.truth("messages")
    deliveries = {row["id"] for row in messages}
    campaigns = {row["id"] for row in workspace_simulator.truth("campaigns")}
    rows = [event.document["data"] for event in islice(CustomerioEvents(workspace_simulator.workspace), 500)]
    assert {row["delivery_id"] for row in rows if "delivery_id" in row} <= deliveries
    assert {row["campaign_id"] for row in rows if "campaign_id" in row} <= campaigns
    assert any("campaign_id" in row for row in rows)


def test_odd_events_of_every_kind_come(workspace_simulator: CustomerioSimulator) -> None:
    events = list(islice(CustomerioEvents(workspace_simulator.workspace, odd=1.0), 40))
    assert {event.kind for event in events} == {
        *("unknown object_type", "no event_id", "content of 2 MiB", "test", "null ids")
    }
    assert max(len(event.body) for event in events) > 2 * 1024 * 1024
    assert any(event.ids == (None,) for event in events)


def test_the_test_event_has_always_the_same_id() -> None:
    assert test_event().body == test_event().body
    assert orjson.loads(test_event().body)["event_id"] == TEST_EVENT_ID


def test_every_category_of_pendo_comes_with_its_envelope(pendo_events: Iterator[Event]) -> None:
    documents = [orjson.loads(event.body) for event in islice(pendo_events, 200)]
    assert {row["event"] for row in documents} == set(CATEGORIES)
    assert all(len(row["uniqueId"]) == 40 and int(row["uniqueId"], 16) for row in documents)
    assert len({row["uniqueId"] for row in documents}) == 200
    assert any("accountId" not in row for row in documents)
    guide = next(row["properties"] for row in documents if row["event"] == "guideDisplayed")
    assert {"id", "name", "steps", "createdByUser"} <= set(guide["guideProperties"])


def test_guides_visitors_pages_and_features_are_those_of_the_api(subscription_simulator: PendoSimulator) -> None:
    known = {
        kind: {row["id"] for row in subscription_simulator.truth(kind)} for kind in ("guides", "pages", "features")
    }
    visitors = {row["visitorId"] for row in subscription_simulator.truth("visitors", anonymous="true")}
    documents = [event.document for event in islice(PendoEvents(subscription_simulator.subscription), 300)]
    assert {row["visitorId"] for row in documents} <= visitors
    for column, kind in (("guideId", "guides"), ("pageId", "pages"), ("featureId", "features")):
        found = {row["properties"][column] for row in documents if column in row["properties"]}
        assert found
        assert found <= known[kind]


def test_the_firehose_is_mostly_page_loads(subscription_simulator: PendoSimulator) -> None:
    events = PendoEvents(subscription_simulator.subscription, firehose=True)
    names = [event.kind for event in islice(events, 400)]
    assert names.count("pageLoaded") > 360
    assert len(set(names)) == len(CATEGORIES)


def test_arrays_hold_several_events_and_all_their_ids(pendo_events: Iterator[Event]) -> None:
    events = list(islice(in_arrays(pendo_events, 0.5, Random(1)), 60))
    arrays = [event for event in events if event.kind == "array"]
    assert 20 < len(arrays) < 40
    for event in arrays:
        ids = [f"{row['event']}:{row['uniqueId']}" for row in orjson.loads(event.body)]
        assert list(event.ids) == ids
        assert 2 <= len(ids) <= 5


def test_the_same_document_is_written_in_many_ways() -> None:
    document = {"b": [1, {"y": "ü", "x": None}], "a": "☃", "c": 2**60}
    rng = Random(1)
    bodies = {encoded(document, rng) for _ in range(200)}
    assert len(bodies) > 20
    assert {orjson.dumps(orjson.loads(body), option=orjson.OPT_SORT_KEYS) for body in bodies} == {
        orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    }
    assert any(b"\n" in body for body in bodies)


def test_the_same_seed_gives_the_same_events_but_for_time_and_ids(subscription_simulator: PendoSimulator) -> None:
    one, two = (islice(PendoEvents(subscription_simulator.subscription, seed=7), 30) for _ in range(2))
    for left, right in zip(one, two, strict=True):
        assert left.document | {"timestamp": 0} == right.document | {"timestamp": 0}


def test_no_two_malformed_bodies_are_equal() -> None:
    assert len(set(BODIES.values())) == len(BODIES) > 35
