"""Metrics of single messages: of the actions of campaigns, and of the variants of newsletters.

Paths and shapes are documented, and were never seen live.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from source_kit.stream import Record

from source_customerio.series import Resolution, from_start
from source_customerio.streams.actions import CampaignActions, NewsletterVariants
from source_customerio.streams.metrics import ApproximateMetrics, DatedMetrics
from source_customerio.streams.parents import Parent


class CampaignActionMetrics(DatedMetrics):
    """Deliveries of each message of campaigns and what became of them, by version 2 of the vendor's metrics.

    `language_action_id` is an empty text in rows of the action itself. The branch of a message in several languages has
    further rows, with the id of the action of each language. These languages are actions too, with rows of their own,
    so sums are taken over rows with an empty text. Whether the branch's own numbers include the other languages is not
    documented. Action ids are texts, as in `campaign_actions` (certain: recorded answers).
    """

    parent = CampaignActions
    own_key = ("language_action_id", "resolution", "period_start")
    endpoint = "campaigns/{}/actions/{}/metrics"
    documented_only = True
    docs = replace(
        DatedMetrics.docs,
        requests="1 for each action, and the shared lists of campaigns and of the actions of each (1 for each 10)",
    )

    def rows_since(self, start: datetime, parent: Parent, document: Mapping[str, Any]) -> Iterator[list[Record]]:
        """The action itself, then the languages of a branch."""
        languages = document.get("language_variants") or {}
        if not isinstance(languages, dict) or "" in languages:
            self.client.misshapen("'language_variants' is no object, or one has no id")
        for language, metric in {"": document.get("metric"), **languages}.items():
            periods = from_start(self.series_of({"metric": metric}), start, Resolution.DAYS)
            yield self.records(parent, Resolution.DAYS, periods, language_action_id=language)


class NewsletterVariantMetrics(ApproximateMetrics):
    """Deliveries of each content of newsletters (a language or A/B variant) and what became of them."""

    parent = NewsletterVariants
    endpoint = "newsletters/{}/contents/{}/metrics"
    documented_only = True
    docs = replace(
        ApproximateMetrics.docs,
        requests="2 for each variant, and the shared lists of newsletters and of the variants of each (1 each)",
    )
