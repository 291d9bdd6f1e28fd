select from_user_id, to_user_id
from ({{ heap_live('user_migrations', 'from_user_id') }}) m
