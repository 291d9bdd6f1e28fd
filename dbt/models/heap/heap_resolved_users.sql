select
    coalesce(m.to_user_id, u.user_id) as user_id,
    {{ utc('min(u.joindate)') }} as joindate,
    {{ utc('max(u.last_modified)') }} as last_modified,
    max(u.{{ quoted('identity') }}) as {{ quoted('identity') }},
    max(u.email) as email,
    {%- for name in var('heap_user_properties') %}
    max(u.{{ name }}) as {{ name }},
    {%- endfor %}
    count(*) as user_ids
from ({{ heap_live('users', 'user_id') }}) u
left join {{ ref('heap_user_map') }} m on m.from_user_id = u.user_id
group by coalesce(m.to_user_id, u.user_id)
