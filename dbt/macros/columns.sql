{# Whether a table has a column: some come with an option of the connector, or with the destination. #}
{% macro has_column(relation, name) %}
    {%- if execute -%}
        {%- for column in adapter.get_columns_in_relation(relation) if column.name | lower == name | lower -%}
            {{ return(true) }}
        {%- endfor -%}
    {%- endif -%}
    {{ return(false) }}
{% endmacro %}

{# When the destination wrote a row, as a timestamp in UTC; null in a warehouse whose destination does not say it. #}
{% macro extracted_at(relation, alias) %}
    {%- if has_column(relation, var('extracted_at')) -%}
        {{ return(utc(alias ~ "." ~ var('extracted_at'))) }}
    {%- endif -%}
    {{ return("cast(null as " ~ dbt.type_timestamp() ~ ")") }}
{% endmacro %}

{# A condition: the row was not deleted at the vendor. The column is there where the connector detects deletions. #}
{% macro not_deleted(relation, alias) %}
    {{ return(alias ~ "._ab_cdc_deleted_at is null" if has_column(relation, '_ab_cdc_deleted_at') else "1 = 1") }}
{% endmacro %}

{# A column whose name is a word of SQL. Airbyte writes the names in capitals in Snowflake. #}
{% macro quoted(name) %}{{ return(adapter.quote(name | upper if target.type == 'snowflake' else name)) }}{% endmacro %}

{# Columns that Fivetran has and Pendo's API does not give. #}
{% macro nulls(names, kind) %}
    {%- for name in names %}
    cast(null as {{ kind }}) as {{ name }}{{ "," if not loop.last }}
    {%- endfor %}
{% endmacro %}

{# The rows of a table, one for each key, also where the destination only appends: the last one that it wrote. #}
{% macro newest(vendor, table, key) %}
    {%- set relation = source(vendor ~ '_raw', table) -%}
    select * from (
        select t.*, row_number() over (partition by t.{{ key }} order by {{ extracted_at(relation, 't') }} desc) as _nth
        from {{ relation }} t
        where {{ not_deleted(relation, 't') }}
    ) newest
    where _nth = 1
{% endmacro %}

{# A table of Heap. Event tables have the names of your events, so only the others are listed among the sources. #}
{% macro heap_table(table) %}
    {%- if table in ['users', 'user_migrations', 'sessions', 'pageviews', '_heap_dumps'] -%}
        {{ return(source('heap_raw', table)) }}
    {%- endif -%}
    {{ return(api.Relation.create(
        database=var('raw_database') or target.database, schema=var('heap_raw_schema'), identifier=table
    )) }}
{% endmacro %}
