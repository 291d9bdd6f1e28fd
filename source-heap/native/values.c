#include "values.h"

#include "json.h"

bool branch_is_valid(const struct branch *branch) {
    enum kind kind = branch->kind;
    bool has_no_scale = branch->scale == 0;
    bool is_count = kind == LONG && (branch->scale == 1 || (branch->scale >= 1000 && branch->scale % 1000 == 0));
    switch (branch->form) {
    case SKIPPED:
    case UNUSUAL:
        return has_no_scale || is_count || (kind != LONG && branch->scale > 0);
    case PLAIN:
    case INSTANT:
    case TEXT_OR_INSTANT:
        return has_no_scale;
    case QUOTED:
        return has_no_scale && (kind == BOOLEAN || kind == LONG || kind == FLOAT || kind == DOUBLE);
    case TIMESTAMP:
    case LOCAL_TIMESTAMP:
    case DAY_OF_YEAR:
    case TIME_OF_DAY:
        return is_count;
    case DECIMAL:
        return (kind == BYTES || kind == FIXED) && branch->scale >= 0;
    case IDENTIFIER:
        return kind == FIXED;
    case INTEGER_IN_TEXT:
        return has_no_scale && kind == BYTES;
    }
    return false;
}

/* ---------------------------------------------------------------------------------------- numbers, texts, symbols */

static enum written write_null(struct output *output) {
    return output_append(output, "null", 4);
}

static enum written write_quoted(struct output *output, const char *text, size_t size) {
    if (!output_reserve(output, size + 2))
        return OUT_OF_MEMORY;
    output_put(output, "\"", 1);
    output_put(output, text, size);
    output_put(output, "\"", 1);
    return WRITTEN;
}

static enum written write_plain(struct output *output, const struct branch *branch, const struct value *value) {
    switch (branch->kind) {
    case NULL_KIND:
        return write_null(output);
    case BOOLEAN:
        return output_append(output, value->integer ? "true" : "false", value->integer ? 4 : 5);
    case LONG:
        return json_integer(output, value->integer);
    case FLOAT:
    case DOUBLE:
        return json_number(output, value->number);
    case BYTES:
    case FIXED:
        return json_text(output, value->bytes, value->size);
    case ENUM: {
        const struct span *symbol = &branch->symbols[value->integer];
        return output_append(output, symbol->bytes, symbol->size);
    }
    }
    return NOT_WRITABLE;
}

static enum written write_in_quotes(struct output *output, const struct branch *branch, const struct value *value) {
    enum written written = output_append(output, "\"", 1);
    if (written == WRITTEN)
        written = write_plain(output, branch, value);
    return written == WRITTEN ? output_append(output, "\"", 1) : written;
}

bool read_integer(const struct value *text, int64_t *number) {
    enum { MOST_DIGITS = 18 };
    const uint8_t *at = text->bytes, *end = at + text->size;
    bool is_negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    if (at == end || end - at > MOST_DIGITS)
        return false;
    for (*number = 0; at < end; at++) {
        if (*at < '0' || *at > '9')
            return false;
        *number = *number * 10 + (*at - '0');
    }
    if (is_negative)
        *number = -*number;
    return true;
}

static enum written write_integer_in_text(struct output *output, const struct value *value) {
    int64_t number;
    return read_integer(value, &number) ? json_integer(output, number) : NOT_WRITABLE;
}

/* ----------------------------------------------------------------------------------------- instants, days, times */

/* A count of `scale` nanoseconds in microseconds; digits behind them are cut. False if it is too large. */
static bool to_micros(int64_t count, int64_t scale, int64_t *micros) {
    if (scale >= 1000)
        return !__builtin_mul_overflow(count, scale / 1000, micros);
    int64_t counts = 1000 / scale;
    *micros = count / counts - (count % counts < 0);
    return true;
}

/* A count of `scale` nanoseconds since 1970; with a scale of 0 the unit is not declared, and its magnitude decides. */
static enum found instant_from_count(int64_t *micros, int64_t count, int64_t scale) {
    *micros = count;
    if (scale != 0 && !to_micros(count, scale, micros))
        return UNCLEAR;
    if (*micros == 0)
        return NO_INSTANT;
    return (scale != 0 ? is_instant(*micros) : micros_from_number(micros, count)) ? FOUND : UNCLEAR;
}

enum found find_instant(int64_t *micros, const struct branch *branch, const struct value *value) {
    int64_t number;
    switch (branch->kind) {
    case NULL_KIND:
        return NO_INSTANT;
    case LONG:
        return instant_from_count(micros, value->integer, branch->scale);
    case BYTES:
        if (micros_from_text(micros, value->bytes, value->size))
            return FOUND;
        return read_integer(value, &number) ? instant_from_count(micros, number, 0) : UNCLEAR;
    default:
        return UNCLEAR;
    }
}

enum found find_timestamp(int64_t *micros, const struct branch *branch, int64_t count) {
    if (!to_micros(count, branch->scale, micros) || !is_instant(*micros))
        return UNCLEAR;
    return branch->zero_is_null && *micros == 0 ? NO_INSTANT : FOUND;
}

/* Writes what was found, with the first `size` characters of an instant: the last one is the zone. */
static enum written write_found(struct output *output, enum found found, int64_t micros, size_t size) {
    char instant[INSTANT_SIZE];
    if (found == NO_INSTANT)
        return write_null(output);
    if (found == UNCLEAR || !instant_from_micros(instant, micros))
        return NOT_WRITABLE;
    return write_quoted(output, instant, size);
}

static enum written write_instant(struct output *output, const struct branch *branch, const struct value *value) {
    int64_t micros = 0;
    enum found found = find_instant(&micros, branch, value);
    return write_found(output, found, micros, INSTANT_SIZE);
}

static enum written write_text_or_instant(struct output *output, const struct branch *branch,
                                          const struct value *value) {
    int64_t micros;
    if (branch->kind != BYTES)
        return NOT_WRITABLE; /* a symbol or a fixed: never seen as an instant */
    if (micros_from_text(&micros, value->bytes, value->size))
        return write_found(output, FOUND, micros, INSTANT_SIZE);
    return json_text(output, value->bytes, value->size);
}

static enum written write_timestamp(struct output *output, const struct branch *branch, int64_t count) {
    int64_t micros = 0;
    enum found found = find_timestamp(&micros, branch, count);
    return write_found(output, found, micros, branch->form == TIMESTAMP ? INSTANT_SIZE : INSTANT_SIZE - 1);
}

static enum written write_day(struct output *output, int64_t days) {
    char day[DAY_SIZE];
    return day_from_days(day, days) ? write_quoted(output, day, DAY_SIZE) : NOT_WRITABLE;
}

static enum written write_time_of_day(struct output *output, const struct branch *branch, int64_t count) {
    char time[LONGEST_TIME_OF_DAY];
    int64_t micros;
    size_t size = to_micros(count, branch->scale, &micros) ? time_of_day(time, micros) : 0;
    return size ? write_quoted(output, time, size) : NOT_WRITABLE;
}

/* ------------------------------------------------------------------------------------------ decimals, identifiers */

/* Larger decimals are the reference decoder's: they are rare, and need numbers of more than 64 bits. */
enum { MOST_DECIMAL_BYTES = 8, MOST_DECIMAL_SCALE = 18 };

static enum written write_decimal(struct output *output, const struct branch *branch, const struct value *value) {
    if (value->size == 0 || value->size > MOST_DECIMAL_BYTES || branch->scale > MOST_DECIMAL_SCALE)
        return NOT_WRITABLE;
    uint64_t number = value->bytes[0] & 0x80 ? UINT64_MAX : 0; /* two's complement: the sign goes on to the left */
    for (size_t i = 0; i < value->size; i++)
        number = number << 8 | value->bytes[i];
    char text[1 + 20 + 1], *to = text; /* a sign, the digits, a point */
    if (number >> 63) {
        *to++ = '-';
        number = 0 - number;
    }
    int scale = (int)branch->scale;
    char *end = write_digits(to, number, scale + 1); /* a digit before the point, at least */
    if (scale > 0) {
        char *point = end - scale;
        memmove(point + 1, point, (size_t)scale);
        *point = '.';
        end++;
    }
    return write_quoted(output, text, (size_t)(end - text));
}

static enum written write_identifier(struct output *output, const struct value *value) {
    static const char HEX[] = "0123456789abcdef";
    char text[36], *to = text;
    if (value->size != 16)
        return NOT_WRITABLE;
    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *to++ = '-';
        *to++ = HEX[value->bytes[i] >> 4];
        *to++ = HEX[value->bytes[i] & 15];
    }
    return write_quoted(output, text, sizeof text);
}

/* ------------------------------------------------------------------------------------------------------ all forms */

enum written write_value(struct output *output, const struct branch *branch, const struct value *value) {
    switch (branch->form) {
    case SKIPPED:
        return WRITTEN;
    case PLAIN:
        return write_plain(output, branch, value);
    case QUOTED:
        return write_in_quotes(output, branch, value);
    case INSTANT:
        return write_instant(output, branch, value);
    case TEXT_OR_INSTANT:
        return write_text_or_instant(output, branch, value);
    case TIMESTAMP:
    case LOCAL_TIMESTAMP:
        return write_timestamp(output, branch, value->integer);
    case DAY_OF_YEAR:
        return write_day(output, value->integer);
    case TIME_OF_DAY:
        return write_time_of_day(output, branch, value->integer);
    case DECIMAL:
        return write_decimal(output, branch, value);
    case IDENTIFIER:
        return write_identifier(output, value);
    case INTEGER_IN_TEXT:
        return write_integer_in_text(output, value);
    case UNUSUAL:
        return NOT_WRITABLE;
    }
    return NOT_WRITABLE;
}
