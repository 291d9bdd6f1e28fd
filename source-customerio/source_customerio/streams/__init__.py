"""The registry: every stream, by topic, in the order in which a catalog shows them."""

from __future__ import annotations

from source_customerio.config import Config
from source_customerio.streams import (
    actions,
    deliveries,
    esp,
    lists,
    message_metrics,
    metrics,
    objects,
    people,
    segments,
    senders,
    topics,
)
from source_customerio.streams.base import CustomerIoStream
from source_customerio.streams.webhooks import WebhookEvents

STREAMS: tuple[type[CustomerIoStream], ...] = (
    # campaigns, broadcasts, newsletters, transactional messages and what is below them
    lists.Campaigns,
    actions.CampaignActions,
    lists.Broadcasts,
    actions.BroadcastActions,
    actions.BroadcastTriggers,
    lists.Newsletters,
    actions.NewsletterVariants,
    actions.NewsletterTestGroups,
    lists.TransactionalMessages,
    actions.TransactionalVariants,
    # what happened
    deliveries.Messages,
    deliveries.Activities,
    # people
    people.Customers,
    topics.CustomerTopics,
    lists.Optouts,
    lists.Segments,
    segments.SegmentMemberships,
    segments.SegmentUsage,
    segments.SegmentCustomerCounts,
    esp.EspSuppressions,
    objects.Objects,
    objects.ObjectRelationships,
    # metrics
    metrics.CampaignMetrics,
    metrics.CampaignJourneyMetrics,
    metrics.CampaignLinkMetrics,
    message_metrics.CampaignActionMetrics,
    metrics.BroadcastMetrics,
    metrics.BroadcastLinkMetrics,
    metrics.NewsletterMetrics,
    metrics.NewsletterLinkMetrics,
    message_metrics.NewsletterVariantMetrics,
    metrics.TransactionalMetrics,
    metrics.TransactionalLinkMetrics,
    # the workspace
    lists.Snippets,
    lists.Collections,
    lists.Topics,
    lists.SubscriptionChannels,
    lists.SenderIdentities,
    senders.SenderIdentityUsage,
    lists.Types,
    lists.ReportingWebhooks,
    lists.Exports,
    lists.Workspaces,
    lists.IpAddresses,
)


def webhook_streams(config: Config) -> list[WebhookEvents]:
    """The stream of the webhook-inlet, if there is one."""
    return [WebhookEvents(config.webhook_store, config)] if config.webhook_store else []
