-- Customer.io's reporting webhooks as one view for each kind of message: the seven tables that Fivetran's users know,
-- `whatsapp_event`, and `other_event` for everything else, so that no event is in none of them.
--
-- Written for DuckDB; runs unchanged in PostgreSQL when `data` is jsonb. Other warehouses: docs/webhooks.md, "SQL views".
-- Run it in the schema that has `webhook_events` of source-customerio, or put the name of the schema before each name.
-- The columns have Customer.io's names. Only the ids of the actual parent are set; the others are null.

-- One row for each event, also where the destination only appends.
create view customerio_webhook_events as
select * from (
    select *, row_number() over (partition by record_id order by received_at desc) as copy from webhook_events
) as copies
where copy = 1;

-- What all messages have in common. The views below choose from it.
create view customerio_message_events as
select
    record_id, received_at, inlet, event_id, object_type, metric,
    to_timestamp(timestamp) as event_at,
    delivery_id, cio_id,
    data -> 'identifiers' ->> 'id' as id,
    data -> 'identifiers' ->> 'email' as email,
    data ->> 'recipient' as recipient,
    campaign_id, broadcast_id, newsletter_id, transactional_message_id,
    action_id, parent_action_id, content_id, trigger_id, trigger_event_id, journey_id, inbound_event_id, link_id,
    data ->> 'href' as href,
    data ->> 'failure_message' as failure_message,
    data ->> 'content' as content,
    data
from customerio_webhook_events;

create view email_event as
select
    record_id, received_at, inlet, event_id, metric, event_at, delivery_id, cio_id, id, email, recipient,
    data ->> 'subject' as subject,
    campaign_id, broadcast_id, newsletter_id, transactional_message_id,
    action_id, parent_action_id, content_id, trigger_id, trigger_event_id, journey_id,
    href, link_id,
    (data ->> 'machine') = 'true' as machine,
    (data ->> 'proxied') = 'true' as proxied,
    (data ->> 'prefetched') = 'true' as prefetched,
    (data ->> 'synthetic') = 'true' as synthetic,
    failure_message, content,
    data -> 'headers' as headers
from customerio_message_events
where object_type = 'email';

-- From `sent` on a push has an array of devices in place of one recipient.
create view push_notification_event as
select
    record_id, received_at, inlet, event_id, metric, event_at, delivery_id, cio_id, id, email,
    data -> 'recipients' as recipients,
    campaign_id, broadcast_id, newsletter_id, transactional_message_id,
    action_id, parent_action_id, content_id, trigger_id, trigger_event_id, journey_id,
    href, link_id, failure_message, content
from customerio_message_events
where object_type = 'push';

-- Also WhatsApp by Twilio. `inbound_event_id` and `replied_to` are set in replies.
create view sms_event as
select
    record_id, received_at, inlet, event_id, metric, event_at, delivery_id, cio_id, id, email, recipient,
    campaign_id, broadcast_id, newsletter_id, transactional_message_id,
    action_id, parent_action_id, content_id, trigger_id, trigger_event_id, journey_id,
    href, link_id,
    inbound_event_id,
    data ->> 'to' as replied_to,
    failure_message, content
from customerio_message_events
where object_type = 'sms';

-- Customer.io's own WhatsApp channel.
create view whatsapp_event as
select
    record_id, received_at, inlet, event_id, metric, event_at, delivery_id, cio_id, id, email, recipient,
    campaign_id, broadcast_id, newsletter_id, transactional_message_id,
    action_id, parent_action_id, content_id, trigger_id, trigger_event_id, journey_id,
    href, link_id,
    inbound_event_id,
    data ->> 'to' as replied_to,
    failure_message, content
from customerio_message_events
where object_type = 'whatsapp';

create view in_app_message_event as
select
    record_id, received_at, inlet, event_id, metric, event_at, delivery_id, cio_id, id, email, recipient,
    campaign_id, broadcast_id, newsletter_id, transactional_message_id,
    action_id, parent_action_id, content_id, trigger_id, trigger_event_id, journey_id,
    href, link_id,
    data ->> 'tracked_response' as tracked_response,
    failure_message, content
from customerio_message_events
where object_type = 'in_app';

create view slack_event as
select
    record_id, received_at, inlet, event_id, metric, event_at, delivery_id, cio_id, id, email, recipient,
    campaign_id, broadcast_id, newsletter_id, transactional_message_id,
    action_id, parent_action_id, content_id, trigger_id, trigger_event_id, journey_id,
    href, link_id, failure_message, content
from customerio_message_events
where object_type = 'slack';

-- Webhooks that Customer.io sends as messages of a campaign; not to be confused with the table `webhook_events`.
create view webhook_event as
select
    record_id, received_at, inlet, event_id, metric, event_at, delivery_id, cio_id, id, email, recipient,
    campaign_id, broadcast_id, newsletter_id, transactional_message_id,
    action_id, parent_action_id, content_id, trigger_id, trigger_event_id, journey_id,
    href, link_id, failure_message, content
from customerio_message_events
where object_type = 'webhook';

-- Changes of a person's subscription. `content` is JSON text: all preferences of the person.
create view customer_event as
select
    record_id, received_at, inlet, event_id, metric, event_at, cio_id, id, email,
    data ->> 'email_address' as email_address,
    data ->> 'object_type_type' as channel,
    content
from customerio_message_events
where object_type = 'customer';

-- Kinds that Customer.io adds later, and bodies that are no JSON object (`raw`).
create view other_event as
select *
from customerio_webhook_events
where object_type is null
   or object_type not in ('email', 'push', 'sms', 'whatsapp', 'in_app', 'slack', 'webhook', 'customer');
