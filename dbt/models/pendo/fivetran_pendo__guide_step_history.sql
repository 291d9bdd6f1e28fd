{{ config(alias='guide_step_history') }}
select
    g.id as guide_id,
    {{ utc('g.last_updated_at') }} as guide_last_updated_at,
    {{ json_text(json_element('s'), ['id']) }} as step_id,
    {{ extracted_at(source('pendo_raw', 'guides'), 'g') }} as _fivetran_synced
from ({{ newest('pendo', 'guides', 'id') }}) g
{{ json_elements('g.steps', 's') }}
