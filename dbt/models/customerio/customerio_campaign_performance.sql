with counted as (
    select
        campaign_id,
        channel,
        count(*) as deliveries,
        count(delivered_at) as delivered,
        sum(case when human_opened then 1 else 0 end) as opened,
        sum(case when human_clicked then 1 else 0 end) as clicked,
        count(converted_at) as converted,
        min(created_at) as first_created_at,
        max(created_at) as last_created_at
    from {{ ref('customerio_deliveries') }}
    where campaign_id is not null
    group by campaign_id, channel
)

select
    n.campaign_id,
    c.name as campaign,
    c.state,
    n.channel,
    n.deliveries,
    n.delivered,
    n.opened,
    n.clicked,
    n.converted,
    100.0 * n.opened / nullif(n.delivered, 0) as percent_opened,
    100.0 * n.clicked / nullif(n.delivered, 0) as percent_clicked,
    n.first_created_at,
    n.last_created_at
from counted n
left join ({{ newest('customerio', 'campaigns', 'id') }}) c on c.id = n.campaign_id
