#include "rows.h"

#include "instant.h"
#include "json.h"

/* ---------------------------------------------------------------------------------------------- reading values */

struct reader {
    const uint8_t *at, *end;
};

static size_t left(const struct reader *reader) { return (size_t)(reader->end - reader->at); }

static bool read_longer(struct reader *reader, int64_t *value);

/* Reads an int or a long. False at the end of the block, and for an integer of more than 64 bits. */
static inline bool read_long(struct reader *reader, int64_t *value) {
    if (reader->at < reader->end && *reader->at < 0x80) { /* nine of ten: lengths and branches */
        uint64_t raw = *reader->at++;
        *value = (int64_t)(raw >> 1) ^ -(int64_t)(raw & 1);
        return true;
    }
    return read_longer(reader, value);
}

static bool read_longer(struct reader *reader, int64_t *value) {
    uint64_t raw = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (reader->at == reader->end)
            return false;
        uint64_t byte = *reader->at++;
        raw |= (byte & 0x7F) << shift;
        if (byte < 0x80) {
            *value = (int64_t)(raw >> 1) ^ -(int64_t)(raw & 1);
            return shift < 63 || byte <= 1;
        }
    }
    return false;
}

/* Reads so many bytes. */
static bool read_bytes(struct reader *reader, size_t size, const uint8_t **bytes) {
    if (size > left(reader))
        return false;
    *bytes = reader->at;
    reader->at += size;
    return true;
}

/* A value as it was read: an integer (also of a boolean and an enum), a number, or bytes. */
struct value {
    int64_t integer;
    double number;
    const uint8_t *bytes;
    size_t size;
};

static bool read_text(struct reader *reader, struct value *value) {
    if (!read_long(reader, &value->integer) || value->integer < 0 || (uint64_t)value->integer > SIZE_MAX)
        return false;
    value->size = (size_t)value->integer;
    return read_bytes(reader, value->size, &value->bytes);
}

static bool read_boolean(struct reader *reader, struct value *value) {
    if (!read_bytes(reader, 1, &value->bytes))
        return false;
    value->integer = value->bytes[0];
    return value->integer <= 1;
}

static uint64_t little_endian(const uint8_t *bytes, int count) {
    uint64_t bits = 0;
    while (count--)
        bits = bits << 8 | bytes[count];
    return bits;
}

static bool read_float(struct reader *reader, struct value *value) {
    float number;
    if (!read_bytes(reader, sizeof number, &value->bytes))
        return false;
    uint32_t bits = (uint32_t)little_endian(value->bytes, sizeof number);
    memcpy(&number, &bits, sizeof number);
    value->number = number;
    return true;
}

static bool read_double(struct reader *reader, struct value *value) {
    if (!read_bytes(reader, sizeof value->number, &value->bytes))
        return false;
    uint64_t bits = little_endian(value->bytes, sizeof value->number);
    memcpy(&value->number, &bits, sizeof value->number);
    return true;
}

static bool read_value(struct reader *reader, const struct branch *branch, struct value *value) {
    switch (branch->kind) {
    case NULL_KIND:
        return true;
    case BOOLEAN:
        return read_boolean(reader, value);
    case LONG:
    case ENUM:
        return read_long(reader, &value->integer);
    case FLOAT:
        return read_float(reader, value);
    case DOUBLE:
        return read_double(reader, value);
    case BYTES:
        return read_text(reader, value);
    case FIXED:
        value->size = branch->size;
        return read_bytes(reader, branch->size, &value->bytes);
    }
    return false;
}

/* The branch of a column's next value; NULL if there is none with this index, or no index. */
static const struct branch *read_branch(struct reader *reader, const struct column *column, bool *ended) {
    int64_t index = 0;
    *ended = column->is_union && !read_long(reader, &index);
    if (*ended || index < 0 || (uint64_t)index >= column->branch_count)
        return NULL;
    return &column->branches[index];
}

/* ---------------------------------------------------------------------------------------------- writing values */

static enum written write_null(struct output *output) {
    return output_append(output, "null", 4) ? WRITTEN : NO_ROOM;
}

static enum written write_quoted(struct output *output, const char *text, size_t size) {
    if (!output_reserve(output, size + 2))
        return NO_ROOM;
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
        return output_append(output, value->integer ? "true" : "false", value->integer ? 4 : 5) ? WRITTEN : NO_ROOM;
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
        return output_append(output, symbol->bytes, symbol->size) ? WRITTEN : NO_ROOM;
    }
    }
    return NOT_WRITABLE;
}

static enum written write_in_quotes(struct output *output, const struct branch *branch, const struct value *value) {
    if (!output_append(output, "\"", 1))
        return NO_ROOM;
    enum written written = write_plain(output, branch, value);
    if (written != WRITTEN)
        return written;
    return output_append(output, "\"", 1) ? WRITTEN : NO_ROOM;
}

/* A count of `scale` nanoseconds in microseconds; digits behind them are cut. False if it is too large. */
static bool to_micros(int64_t count, int64_t scale, int64_t *micros) {
    if (scale >= 1000)
        return !__builtin_mul_overflow(count, scale / 1000, micros);
    int64_t counts = 1000 / scale;
    *micros = count / counts - (count % counts < 0);
    return true;
}

/* What a value of a column of instants is. */
enum found { FOUND, NO_INSTANT, UNCLEAR };

/* As `instant_from_number`, for a count of `scale` nanoseconds; a scale of 0 is no declared unit. */
static enum found instant_from_count(char to[INSTANT_SIZE], int64_t count, int64_t scale) {
    int64_t micros = count;
    if (scale && !to_micros(count, scale, &micros))
        return UNCLEAR;
    if (micros == 0)
        return NO_INSTANT;
    return (scale ? instant_from_micros(to, micros) : instant_from_number(to, micros)) ? FOUND : UNCLEAR;
}

static enum found find_instant(char to[INSTANT_SIZE], const struct branch *branch, const struct value *value) {
    switch (branch->kind) {
    case NULL_KIND:
        return NO_INSTANT;
    case LONG:
        return instant_from_count(to, value->integer, branch->scale);
    case BYTES:
        if (instant_from_text(to, value->bytes, value->size) || instant_from_digits(to, value->bytes, value->size))
            return FOUND;
        return UNCLEAR;
    default:
        return UNCLEAR;
    }
}

static enum written write_instant(struct output *output, const struct branch *branch, const struct value *value) {
    char instant[INSTANT_SIZE];
    switch (find_instant(instant, branch, value)) {
    case FOUND:
        return write_quoted(output, instant, INSTANT_SIZE);
    case NO_INSTANT:
        return write_null(output);
    default:
        return NOT_WRITABLE;
    }
}

static enum written write_text_or_instant(struct output *output, const struct branch *branch, const struct value *value) {
    char instant[INSTANT_SIZE];
    if (branch->kind != BYTES)
        return NOT_WRITABLE; /* a symbol or a fixed: never seen as an instant */
    if (instant_from_text(instant, value->bytes, value->size))
        return write_quoted(output, instant, INSTANT_SIZE);
    return json_text(output, value->bytes, value->size);
}

static enum written write_timestamp(struct output *output, const struct branch *branch, int64_t count) {
    char instant[INSTANT_SIZE];
    int64_t micros;
    if (!to_micros(count, branch->scale, &micros) || !instant_from_micros(instant, micros))
        return NOT_WRITABLE;
    if (branch->zero_is_null && micros == 0)
        return write_null(output);
    return write_quoted(output, instant, branch->form == TIMESTAMP ? INSTANT_SIZE : INSTANT_SIZE - 1);
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

/* A decimal of up to eight bytes and eighteen digits behind the point; larger ones are rare. */
static enum written write_decimal(struct output *output, const struct branch *branch, const struct value *value) {
    if (value->size == 0 || value->size > 8 || branch->scale > 18)
        return NOT_WRITABLE;
    uint64_t bits = value->bytes[0] & 0x80 ? UINT64_MAX : 0; /* the sign goes on to the left */
    for (size_t i = 0; i < value->size; i++)
        bits = bits << 8 | value->bytes[i];
    bool negative = bits >> 63;
    char text[40], *to = text;
    if (negative) {
        *to++ = '-';
        bits = 0 - bits;
    }
    int scale = (int)branch->scale;
    char *end = write_digits(to, bits, scale + 1);
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

static enum written write_value(struct output *output, const struct branch *branch, const struct value *value) {
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
    case UNUSUAL:
        return NOT_WRITABLE;
    }
    return NOT_WRITABLE;
}

bool branch_is_valid(const struct branch *branch) {
    bool has_unit = branch->scale == 1 || (branch->scale >= 1000 && branch->scale % 1000 == 0);
    switch (branch->form) {
    case SKIPPED:
    case UNUSUAL:
        return branch->scale == 0 || has_unit || branch->kind != LONG;
    case PLAIN:
        return branch->scale == 0 || branch->kind != LONG;
    case INSTANT:
    case TEXT_OR_INSTANT:
        return branch->scale == 0;
    case QUOTED:
        return branch->kind == BOOLEAN || branch->kind == LONG || branch->kind == FLOAT || branch->kind == DOUBLE;
    case TIMESTAMP:
    case LOCAL_TIMESTAMP:
    case DAY_OF_YEAR:
    case TIME_OF_DAY:
        return branch->kind == LONG && has_unit;
    case DECIMAL:
        return (branch->kind == BYTES || branch->kind == FIXED) && branch->scale >= 0;
    case IDENTIFIER:
        return branch->kind == FIXED;
    }
    return false;
}

/* ------------------------------------------------------------------------------------------------- rows, lines */

static enum outcome failure(enum written written, const struct output *output) {
    if (written == NOT_WRITABLE)
        return UNUSUAL_ROW;
    return output->too_long ? LONG_LINE : NO_MEMORY;
}

/* Reads and writes the values of one row. `*before` says whether its instant is before `since`. */
static enum outcome decode_row(const struct table *table, struct reader *reader, struct output *output, bool *before) {
    for (const struct column *column = table->columns, *end = column + table->column_count; column < end; column++) {
        struct value value;
        bool ended;
        const struct branch *branch = read_branch(reader, column, &ended);
        if (branch == NULL)
            return ended ? BROKEN_ROW : BAD_BRANCH;
        if (!read_value(reader, branch, &value))
            return BROKEN_ROW;
        if (branch->kind == ENUM && (value.integer < 0 || (uint64_t)value.integer >= branch->symbol_count))
            return BAD_BRANCH;
        if (column->decides) {
            char instant[INSTANT_SIZE];
            enum found found = branch->form == UNUSUAL ? UNCLEAR : find_instant(instant, branch, &value);
            if (found == UNCLEAR)
                return UNUSUAL_ROW;
            *before = found == FOUND && memcmp(instant, table->since.bytes, INSTANT_SIZE) < 0;
        }
        if (branch->form == SKIPPED)
            continue;
        if (branch->kind == NULL_KIND && branch->form == PLAIN) {
            if (!output_append(output, column->null.bytes, column->null.size))
                return failure(NO_ROOM, output);
            continue;
        }
        if (!output_append(output, column->name.bytes, column->name.size))
            return failure(NO_ROOM, output);
        enum written written = write_value(output, branch, &value);
        if (written != WRITTEN)
            return failure(written, output);
    }
    return ALL_ROWS;
}

/* Decodes one row to a line. What is written of a row that fails stays behind the last line, unfinished. */
static enum outcome decode_line(const struct table *table, struct reader *reader, struct output *output, bool *before) {
    if (!output_append(output, table->head.bytes, table->head.size))
        return failure(NO_ROOM, output);
    enum outcome outcome = decode_row(table, reader, output, before);
    if (outcome == ALL_ROWS && !output_append(output, table->tail.bytes, table->tail.size))
        return failure(NO_ROOM, output);
    return outcome;
}

enum outcome decode_rows(const struct table *table, struct block *block, struct output *output, size_t *written) {
    while (block->rows) {
        if (output->size >= table->chunk)
            return CHUNK_FULL;
        struct reader reader = {block->at, block->end};
        bool before = false;
        output->line = output->size;
        enum outcome outcome = decode_line(table, &reader, output, &before);
        if (outcome == ALL_ROWS && (size_t)(reader.at - block->at) > table->row_limit)
            outcome = LONG_ROW;
        if (outcome == ALL_ROWS && !before && output_line_is_too_long(output))
            outcome = LONG_LINE;
        if (outcome != ALL_ROWS || before)
            output->size = output->line; /* the line is dropped */
        else
            ++*written;
        if (outcome != ALL_ROWS)
            return outcome;
        block->at = reader.at;
        block->rows--;
    }
    return ALL_ROWS;
}
