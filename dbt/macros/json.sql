{# JSON columns: json in DuckDB, jsonb in PostgreSQL, object or variant in Snowflake, json in BigQuery. #}

{# A value below some keys as text; null where it is not there. #}
{% macro json_text(column, keys) %}{{ return(adapter.dispatch('json_text', 'product_analytics')(column, keys)) }}{% endmacro %}

{% macro default__json_text(column, keys) %}
    {%- set path = namespace(text=column) -%}
    {%- for key in keys -%}
        {%- set path.text = "(" ~ path.text ~ (" ->> " if loop.last else " -> ") ~ dbt.string_literal(key) ~ ")" -%}
    {%- endfor -%}
    {{ return(path.text) }}
{% endmacro %}

{% macro snowflake__json_text(column, keys) %}
    {{ return("cast(get_path(" ~ column ~ ", '\"" ~ keys | join('"."') ~ "\"') as varchar)") }}
{% endmacro %}

{% macro bigquery__json_text(column, keys) %}
    {{ return("json_value(" ~ column ~ ", '$.\"" ~ keys | join('"."') ~ "\"')") }}
{% endmacro %}


{# A column that holds one JSON value of any type, as text. #}
{% macro json_scalar(column) %}{{ return(adapter.dispatch('json_scalar', 'product_analytics')(column)) }}{% endmacro %}

{% macro default__json_scalar(column) %}{{ return("(" ~ column ~ " #>> '{}')") }}{% endmacro %}

{% macro duckdb__json_scalar(column) %}{{ return("(" ~ column ~ " ->> '$')") }}{% endmacro %}

{% macro snowflake__json_scalar(column) %}{{ return("cast(" ~ column ~ " as varchar)") }}{% endmacro %}

{% macro bigquery__json_scalar(column) %}{{ return("json_value(" ~ column ~ ")") }}{% endmacro %}


{# A part of `from`: one row for each element of an array. `json_element(alias)` is the element. No array, no row. #}
{% macro json_elements(column, alias) %}{{ return(adapter.dispatch('json_elements', 'product_analytics')(column, alias)) }}{% endmacro %}

{% macro default__json_elements(column, alias) %}
    {{ return("cross join lateral jsonb_array_elements(case when jsonb_typeof(" ~ column ~ ") = 'array' then " ~ column ~ " end) as " ~ alias ~ " (value)") }}
{% endmacro %}

{% macro duckdb__json_elements(column, alias) %}
    {{ return("cross join unnest(case when json_type(" ~ column ~ ") = 'ARRAY' then cast(" ~ column ~ " as json[]) end) as " ~ alias ~ " (value)") }}
{% endmacro %}

{% macro snowflake__json_elements(column, alias) %}
    {{ return("cross join lateral flatten(input => " ~ column ~ ") as " ~ alias) }}
{% endmacro %}

{% macro bigquery__json_elements(column, alias) %}
    {{ return("cross join unnest(json_query_array(" ~ column ~ ")) as " ~ alias) }}
{% endmacro %}

{% macro json_element(alias) %}{{ return(alias if target.type == 'bigquery' else alias ~ ".value") }}{% endmacro %}


{# The value below a key as JSON. #}
{% macro json_part(column, key) %}{{ return(adapter.dispatch('json_part', 'product_analytics')(column, key)) }}{% endmacro %}

{% macro default__json_part(column, key) %}{{ return("(" ~ column ~ " -> " ~ dbt.string_literal(key) ~ ")") }}{% endmacro %}

{% macro snowflake__json_part(column, key) %}{{ return("get_path(" ~ column ~ ", '\"" ~ key ~ "\"')") }}{% endmacro %}

{% macro bigquery__json_part(column, key) %}{{ return("json_query(" ~ column ~ ", '$.\"" ~ key ~ "\"')") }}{% endmacro %}
