{{ config(alias='poll') }}
select
    id, question, reset_at, attribute_type, attribute_display, attribute_follow_up, attribute_max_length,
    attribute_placeholder, _fivetran_synced
from (
    select
        {{ json_text(json_element('p'), ['id']) }} as id,
        {{ json_text(json_element('p'), ['question']) }} as question,
        {{ utc_of_text(json_text(json_element('p'), ['reset_at'])) }} as reset_at,
        {%- for name in ['type', 'display', 'follow_up', 'max_length', 'placeholder'] %}
        {{ json_text(json_element('p'), ['attributes', name]) }} as attribute_{{ name }},
        {%- endfor %}
        {{ extracted_at(source('pendo_raw', 'guides'), 'g') }} as _fivetran_synced,
        row_number() over (
            partition by {{ json_text(json_element('p'), ['id']) }} order by g.last_updated_at desc, g.id
        ) as _nth
    from ({{ newest('pendo', 'guides', 'id') }}) g
    {{ json_elements('g.polls', 'p') }}
) polls
where _nth = 1
