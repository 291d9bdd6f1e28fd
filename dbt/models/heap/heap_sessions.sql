{{ heap_resolved('sessions', 'session_id') }}
