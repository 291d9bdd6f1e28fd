{{ config(alias='feature_event') }}
{{ pendo_grouped_events('feature_events', 'feature_id') }}
