{{ config(alias=var('pendo_group_identifier', 'group')) }}
-- Product areas as pages, features, guides and track types name them; of several copies the one that changed last.
select
    id, name, cast(app_id as {{ dbt.type_string() }}) as app_id, color, description, length, created_at,
    created_by_user_id, last_updated_at, last_updated_by_user_id, _fivetran_synced
from (
    select named.*, row_number() over (partition by id order by last_updated_at desc, named_at desc, app_id) as _nth
    from (
        {%- for table in ['pages', 'features', 'guides', 'track_types'] %}
        select
            {%- for name in ['id', 'name', 'color', 'description'] %}
            {{ json_text('t.' ~ quoted('group'), [name]) }} as {{ name }},
            {%- endfor %}
            t.app_id,
            cast({{ json_text('t.' ~ quoted('group'), ['length']) }} as {{ dbt.type_int() }}) as length,
            {{ utc_of_text(json_text('t.' ~ quoted('group'), ['created_at'])) }} as created_at,
            {{ json_text('t.' ~ quoted('group'), ['created_by_user', 'id']) }} as created_by_user_id,
            {{ utc_of_text(json_text('t.' ~ quoted('group'), ['last_updated_at'])) }} as last_updated_at,
            {{ json_text('t.' ~ quoted('group'), ['last_updated_by_user', 'id']) }} as last_updated_by_user_id,
            t.last_updated_at as named_at,
            {{ extracted_at(source('pendo_raw', table), 't') }} as _fivetran_synced
        from ({{ newest('pendo', table, 'id') }}) t
        {{ 'union all' if not loop.last }}
        {%- endfor %}
    ) named
    where id is not null
) ranked
where _nth = 1
