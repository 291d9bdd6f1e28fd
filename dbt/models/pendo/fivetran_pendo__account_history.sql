{{ config(alias='account_history') }}
select
    a.account_id as id,
    {{ utc_of_text(json_text('a.metadata_auto', ['firstvisit'])) }} as first_visit,
    {{ utc_of_text(json_text('a.metadata_auto', ['lastvisit'])) }} as last_visit,
    {{ utc('a.lastupdated') }} as last_updated_at,
    cast({{ json_text('a.metadata_auto', ['idhash']) }} as {{ dbt.type_bigint() }}) as id_hash,
    {{ pendo_metadata(var('pendo_account_metadata'), 'a') }}
    {{ extracted_at(source('pendo_raw', 'accounts'), 'a') }} as _fivetran_synced
from ({{ newest('pendo', 'accounts', 'account_id') }}) a
