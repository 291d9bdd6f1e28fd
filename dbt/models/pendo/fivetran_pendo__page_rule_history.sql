{{ config(alias='page_rule_history') }}
select
    p.id as page_id,
    {{ utc('p.last_updated_at') }} as page_last_updated_at,
    {{ json_text(json_element('r'), ['rule']) }} as rule,
    {{ json_text(json_element('r'), ['parsed_rule']) }} as parsed_rule,
    {{ json_text(json_element('r'), ['designer_hint']) }} as designer_hint,
    {{ extracted_at(source('pendo_raw', 'pages'), 'p') }} as _fivetran_synced
from ({{ newest('pendo', 'pages', 'id') }}) p
{{ json_elements('p.rules', 'r') }}
