-- Pendo's webhooks by kind. Written for DuckDB; runs unchanged in PostgreSQL when `properties` is jsonb.
-- Run it in the schema that has `webhook_events` of source-pendo.
-- The fields of the envelope and of guides are in Pendo's own examples. How answers of polls and NPS stand in
-- `properties` is published nowhere, so these views hand on `properties` whole.

-- One row for each event, also where the destination only appends.
create view pendo_webhook_events as
select * from (
    select *, row_number() over (partition by record_id order by received_at desc) as copy from webhook_events
) as copies
where copy = 1;

create view guide_displayed as
select
    record_id, received_at, inlet, unique_id,
    timestamp as event_at,
    visitor_id, account_id, app_id, guide_id, guide_step_id, guide_name,
    properties ->> 'language' as language,
    properties
from pendo_webhook_events
where event = 'guideDisplayed';

create view poll_and_nps_event as
select
    record_id, received_at, inlet, unique_id, event,
    timestamp as event_at,
    visitor_id, account_id, app_id, guide_id, guide_step_id, guide_name,
    event in ('npsDisplayed', 'npsSubmitted') as is_nps,
    event in ('pollSubmitted', 'npsSubmitted') as is_answer,
    properties
from pendo_webhook_events
where event in ('pollDisplayed', 'pollSubmitted', 'npsDisplayed', 'npsSubmitted');
