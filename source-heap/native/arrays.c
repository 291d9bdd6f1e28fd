#include "arrays.h"

#include "json.h"

#include <math.h>
#include <stdlib.h>

/* The first size of a text's memory. Bytes. The fuzzers see it grow, so it is small. */
enum { FIRST_TEXT_ROOM = 64 };

/* ------------------------------------------------------------------------------------------------------- memory */

size_t array_values_size(const struct array *array, size_t rows) {
    switch (array->element) {
    case NO_ELEMENT:
        return 0;
    case BOOLEANS:
        return (rows + 7) / 8;
    case TEXTS:
        return (rows + 1) * sizeof *array->values.ends;
    case DAYS:
        return rows * sizeof *array->values.days;
    default:
        return rows * sizeof *array->values.longs;
    }
}

bool arrays_allocate(struct arrays *arrays) {
    for (size_t i = 0; i < arrays->count; i++) {
        struct array *array = &arrays->columns[i];
        if (array->element == NO_ELEMENT)
            continue;
        array->valid = calloc((arrays->room + 7) / 8, 1);
        array->values.bits = calloc(array_values_size(array, arrays->room), 1);
        if (array->valid == NULL || array->values.bits == NULL)
            return false;
    }
    return true;
}

static void free_text(struct array *array) {
    free(array->text);
    array->text = NULL;
    array->text_size = array->text_room = 0;
}

void arrays_free(struct arrays *arrays) {
    for (size_t i = 0; i < arrays->count; i++) {
        free(arrays->columns[i].valid);
        free(arrays->columns[i].values.bits);
        free_text(&arrays->columns[i]);
    }
    output_free(&arrays->scratch);
}

/* Makes room for more bytes of text, which `ends` can count. */
static enum written reserve_text(struct array *array, size_t wanted) {
    if (wanted > INT32_MAX - array->text_size)
        return NOT_WRITABLE;
    size_t needed = array->text_size + wanted;
    size_t room = array->text_room ? array->text_room : FIRST_TEXT_ROOM;
    while (room < needed)
        room *= 2;
    if (room == array->text_room)
        return WRITTEN;
    char *text = realloc(array->text, room);
    if (text == NULL)
        return OUT_OF_MEMORY;
    array->text = text;
    array->text_room = room;
    return WRITTEN;
}

/* --------------------------------------------------------------------------------------------------------- rows */

void arrays_keep_row(struct arrays *arrays) {
    arrays->rows++;
    arrays->text_size += arrays->row_text;
    arrays->row_text = 0;
}

void arrays_drop_row(struct arrays *arrays) {
    for (size_t i = 0; i < arrays->count; i++) {
        struct array *array = &arrays->columns[i];
        if (array->element == TEXTS)
            array->text_size = (size_t)array->values.ends[arrays->rows];
    }
    arrays->row_text = 0;
}

void arrays_clear(struct arrays *arrays, size_t text_room) {
    size_t room = 0;
    for (size_t i = 0; i < arrays->count; i++)
        room += arrays->columns[i].text_room;
    for (size_t i = 0; i < arrays->count; i++) {
        arrays->columns[i].text_size = 0;
        if (room > text_room)
            free_text(&arrays->columns[i]);
    }
    arrays->rows = arrays->text_size = arrays->row_text = 0;
}

/* ------------------------------------------------------------------------------------------------------- values */

static void set_bit(uint8_t *bits, size_t at, bool on) {
    uint8_t bit = (uint8_t)(1 << (at & 7));
    bits[at >> 3] = (uint8_t)(on ? bits[at >> 3] | bit : bits[at >> 3] & ~bit);
}

/* No value: a 0 is in its place, so that nothing of another row is. */
static enum written set_null(struct array *array, size_t row) {
    set_bit(array->valid, row, false);
    switch (array->element) {
    case NO_ELEMENT:
        break;
    case BOOLEANS:
        set_bit(array->values.bits, row, false);
        break;
    case TEXTS:
        array->values.ends[row + 1] = (int32_t)array->text_size;
        break;
    case DAYS:
        array->values.days[row] = 0;
        break;
    default:
        array->values.longs[row] = 0; /* all bits of the number 0.0 are 0, too */
    }
    return WRITTEN;
}

static enum written set_long(struct array *array, size_t row, int64_t value) {
    set_bit(array->valid, row, true);
    array->values.longs[row] = value;
    return WRITTEN;
}

static enum written set_integer(struct array *array, size_t row, const struct branch *branch,
                                const struct value *value) {
    int64_t number;
    if (branch->form == PLAIN && branch->kind == LONG)
        return set_long(array, row, value->integer);
    if (branch->form == INTEGER_IN_TEXT && read_integer(value, &number))
        return set_long(array, row, number);
    return NOT_WRITABLE;
}

static enum written set_double(struct array *array, size_t row, const struct branch *branch,
                               const struct value *value) {
    if (branch->form != PLAIN)
        return NOT_WRITABLE;
    if (branch->kind == LONG)
        array->values.doubles[row] = (double)value->integer;
    else if ((branch->kind == FLOAT || branch->kind == DOUBLE) && isfinite(value->number))
        array->values.doubles[row] = value->number;
    else
        return NOT_WRITABLE;
    set_bit(array->valid, row, true);
    return WRITTEN;
}

static enum written set_boolean(struct array *array, size_t row, const struct branch *branch,
                                const struct value *value) {
    if (branch->form != PLAIN || branch->kind != BOOLEAN)
        return NOT_WRITABLE;
    set_bit(array->valid, row, true);
    set_bit(array->values.bits, row, value->integer != 0);
    return WRITTEN;
}

static enum written set_found(struct array *array, size_t row, enum found found, int64_t micros) {
    if (found == UNCLEAR)
        return NOT_WRITABLE;
    return found == FOUND ? set_long(array, row, micros) : set_null(array, row);
}

static enum written set_instant(struct array *array, size_t row, const struct branch *branch,
                                const struct value *value) {
    int64_t micros = 0;
    enum found found = UNCLEAR;
    if (branch->form == (array->element == INSTANTS ? TIMESTAMP : LOCAL_TIMESTAMP))
        found = find_timestamp(&micros, branch, value->integer);
    else if (branch->form == INSTANT && array->element == INSTANTS)
        found = find_instant(&micros, branch, value);
    return set_found(array, row, found, micros);
}

static enum written set_day(struct array *array, size_t row, const struct branch *branch, const struct value *value) {
    if (branch->form != DAY_OF_YEAR || !is_day(value->integer))
        return NOT_WRITABLE;
    set_bit(array->valid, row, true);
    array->values.days[row] = (int32_t)value->integer;
    return WRITTEN;
}

/* ------------------------------------------------------------------------------------------------------- texts */

static enum written set_text(struct arrays *arrays, struct array *array, const char *text, size_t size) {
    if (size > arrays->row_text_limit - arrays->row_text)
        return NOT_WRITABLE;
    enum written reserved = reserve_text(array, size);
    if (reserved != WRITTEN)
        return reserved;
    if (size > 0)
        memcpy(array->text + array->text_size, text, size);
    array->text_size += size;
    arrays->row_text += size;
    set_bit(array->valid, arrays->rows, true);
    array->values.ends[arrays->rows + 1] = (int32_t)array->text_size;
    return WRITTEN;
}

static enum written set_bytes(struct arrays *arrays, struct array *array, const struct value *value) {
    if (!text_is_utf8(value->bytes, value->size))
        return NOT_WRITABLE;
    return set_text(arrays, array, (const char *)value->bytes, value->size);
}

/* What JSON has in quotes, without them: the forms that come here have nothing to escape. */
static enum written set_from_json(struct arrays *arrays, struct array *array, const struct branch *branch,
                                  const struct value *value) {
    struct output *json = &arrays->scratch;
    json->size = json->line = 0;
    enum written written = write_value(json, branch, value);
    if (written != WRITTEN)
        return written;
    if (json->data[0] != '"')
        return set_null(array, arrays->rows); /* no instant */
    return set_text(arrays, array, json->data + 1, json->size - 2);
}

static enum written set_in_text(struct arrays *arrays, struct array *array, const struct branch *branch,
                                const struct value *value) {
    int64_t micros;
    switch (branch->form) {
    case PLAIN:
        if (branch->kind == BYTES || branch->kind == FIXED)
            return set_bytes(arrays, array, value);
        if (branch->kind == ENUM)
            return set_text(arrays, array, branch->symbols[value->integer].bytes,
                            branch->symbols[value->integer].size);
        return NOT_WRITABLE;
    case TEXT_OR_INSTANT:
        if (branch->kind != BYTES || micros_from_text(&micros, value->bytes, value->size))
            return set_from_json(arrays, array, branch, value);
        return set_bytes(arrays, array, value);
    case SKIPPED:
    case INTEGER_IN_TEXT:
    case UNUSUAL:
        return NOT_WRITABLE;
    default:
        return set_from_json(arrays, array, branch, value);
    }
}

enum written arrays_set(struct arrays *arrays, size_t column, const struct branch *branch, const struct value *value) {
    struct array *array = &arrays->columns[column];
    if (branch->form == SKIPPED)
        return WRITTEN;
    if (branch->form == UNUSUAL || array->element == NO_ELEMENT)
        return NOT_WRITABLE;
    if (branch->kind == NULL_KIND && branch->form == PLAIN)
        return set_null(array, arrays->rows);
    switch (array->element) {
    case NO_ELEMENT:
        break;
    case LONGS:
        return set_integer(array, arrays->rows, branch, value);
    case DOUBLES:
        return set_double(array, arrays->rows, branch, value);
    case BOOLEANS:
        return set_boolean(array, arrays->rows, branch, value);
    case TEXTS:
        return set_in_text(arrays, array, branch, value);
    case INSTANTS:
    case LOCAL_INSTANTS:
        return set_instant(array, arrays->rows, branch, value);
    case DAYS:
        return set_day(array, arrays->rows, branch, value);
    }
    return NOT_WRITABLE;
}
