{{ config(alias='feature_history') }}
select
    {{ pendo_definition('features', 'f') }},
    f.page_id,
    f.color,
    f.dirty,
    f.is_core_event,
    {{ json_text('f.' ~ quoted('group'), ['id']) }} as group_id,
    {{ utc('f.valid_through') }} as valid_through
from ({{ newest('pendo', 'features', 'id') }}) f
