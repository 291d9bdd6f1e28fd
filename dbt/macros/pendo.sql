{# The rows that Pendo still has: of each day those of its newest reading. #}
{% macro pendo_newest_reading(table) %}
    select e.*
    from {{ source('pendo_raw', table) }} e
    join (
        select read_day, max(read_at) as newest from {{ source('pendo_raw', table) }} group by read_day
    ) days on days.read_day = e.read_day and days.newest = e.read_at
{% endmacro %}

{# Where a grouped event began: tables that were read by the hour have `hour`, by the day `day`, after a change both. #}
{% macro pendo_period(relation, alias) %}
    {%- set there = [] -%}
    {%- for name in ['hour', 'day'] if has_column(relation, name) -%}
        {%- do there.append(alias ~ "." ~ quoted(name)) -%}
    {%- endfor -%}
    {{ return(utc("coalesce(" ~ there | join(", ") ~ ")" if there | length > 1 else there | first or alias ~ ".day")) }}
{% endmacro %}

{# The shape of `event`, `page_event` and `feature_event`. #}
{% macro pendo_grouped_events(table, object) %}
select
    e.record_id as _fivetran_id,
    {{ pendo_period(source('pendo_raw', table), 'e') }} as timestamp,
    e.visitor_id,
    e.account_id,
    cast(e.app_id as {{ dbt.type_string() }}) as app_id,
    e.{{ object }},
    e.num_events,
    e.num_minutes,
    e.server as server_name,
    e.remote_ip,
    e.user_agent,
    {{ extracted_at(source('pendo_raw', table), 'e') }} as _fivetran_synced
from ({{ pendo_newest_reading(table) }}) e
{% endmacro %}

{# The shape of `guide_event` and `poll_event`; `more` are further columns. #}
{% macro pendo_single_events(table, more=[]) %}
select
    e.record_id as _fivetran_id,
    {{ utc('e.browser_time') }} as timestamp,
    e.type,
    e.guide_id,
    e.guide_step_id,
    {%- for name in more %}
    e.{{ name }},
    {%- endfor %}
    e.visitor_id,
    e.account_id,
    cast(e.app_id as {{ dbt.type_string() }}) as app_id,
    e.country,
    e.region,
    e.latitude,
    e.longitude,
    e.element_path,
    e.load_time,
    e.url,
    e.server_name,
    e.remote_ip,
    e.user_agent,
    {{ extracted_at(source('pendo_raw', table), 'e') }} as _fivetran_synced
from ({{ pendo_newest_reading(table) }}) e
{% endmacro %}

{# What pages, features and guides have in common. #}
{% macro pendo_definition(table, alias) %}
    {{ alias }}.id,
    {{ alias }}.name,
    cast({{ alias }}.app_id as {{ dbt.type_string() }}) as app_id,
    {{ utc(alias ~ '.created_at') }} as created_at,
    {{ json_text(alias ~ '.created_by_user', ['id']) }} as created_by_user_id,
    {{ utc(alias ~ '.last_updated_at') }} as last_updated_at,
    {{ json_text(alias ~ '.last_updated_by_user', ['id']) }} as last_updated_by_user_id,
    {{ alias }}.root_version_id,
    {{ alias }}.stable_version_id,
    {{ extracted_at(source('pendo_raw', table), alias) }} as _fivetran_synced
{% endmacro %}

{# Columns for metadata fields that the project names. #}
{% macro pendo_metadata(fields, alias) %}
    {%- for field in fields %}
    {{ json_text(alias ~ '.metadata_' ~ field.group, [field.field]) }} as {{ column_name(field.group ~ '_' ~ field.field) }},
    {%- endfor %}
{% endmacro %}

{# A name for a column: small letters, digits and underscores. #}
{% macro column_name(name) %}{{ return(modules.re.sub('[^a-z0-9]+', '_', name | lower)) }}{% endmacro %}
