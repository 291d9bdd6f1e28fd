/* Decodes rows of Avro's binary encoding to lines of JSON, or to columns in Arrow's layout.
 *
 * A block holds rows without anything between them. A row is the values of its columns in the order of the schema, each
 * encoded as `reader.h` says. A column may be a union of several types (branches): then the index of the branch comes
 * before the value, as a long.
 *
 * Arrays, maps and records within a row are the reference decoder's, and so is each single row that this decoder cannot
 * write exactly as the reference decoder would: `decode_rows` stops behind it, and the caller goes on from there.
 *
 * The bytes come from strangers. No byte is read beyond the block, no length is trusted, a row's and a line's size have
 * limits, and nothing recurses. Time and output grow with the rows and their columns, also of rows without any bytes:
 * the caller limits how many of these there may be. Nothing here knows Python, and two decoders share nothing. */

#ifndef ROWS_H
#define ROWS_H

#include "arrays.h"

struct column {
    struct span name; /* `,"name":`, without the comma for the first column that is written */
    struct span null; /* the same with null behind it */
    bool is_union;    /* whether an index of a branch comes before the value */
    bool decides;     /* whether rows are filtered by this column's instant */
    const struct branch *branches;
    size_t branch_count;
};

struct table {
    const struct column *columns;
    size_t column_count;
    struct span head;  /* of each line, up to the first column; lines only, as the tail and the names of columns */
    struct span tail;  /* of each line, from the last column to the line feed */
    struct span since; /* an instant as `instant.h` writes it: rows before it are filtered out. Empty: none are */
    size_t row_limit;  /* most bytes of a row */
    size_t chunk;      /* bytes of output after which to stop; of arrays, bytes of text */
};

/* Whether a table keeps what its members promise: `decode_rows` relies on it, and on `branch_is_valid`. */
bool table_is_valid(const struct table *table);

/* Whether arrays fit a table: one for each column, with an element if the column is selected. There is room for a row. */
bool arrays_are_valid(const struct arrays *arrays, const struct table *table);

enum outcome {
    ALL_ROWS,    /* all rows of the block are decoded */
    CHUNK_FULL,  /* the output is to be taken */
    UNUSUAL_ROW, /* the last row has nothing in the output: the reference decoder has to write it */
    BROKEN_ROW,  /* the block ends within the next row, or a value of it is invalid */
    BAD_BRANCH,  /* an index of a union or an enum in the next row is none */
    LONG_ROW,    /* the next row is longer than `row_limit` */
    NO_MEMORY,
};

struct block {
    const uint8_t *at;  /* moved behind each row that was decoded, or is unusual */
    const uint8_t *end;
    const uint8_t *row; /* where the last of these rows begins */
    uint64_t rows;      /* still to be decoded; counted down */
};

/* Appends a line to the output for each row of a block that is not filtered out; `written` counts them. */
enum outcome decode_rows(const struct table *table, struct block *block, struct output *output, size_t *written);

/* The same to arrays: `CHUNK_FULL` also if there is no room for another row. An enum's symbols are texts as they are. */
enum outcome decode_arrays(const struct table *table, struct block *block, struct arrays *arrays);

#endif
