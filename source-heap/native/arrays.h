/* Columns of values in Arrow's layout, one array for each column of a table.
 *
 * The layout ("Arrow Columnar Format", Apache Arrow): a bit for each row tells whether there is a value, the lowest bit
 * of a byte first. Values have eight bytes, days four and booleans a bit each; texts are UTF-8 behind each other, and
 * `ends[row]` and `ends[row + 1]` say where one begins and ends. Numbers are in the byte order of the machine.
 *
 * A row is complete when each of its columns was set; until then nothing of it counts, and its place is written again. */

#ifndef ARRAYS_H
#define ARRAYS_H

#include "values.h"

enum element {
    NO_ELEMENT, /* the column is not selected */
    LONGS,
    DOUBLES,
    BOOLEANS,
    TEXTS,
    INSTANTS,       /* microseconds since 1970 in UTC */
    LOCAL_INSTANTS, /* the same without a zone */
    DAYS,           /* days since 1970 */
};

struct array {
    enum element element;
    uint8_t *valid; /* NULL without an element, like what follows */
    union {
        int64_t *longs; /* also of instants */
        double *doubles;
        uint8_t *bits;
        int32_t *days;
        int32_t *ends;
    } values;
    char *text;
    size_t text_size, text_room;
};

struct arrays {
    struct array *columns;
    size_t count;
    size_t rows;           /* complete rows */
    size_t room;           /* most rows */
    size_t text_size;      /* bytes of text of the complete rows */
    size_t row_text;       /* bytes of text of the unfinished row */
    size_t row_text_limit; /* most of them */
    struct output scratch; /* a value as JSON, on its way to a text */
};

/* Makes room for the rows of `columns`, whose elements are known. False if there is no memory. */
bool arrays_allocate(struct arrays *arrays);

/* Frees all but `columns`. */
void arrays_free(struct arrays *arrays);

/* Bytes of an array's values with so many rows. */
size_t array_values_size(const struct array *array, size_t rows);

/* Sets a column of the unfinished row, unless the form is `SKIPPED`. `NOT_WRITABLE` if the value is not one of the
 * column's element, or one that only the reference decoder knows. */
enum written arrays_set(struct arrays *arrays, size_t column, const struct branch *branch, const struct value *value);

/* Completes the row, or forgets what was set of it. */
void arrays_keep_row(struct arrays *arrays);
void arrays_drop_row(struct arrays *arrays);

/* Forgets all rows, and frees the texts' memory if it has grown beyond `text_room`. */
void arrays_clear(struct arrays *arrays, size_t text_room);

#endif
