"""What campaigns, broadcasts, newsletters and templates consist of: actions, triggers, variants and test groups."""

from __future__ import annotations

import json
from dataclasses import replace

from source_kit.stream import Record

from source_customerio.streams.base import integer_or_same
from source_customerio.streams.children import ChangingChildren, Children
from source_customerio.streams.lists import Broadcasts, Campaigns, Newsletters, TransactionalMessages


def with_headers_as_text(row: Record) -> Record:
    """`headers` is JSON text on reads; where it comes as an array, as webhook actions have it, it becomes that text."""
    headers = row.get("headers")
    if headers is not None and not isinstance(headers, str):
        row["headers"] = json.dumps(headers, ensure_ascii=False, separators=(",", ":"))
    return row


class CampaignActions(ChangingChildren):
    """Messages and other steps of campaigns, 10 a page. The id is a text, `campaigns.actions[].id` the same number."""

    parent = Campaigns
    id_in_children = "action_id"
    endpoint = "campaigns/{}/actions"
    envelope = "actions"
    docs = replace(
        ChangingChildren.docs,
        requests="for each campaign 1 for each 10 actions, at least 1; and the shared list of campaigns",
    )
    transform = staticmethod(with_headers_as_text)


class BroadcastActions(ChangingChildren):
    """Messages of broadcasts, one row for each language. Paging is not documented; a `next` would be followed.

    The id is a number by the vendor's specification; no recorded answer shows it.
    """

    parent = Broadcasts
    endpoint = "broadcasts/{}/actions"
    envelope = "actions"
    docs = replace(ChangingChildren.docs, requests="1 for each broadcast, and the shared list of broadcasts")
    transform = staticmethod(with_headers_as_text)


class BroadcastTriggers(Children):
    """Every time that a broadcast was triggered. The id counts from 1 in each broadcast."""

    parent = Broadcasts
    endpoint = "broadcasts/{}/triggers"
    envelope = "triggers"
    docs = replace(Children.docs, requests="1 for each broadcast, and the shared list of broadcasts")


class NewsletterVariants(Children):
    """Contents of newsletters: one row for each language and A/B variant.

    Full refresh: `updated` of a variant does not move when the sender or layout that it uses changes.
    """

    parent = Newsletters
    id_in_children = "content_id"
    endpoint = "newsletters/{}/contents"
    envelope = "contents"
    docs = replace(Children.docs, requests="1 for each newsletter, and the shared list of newsletters")
    transform = staticmethod(with_headers_as_text)


class NewsletterTestGroups(Children):
    """A/B test groups of newsletters. The id counts from 0 in each newsletter."""

    parent = Newsletters
    endpoint = "newsletters/{}/test_groups"
    envelope = "test_groups"
    docs = replace(Children.docs, requests="1 for each newsletter, and the shared list of newsletters")

    def transform(self, row: Record) -> Record:
        """`content_ids` are numbers: the vendor's specification declares texts and shows numbers."""
        if isinstance(row.get("content_ids"), list):
            row["content_ids"] = [integer_or_same(value) for value in row["content_ids"]]
        return row


class TransactionalVariants(ChangingChildren):
    """Subjects and bodies of transactional messages, one row for each language, of which the default one is empty.

    Paths and shapes are documented, and were never seen live.
    """

    parent = TransactionalMessages
    endpoint = "transactional/{}/contents"
    envelope = "contents"
    documented_only = True
    docs = replace(
        ChangingChildren.docs,
        requests="1 for each transactional message, and the shared list of transactional messages",
    )
    transform = staticmethod(with_headers_as_text)
