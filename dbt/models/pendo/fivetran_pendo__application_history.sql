{{ config(alias='application_history') }}
{%- set apps = load_relation(source('pendo_raw', 'apps')) if execute else none %}
{%- set names = {
    'string': ['agent_policy_prod', 'agent_policy_staging', 'agent_version_prod', 'agent_version_staging',
               'created_by_user_id', 'guide_css_url', 'icon_url', 'last_updated_by_user_id', 'push_application_id',
               'store_url', 'subscription_id'],
    'boolean': ['application_flags_cname', 'application_flags_disabled', 'application_flags_guide_localization',
                'application_flags_guide_widget', 'application_flags_onboarding',
                'application_flags_prevent_code_injection', 'application_flags_show_guides_to_anon',
                'application_flags_xhr_timings', 'integrated', 'is_deleted'],
    'int': ['event_count', 'event_rate'],
    'timestamp': ['first_event_time', 'last_updated_at', 'marked_for_deletion_at', 'record_until', 'sampling_rate',
                  'starting_event_time'],
} %}
select
    cast(a.id as {{ dbt.type_string() }}) as id,
    a.name,
    a.display_name,
    a.platform,
    a.description,
    {{ utc('a.created_at') }} as created_at,
    {{ utc('a.disabled_at') }} as disabled_at,
    {{ nulls(names.string, dbt.type_string()) }},
    {{ nulls(names.boolean, dbt.type_boolean()) }},
    {{ nulls(names.int, dbt.type_int()) }},
    {{ nulls(names.timestamp, dbt.type_timestamp()) }},
    a.synced as _fivetran_synced
{%- if apps or not execute %}
from (
    select a.*, {{ extracted_at(source('pendo_raw', 'apps'), 'a') }} as synced
    from ({{ newest('pendo', 'apps', 'id') }}) a
) a
{%- else %}
-- Pendo refuses the list of applications to some subscriptions: then their ids are those of what belongs to them
from (
    select
        id,
        {{ nulls(['name', 'display_name', 'platform', 'description'], dbt.type_string()) }},
        {{ nulls(['created_at', 'disabled_at'], instant_type()) }},
        {{ nulls(['synced'], dbt.type_timestamp()) }}
    from (
        {%- for table in ['pages', 'features', 'guides'] %}
        select app_id as id from {{ source('pendo_raw', table) }} where app_id is not null
        {{ 'union' + (' distinct' if target.type == 'bigquery' else '') if not loop.last }}
        {%- endfor %}
    ) ids
) a
{%- endif %}
