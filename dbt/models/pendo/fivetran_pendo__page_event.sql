{{ config(alias='page_event') }}
{{ pendo_grouped_events('page_events', 'page_id') }}
