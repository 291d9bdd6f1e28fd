{{ config(alias='guide_history') }}
select
    {{ pendo_definition('guides', 'g') }},
    g.state,
    {{ json_scalar('g.email_state') }} as email_state,
    g.launch_method,
    g.is_multi_step,
    g.is_training,
    {{ utc('g.published_at') }} as published_at,
    {{ utc('g.reset_at') }} as reset_at,
    g.recurrence,
    {{ dbt.safe_cast(json_scalar('g.recurrence_eligibility_window'), dbt.type_bigint()) }} as recurrence_eligibility_window,
    {{ json_text('g.attributes', ['type']) }} as attribute_type,
    {{ json_text('g.attributes', ['priority']) }} as attribute_priority,
    -- Pendo sends an object or a text
    coalesce(
        {{ json_text('g.attributes', ['device', 'type']) }}, {{ json_text('g.attributes', ['device']) }}
    ) as attribute_device_type,
    {{ nulls(['attribute_badge_can_change_badge_color', 'attribute_badge_is_only_show_once'], dbt.type_boolean()) }},
    {{ nulls(['attribute_badge_color', 'attribute_badge_image_url', 'attribute_badge_name', 'attribute_badge_position',
              'attribute_badge_show_on_event', 'attribute_badge_use_hover'], dbt.type_string()) }},
    {{ nulls(['attribute_badge_height', 'attribute_badge_offset_left', 'attribute_badge_offset_right',
              'attribute_badge_offset_top', 'attribute_badge_width'], dbt.type_int()) }}
from ({{ newest('pendo', 'guides', 'id') }}) g
