{{ config(alias='visitor_account_history') }}
with visitors as (
    select v.*, {{ extracted_at(source('pendo_raw', 'visitors'), 'v') }} as synced
    from ({{ newest('pendo', 'visitors', 'visitor_id') }}) v
),

-- `accountid` is among `accountids` as a rule; both are taken, because only one of them may be there
pairs as (
    select v.visitor_id, {{ json_text('v.metadata_auto', ['accountid']) }} as account_id, v.lastupdated, v.synced
    from visitors v
    union
    select v.visitor_id, {{ json_scalar(json_element('a')) }} as account_id, v.lastupdated, v.synced
    from (select v.*, {{ json_part('v.metadata_auto', 'accountids') }} as accounts from visitors v) v
    {{ json_elements('v.accounts', 'a') }}
)

select
    visitor_id,
    account_id,
    {{ utc('lastupdated') }} as visitor_last_updated_at,
    synced as _fivetran_synced
from pairs
where account_id is not null
