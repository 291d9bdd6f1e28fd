{{ config(alias='page_history') }}
select
    {{ pendo_definition('pages', 'p') }},
    p.color,
    p.dirty,
    {{ json_text('p.' ~ quoted('group'), ['id']) }} as group_id,
    {{ utc('p.valid_through') }} as valid_through
from ({{ newest('pendo', 'pages', 'id') }}) p
