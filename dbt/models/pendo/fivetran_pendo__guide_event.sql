{{ config(alias='guide_event') }}
{{ pendo_single_events('guide_events') }}
