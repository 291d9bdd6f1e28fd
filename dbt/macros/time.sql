{# An instant as a timestamp in UTC. Instants of the connectors are timestamps with a time zone. #}
{% macro utc(column) %}{{ return(adapter.dispatch('utc', 'product_analytics')(column)) }}{% endmacro %}

{% macro default__utc(column) %}{{ return("(" ~ column ~ " at time zone 'UTC')") }}{% endmacro %}

{% macro snowflake__utc(column) %}{{ return("cast(convert_timezone('UTC', " ~ column ~ ") as timestamp_ntz)") }}{% endmacro %}

{% macro bigquery__utc(column) %}{{ return(column) }}{% endmacro %}


{# An instant that stands in JSON, with its offset, as a timestamp in UTC. #}
{% macro utc_of_text(text) %}{{ return(utc("cast(" ~ text ~ " as " ~ instant_type() ~ ")")) }}{% endmacro %}

{# The type of the connectors' instants. #}
{% macro instant_type() %}
    {{ return({'snowflake': 'timestamp_tz', 'bigquery': 'timestamp'}.get(target.type, 'timestamp with time zone')) }}
{% endmacro %}


{# Seconds since 1970 as a timestamp in UTC. #}
{% macro utc_of_seconds(seconds) %}{{ return(adapter.dispatch('utc_of_seconds', 'product_analytics')(seconds)) }}{% endmacro %}

{% macro default__utc_of_seconds(seconds) %}{{ return(utc("to_timestamp(" ~ seconds ~ ")")) }}{% endmacro %}

{% macro snowflake__utc_of_seconds(seconds) %}{{ return("to_timestamp_ntz(" ~ seconds ~ ")") }}{% endmacro %}

{% macro bigquery__utc_of_seconds(seconds) %}{{ return("timestamp_seconds(" ~ seconds ~ ")") }}{% endmacro %}
