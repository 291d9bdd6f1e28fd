/* Decodes rows of Avro's binary encoding to lines of JSON.
 *
 * The format ("Binary Encoding" in the Avro 1.11 specification). A block holds rows without anything between them; a row
 * is the values of its columns in the order of the schema:
 *
 *   null            no bytes
 *   boolean         one byte, 0 or 1
 *   int, long       zigzag (0, -1, 1, -2, ... as 0, 1, 2, 3, ...), seven bits a byte, the lowest first; the high bit of
 *                   a byte says that another one follows; ten bytes at most
 *   float, double   four or eight bytes, IEEE 754, little-endian
 *   string, bytes   the length as a long, then so many bytes
 *   enum            the index of the symbol as an int
 *   fixed           as many bytes as the schema says
 *   union           the index of the branch as a long, then a value of that branch
 *
 * A column here is one of these, or a union of several. Arrays, maps and records within a row are the reference
 * decoder's. So is each single row that this decoder cannot write exactly as the reference decoder would: `decode_rows`
 * stops before it, and the caller goes on after it.
 *
 * The bytes come from strangers. No byte is read beyond the block, no length is trusted, a row's and a line's size have
 * limits, and nothing recurses. Nothing here knows Python, and nothing is shared between two decoders.
 */

#ifndef ROWS_H
#define ROWS_H

#include "output.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a value is encoded. */
enum kind { NULL_KIND, BOOLEAN, LONG, FLOAT, DOUBLE, BYTES, ENUM, FIXED };

/* What is written of it. */
enum form {
    SKIPPED,         /* nothing: the column is not selected */
    PLAIN,           /* the value as it is: a number, a text, true, false */
    QUOTED,          /* a number or a boolean as text */
    INSTANT,         /* a text or a number that is an instant */
    TEXT_OR_INSTANT, /* a text, as an instant if it is one */
    TIMESTAMP,       /* a count since 1970, in UTC; `scale` is the nanoseconds of one */
    LOCAL_TIMESTAMP, /* the same without a zone */
    DAY_OF_YEAR,     /* a count of days since 1970, as a date */
    TIME_OF_DAY,     /* a count since midnight; `scale` is the nanoseconds of one */
    DECIMAL,         /* a big-endian integer; `scale` is how many of its digits are behind the point */
    IDENTIFIER,      /* a UUID of sixteen bytes */
    UNUSUAL,         /* the row goes to the reference decoder */
};

struct span {
    const char *bytes;
    size_t size;
};

/* One type that a column may have: see `branch_is_valid` for what goes together. */
struct branch {
    enum kind kind;
    enum form form;
    int64_t scale;
    bool zero_is_null;          /* a timestamp of 0 is no instant */
    size_t size;                /* of a fixed, in bytes */
    const struct span *symbols; /* of an enum, as JSON */
    size_t symbol_count;
};

/* Whether the form can be written of the kind, with this scale. The decoder relies on it for every branch. */
bool branch_is_valid(const struct branch *branch);

struct column {
    struct span name;       /* `,"name":`, without the comma for the first column that is written */
    struct span null;       /* the same with null behind it */
    bool is_union;          /* whether an index of a branch comes before the value */
    bool decides;           /* whether rows are filtered by this column's instant */
    const struct branch *branches;
    size_t branch_count;
};

struct table {
    const struct column *columns;
    size_t column_count;
    struct span head;       /* of each line, up to the first column */
    struct span tail;       /* of each line, from the last column to the line feed */
    struct span since;      /* an instant as this decoder writes it; rows before it are filtered out; empty: none are */
    size_t row_limit;       /* most bytes of a row */
    size_t chunk;           /* bytes of output after which to stop */
};

enum outcome {
    ALL_ROWS,     /* so many rows as were asked for */
    CHUNK_FULL,   /* the output is to be taken */
    UNUSUAL_ROW,  /* the next row is the reference decoder's */
    BROKEN_ROW,   /* the block ends within it, or a length or an integer is none */
    BAD_BRANCH,   /* an index of a union or an enum is none */
    LONG_ROW,     /* the row is longer than `row_limit` */
    LONG_LINE,    /* the line is longer than the output allows */
    NO_MEMORY,
};

struct block {
    const uint8_t *at;  /* moved behind each row that was decoded */
    const uint8_t *end;
    size_t rows;        /* still to be decoded; counted down */
};

/* Appends a line to the output for each row of a block that is not filtered out; `written` counts them. */
enum outcome decode_rows(const struct table *table, struct block *block, struct output *output, size_t *written);

#endif
