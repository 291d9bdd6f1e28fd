"""The streams of Pendo, by family of its API. To add one: a class here, a schema file of its name, a line below."""

from __future__ import annotations

from typing import Final

from source_pendo.config import Config
from source_pendo.streams.base import PendoStream
from source_pendo.streams.entities import Accounts, Visitors
from source_pendo.streams.grouped_events import Events, FeatureEvents, PageEvents, TrackEvents
from source_pendo.streams.guide_events import GuideEvents, PollEvents
from source_pendo.streams.lists import Features, Guides, Pages, Reports, Segments, TrackTypes
from source_pendo.streams.metadata import MetadataAccounts, MetadataVisitors
from source_pendo.streams.objects import (
    Apps,
    BulkDeletions,
    DoNotProcessAccounts,
    DoNotProcessVisitors,
    FeedbackItems,
    FeedbackVotes,
    GuideCategories,
    ProductAreas,
)
from source_pendo.streams.visitor_history import VisitorHistory
from source_pendo.streams.webhooks import WebhookEvents

STREAMS: Final[tuple[type[PendoStream], ...]] = (
    Accounts,
    Visitors,
    VisitorHistory,
    Pages,
    Features,
    Guides,
    TrackTypes,
    Reports,
    Segments,
    MetadataAccounts,
    MetadataVisitors,
    Events,
    PageEvents,
    FeatureEvents,
    TrackEvents,
    GuideEvents,
    PollEvents,
    Apps,
    ProductAreas,
    GuideCategories,
    BulkDeletions,
    DoNotProcessVisitors,
    DoNotProcessAccounts,
    FeedbackItems,
    FeedbackVotes,
)


def webhook_streams(config: Config) -> list[WebhookEvents]:
    """The stream of the webhook-inlet, if there is one."""
    return [WebhookEvents(config.webhook_store, config)] if config.webhook_store else []
