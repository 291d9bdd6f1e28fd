{%- set steps = var('heap_funnel_steps') %}
with
{%- for table in steps %}
happened_{{ loop.index }} as (
    select resolved_user_id, {{ utc('e.time') }} as happened_at
    from ({{ heap_resolved(table, 'event_id') }}) e
),
{%- if loop.first %}
step_1 as (
    select resolved_user_id, min(happened_at) as first_at, min(happened_at) as reached_at
    from happened_1
    group by resolved_user_id
),
{%- else %}
step_{{ loop.index }} as (
    select before.resolved_user_id, before.first_at, min(e.happened_at) as reached_at
    from step_{{ loop.index0 }} before
    join happened_{{ loop.index }} e
        on e.resolved_user_id = before.resolved_user_id
        and e.happened_at >= before.reached_at
        and e.happened_at < {{ dbt.dateadd('day', var('heap_funnel_days'), 'before.first_at') }}
    group by before.resolved_user_id, before.first_at
),
{%- endif %}
{%- endfor %}
counted as (
    {%- for table in steps %}
    select {{ loop.index }} as step, '{{ table }}' as event_table, count(*) as people from step_{{ loop.index }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
)

select
    step,
    event_table,
    people,
    100.0 * people / nullif(first_value(people) over (order by step), 0) as percent_of_first
from counted
