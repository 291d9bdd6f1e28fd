{# The live rows of a table, one for each key (columns of the table, with a comma between them). #}
{% macro heap_live(table, key) %}
select * from (
  select t.*, row_number() over (partition by {{ key }}
                                 order by t._heap_dump_id desc, {{ extracted_at(heap_table(table), 't') }} desc) as _nth
  from {{ heap_table(table) }} t
  where t._heap_generation = (
    select max(d.generation) from {{ heap_table('_heap_dumps') }} d where d.table_name = '{{ table }}'
  ) and {{ not_deleted(heap_table(table), 't') }}
) newest
where _nth = 1
{% endmacro %}

{# The live rows with `resolved_user_id`, the person; `id` is session_id for sessions and event_id for other tables. #}
{% macro heap_resolved(table, id) %}
select * from (
  select t.*, coalesce(m.to_user_id, t.user_id) as resolved_user_id,
         row_number() over (partition by t.{{ id }}, coalesce(m.to_user_id, t.user_id)
                            order by t._heap_dump_id desc, {{ extracted_at(heap_table(table), 't') }} desc) as _nth
  from {{ heap_table(table) }} t
  left join ({{ heap_live('user_migrations', 'from_user_id') }}) m on m.from_user_id = t.user_id
  where t._heap_generation = (
    select max(d.generation) from {{ heap_table('_heap_dumps') }} d where d.table_name = '{{ table }}'
  ) and {{ not_deleted(heap_table(table), 't') }}
) resolved
where _nth = 1
{% endmacro %}
