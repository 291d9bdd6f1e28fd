"""The registry: every stream, by family, in the order in which a catalog shows them."""

from __future__ import annotations

from source_customerio.streams.base import CustomerIoStream
from source_customerio.streams.children import (
    BroadcastActions,
    BroadcastTriggers,
    CampaignActions,
    NewsletterTestGroups,
    NewsletterVariants,
    SegmentCustomerCounts,
    SegmentMemberships,
    SegmentUsage,
)
from source_customerio.streams.deliveries import Activities, Messages
from source_customerio.streams.esp import EspSuppressions
from source_customerio.streams.lists import (
    Broadcasts,
    Campaigns,
    Collections,
    Exports,
    IpAddresses,
    Newsletters,
    Optouts,
    ReportingWebhooks,
    Segments,
    SenderIdentities,
    Snippets,
    SubscriptionChannels,
    Topics,
    TransactionalMessages,
    Types,
    Workspaces,
)
from source_customerio.streams.metrics import (
    BroadcastMetrics,
    CampaignJourneyMetrics,
    CampaignLinkMetrics,
    CampaignMetrics,
    NewsletterLinkMetrics,
    NewsletterMetrics,
    TransactionalMetrics,
)
from source_customerio.streams.people import Customers

STREAMS: tuple[type[CustomerIoStream], ...] = (
    # campaigns, broadcasts, newsletters, transactional messages and what is below them
    Campaigns,
    CampaignActions,
    Broadcasts,
    BroadcastActions,
    BroadcastTriggers,
    Newsletters,
    NewsletterVariants,
    NewsletterTestGroups,
    TransactionalMessages,
    # what happened
    Messages,
    Activities,
    # people
    Customers,
    Optouts,
    Segments,
    SegmentMemberships,
    SegmentUsage,
    SegmentCustomerCounts,
    EspSuppressions,
    # metrics
    CampaignMetrics,
    CampaignJourneyMetrics,
    CampaignLinkMetrics,
    BroadcastMetrics,
    NewsletterMetrics,
    NewsletterLinkMetrics,
    TransactionalMetrics,
    # the workspace
    Snippets,
    Collections,
    Topics,
    SubscriptionChannels,
    SenderIdentities,
    Types,
    ReportingWebhooks,
    Exports,
    Workspaces,
    IpAddresses,
)
