select
    m.id as delivery_id,
    m.type as channel,
    {{ json_text('m.customer_identifiers', ['cio_id']) }} as cio_id,
    m.campaign_id,
    m.broadcast_id,
    m.newsletter_id,
    m.transactional_message_id,
    m.action_id,
    m.content_id,
    m.recipient,
    m.subject,
    m.failure_message,
    {{ utc_of_seconds('m.created') }} as created_at,
    {%- for metric in ['sent', 'delivered', 'opened', 'clicked', 'converted', 'bounced', 'failed', 'unsubscribed'] %}
    {{ utc_of_seconds("cast(" ~ json_text('m.metrics', [metric]) ~ " as " ~ dbt.type_bigint() ~ ")") }} as {{ metric }}_at,
    {%- endfor %}
    -- times or counts: only whether there is one is known
    {%- for metric in ['human_opened', 'human_clicked'] %}
    coalesce(cast({{ json_text('m.metrics', [metric]) }} as {{ dbt.type_bigint() }}), 0) > 0 as {{ metric }},
    {%- endfor %}
    {{ extracted_at(source('customerio_raw', 'messages'), 'm') }} as extracted_at
from ({{ newest('customerio', 'messages', 'id') }}) m
