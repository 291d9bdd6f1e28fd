"""The events that Customer.io's reporting webhooks posted to a webhook-inlet."""

from __future__ import annotations

from source_kit import webhook_events
from source_kit.webhook_events import WebhookStore
from source_kit.webhook_records import Form, document, integer, text

from source_customerio.config import Config

_TEXTS = ("delivery_id", "journey_id", "trigger_event_id", "inbound_event_id", "customer_id")
_INTEGERS = (
    "campaign_id",
    "broadcast_id",
    "newsletter_id",
    "transactional_message_id",
    "action_id",
    "parent_action_id",
    "content_id",
    "trigger_id",
    "link_id",
)


class WebhookEvents(webhook_events.WebhookEvents):
    """One row for each event, seconds after it happened. The ids in `data` are columns, `data` itself stays whole.

    Which ids an event has says what it belongs to: a campaign, an API-triggered broadcast, a newsletter or a
    transactional message (certain: vendor specification).
    """

    vendor = "Customer.io"
    form = Form(
        prefix="customerio",
        ids=("event_id",),
        fields={"event_id": text, "object_type": text, "metric": text, "timestamp": integer, "data": document},
        lifted={
            **{name: (f"data.{name}", text) for name in _TEXTS},
            **{name: (f"data.{name}", integer) for name in _INTEGERS},
            "cio_id": ("data.identifiers.cio_id", text),
        },
    )

    def __init__(self, store: WebhookStore, config: Config) -> None:
        super().__init__(store, config.webhook_columns, "airbyte-source-customerio")
