{{ config(alias=var('pendo_user_identifier', 'user')) }}
-- Pendo has no list of its users: these are the ones whom definitions name. Some name the id and the username only.
select
    id,
    max(username) as username,
    max(first_name) as first_name,
    max(last_name) as last_name,
    max(role) as role,
    max(user_type) as user_type,
    max(deleted_at) as deleted_at,
    max(_fivetran_synced) as _fivetran_synced
from (
    {%- for table in ['pages', 'features', 'guides', 'track_types'] %}
    {%- set outer_last = loop.last %}
    {%- for person in ['created_by_user', 'last_updated_by_user'] %}
    select
        {{ json_text('t.' ~ person, ['id']) }} as id,
        {{ json_text('t.' ~ person, ['username']) }} as username,
        {{ json_text('t.' ~ person, ['first']) }} as first_name,
        {{ json_text('t.' ~ person, ['last']) }} as last_name,
        cast({{ json_text('t.' ~ person, ['role']) }} as {{ dbt.type_int() }}) as role,
        {{ json_text('t.' ~ person, ['user_type']) }} as user_type,
        {{ utc_of_text(json_text('t.' ~ person, ['deleted_at'])) }} as deleted_at,
        {{ extracted_at(source('pendo_raw', table), 't') }} as _fivetran_synced
    from ({{ newest('pendo', table, 'id') }}) t
    {{ 'union all' if not (outer_last and loop.last) }}
    {%- endfor %}
    {%- endfor %}
) people
where id is not null
group by id
