"""What the data dictionaries know of the vendors: where rows come from, and names that are not the column's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from data_dictionary import Vendor
from source_kit.convert import snake_case

#: Facts of a class that name where the rows are
_PENDO_FACTS = {"source": "aggregation source `{}`", "path_name": "`GET /api/v1/{}`"}


def _pendo_origin(stream: Any) -> str | None:
    """The aggregation source or the address that the class names."""
    if hasattr(stream, "source_stage"):
        return f"aggregation source `{next(iter(stream.source_stage()['source']))}`"
    for fact, text in _PENDO_FACTS.items():
        value = getattr(stream, fact, None)
        if isinstance(value, str):
            return text.format(value)
    return None


def _camel_case(path: str) -> str | None:
    """Pendo's name: camel case, and a dot behind `metadata` and the name of a group, whose names are Pendo's own."""
    if path.startswith("metadata_"):
        return path.replace("_", ".", 1)
    parts = [re.sub(r"_(\w)", lambda letter: letter[1].upper(), part) for part in path.split(".")]
    return ".".join(parts) if [snake_case(part) for part in parts] == path.split(".") else None


_PENDO_METADATA = {
    "group": "a key of the answer",
    "field": "a key of its group",
    "type": "`Type`",
    "display_name": "`DisplayName`",
    "element_type": "`ElementType`",
    "element_format": "`ElementFormat`",
    "dirty": "`Dirty`",
}

PENDO = Vendor(
    name="Pendo",
    account="subscription",
    in_pages_only="documented",
    origins={
        "visitor_history": "`GET /api/v1/visitor/{id}/history`",
        "metadata_accounts": "`GET /api/v1/metadata/schema/account`",
        "metadata_visitors": "`GET /api/v1/metadata/schema/visitor`",
        "bulk_deletions": "`GET /api/v1/bulkdelete`",
        "poll_responses": "aggregation sources `pollsSeenEver` and `pollsSeen`",
        "guides_seen": "aggregation sources `guidesSeenEver` and `guidesSeen`",
        "guide_versions": "`GET /api/v1/guide/{id}/history`",
        "report_results": "`GET /api/v1/report/{id}/results.json`",
        "segment_memberships": "aggregation source `visitors`, with the stage `segment`",
        "webhook_events": "bodies of Pendo's webhooks",
    },
    origin=_pendo_origin,
    names={
        "metadata_accounts": _PENDO_METADATA,
        "metadata_visitors": _PENDO_METADATA,
        "apps": {"id": "`id` or `appId`"},
        "poll_responses": {
            "poll_type": "`polls[].attributes.type` of the guide",
            "response": "`pollResponse` or `response`",
            "nps_score": "`pollResponse` or `response`, of the score",
            "nps_comment": "the same, of the poll that the guide names in `attributes.followUp`",
        },
        "guide_versions": {
            "guide_id": "`id` of the guide",
            "version_id": "`id` or `lastUpdatedAt`",
            "last_updated_at": "`lastUpdatedAt` of the guide",
            "version_last_updated_at": "`lastUpdatedAt`",
        },
        "report_results": {"report_id": "`id` of the report", "values": "the row"},
        "segment_memberships": {"segment_id": "`id` of the segment", "account_id": "`metadata.auto.accountids`"},
    },
    column_name=_camel_case,
)


def _customerio_origin(stream: Any) -> str | None:
    """The address, with the columns of the key that are in it, and the member of the answer that holds the rows."""
    endpoint = getattr(stream, "endpoint", None)
    if endpoint is None:
        return None
    path = endpoint.format(*(f"{{{column}}}" for column in stream.key))
    envelope = getattr(stream, "envelope", None)
    return f"`GET /v1/{path}`" + (f", the rows of `{envelope}`" if envelope else "")


def _series_of(member: str, **ids: str) -> Mapping[str, str]:
    """Names of a table of metrics: the arrays at `member`, and ids that are in the address."""
    return {
        "metrics": f"a place in the arrays of `{member}`",
        **{name: f"`id` of the {of}" for name, of in ids.items()},
    }


def _links_of(**ids: str) -> Mapping[str, str]:
    """Names of a table of clicks by link."""
    return {**_series_of("metric.series", **ids), "link_id": "`link.id`", "href": "`link.href`"}


_PERSON = {name: f"`identifiers.{name}`" for name in ("cio_id", "id", "email")}
_OBJECT = {name: f"`identifiers.{name}`" for name in ("object_id", "cio_object_id")}
_USED_BY = {name: f"`used_by.{name}`" for name in ("campaigns", "sent_newsletters", "draft_newsletters")}

CUSTOMERIO = Vendor(
    name="Customer.io",
    account="workspace",
    in_pages_only="specified",
    origins={
        "customers": "`POST /v1/customers` finds people, `POST /v1/customers/attributes` has the rows, in `customers`",
        "customer_topics": "two attributes of `customers`, by the same requests",
        "objects": "`POST /v1/objects` finds them, `GET /v1/objects/{type}/{object}/attributes` has each, in `object`",
        "object_relationships": "`GET /v1/objects/{type}/{object}/relationships`, the rows of `cio_relationships`",
        "ip_addresses": "`GET /v1/info/ip_addresses`, the texts in `ip_addresses`",
        "webhook_events": "bodies of Customer.io's reporting webhooks",
    },
    origin=_customerio_origin,
    names={
        "customers": {"cio_id": "`identifiers.cio_id`, else `attributes.cio_id`"},
        "customer_topics": {
            "cio_id": "`identifiers.cio_id`, else `attributes.cio_id`",
            "topic_id": "the number in `topic_<id>`",
            "identifier": "a key of `topics` in the texts below",
            "subscribed_set": "`attributes.cio_subscription_preferences`, a JSON text",
            "subscribed": "`attributes._cio_subscription_preferences_computed`, a JSON text",
            "changed_at": "`timestamps.cio_subscription_preferences`",
        },
        "objects": _OBJECT,
        "object_relationships": _PERSON | {"cio_object_id": "`identifiers.cio_object_id` of the object"},
        "newsletter_test_groups": {"newsletter_id": "`id` of the newsletter"},
        "segment_usage": _USED_BY,
        "sender_identity_usage": {"sender_identity_id": "`id` of the sender"},
        "transactional_variants": {"transactional_id": "`id` of the transactional message"},
        "ip_addresses": {"ip_address": "a text in `ip_addresses`"},
        "esp_suppressions": {
            "suppression_type": "the last part of the address",
            "domain": "the parameter `domain`",
        },
        "campaign_metrics": _series_of("metric.series", campaign_id="campaign"),
        "campaign_journey_metrics": _series_of("journey_metric", campaign_id="campaign"),
        "campaign_action_metrics": _series_of("metric.series", campaign_id="campaign", action_id="action")
        | {"language_action_id": "a key of `language_variants`"},
        "broadcast_metrics": _series_of("metric.series", broadcast_id="broadcast"),
        "newsletter_metrics": _series_of("metric.series", newsletter_id="newsletter"),
        "newsletter_variant_metrics": _series_of("metric.series", newsletter_id="newsletter", content_id="variant"),
        "transactional_metrics": _series_of("metric.series", transactional_id="transactional message"),
        "campaign_link_metrics": _links_of(campaign_id="campaign"),
        "broadcast_link_metrics": _links_of(broadcast_id="broadcast"),
        "newsletter_link_metrics": _links_of(newsletter_id="newsletter"),
        "transactional_link_metrics": _links_of(transactional_id="transactional message"),
    },
    column_name=lambda path: path,
)
