{{ config(alias='poll_event') }}
{{ pendo_single_events('poll_events', ['poll_id', 'poll_response']) }}
