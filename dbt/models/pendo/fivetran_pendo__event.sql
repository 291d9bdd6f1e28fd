{{ config(alias='event') }}
{{ pendo_grouped_events('events', 'page_id') }}
