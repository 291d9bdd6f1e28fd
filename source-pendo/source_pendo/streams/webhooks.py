"""The events that Pendo's webhooks posted to a webhook-inlet."""

from __future__ import annotations

from source_kit import webhook_events
from source_kit.convert import snake_case
from source_kit.webhook_events import WebhookStore
from source_kit.webhook_records import Form, document, instant_of_seconds, integer, text

from source_pendo.config import Config


class WebhookEvents(webhook_events.WebhookEvents):
    """One row for each event, seconds after it happened.

    The time of an event is in seconds, the times within `properties` are in milliseconds (certain: Pendo's example
    bodies). Whether Pendo posts an event again, and posts several in one body, is not documented: both are taken.
    """

    vendor = "Pendo"
    form = Form(
        prefix="pendo",
        ids=("event", "uniqueId"),
        fields={
            "event": text,
            "unique_id": text,
            "timestamp": instant_of_seconds,
            "visitor_id": text,
            "account_id": text,
            "user_agent": text,
            "app": document,
            "subscription": document,
            "properties": document,
        },
        lifted={
            "app_id": ("app.id", integer),
            "guide_id": ("properties.guideId", text),
            "guide_step_id": ("properties.guideStepId", text),
            "guide_name": ("properties.guideProperties.name", text),
        },
        rename=snake_case,
    )

    def __init__(self, store: WebhookStore, config: Config) -> None:
        super().__init__(store, config.webhook_columns, "airbyte-source-pendo")
