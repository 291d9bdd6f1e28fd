select
    c.cio_id,
    c.id,
    {{ json_text('c.identifiers', ['email']) }} as email,
    coalesce(c.unsubscribed, false) as unsubscribed,
    {{ utc_of_seconds("cast(" ~ json_text('c.timestamps', ['_last_emailed']) ~ " as " ~ dbt.type_bigint() ~ ")") }} as last_emailed_at,
    {%- for name in var('customerio_attributes') %}
    {{ json_text('c.attributes', [name]) }} as {{ column_name('attribute_' ~ name) }},
    {%- endfor %}
    {{ extracted_at(source('customerio_raw', 'customers'), 'c') }} as extracted_at
from ({{ newest('customerio', 'customers', 'cio_id') }}) c
