{{ config(alias='visitor_history') }}
select
    v.visitor_id as id,
    {{ json_text('v.metadata_auto', ['accountid']) }} as account_id,
    {{ utc_of_text(json_text('v.metadata_auto', ['firstvisit'])) }} as first_visit,
    {{ utc_of_text(json_text('v.metadata_auto', ['lastvisit'])) }} as last_visit,
    {{ utc('v.lastupdated') }} as last_updated_at,
    cast({{ json_text('v.metadata_auto', ['idhash']) }} as {{ dbt.type_bigint() }}) as id_hash,
    {{ json_text('v.metadata_auto', ['nid']) }} as n_id,
    {{ json_text('v.metadata_auto', ['lastbrowsername']) }} as last_browser_name,
    {{ json_text('v.metadata_auto', ['lastbrowserversion']) }} as last_browser_version,
    {{ json_text('v.metadata_auto', ['lastoperatingsystem']) }} as last_operating_system,
    {{ json_text('v.metadata_auto', ['lastservername']) }} as last_server_name,
    {{ json_text('v.metadata_auto', ['lastuseragent']) }} as last_user_agent,
    {{ pendo_metadata(var('pendo_visitor_metadata'), 'v') }}
    {{ extracted_at(source('pendo_raw', 'visitors'), 'v') }} as _fivetran_synced
from ({{ newest('pendo', 'visitors', 'visitor_id') }}) v
