/* Writes a row of Pendo's as a record: names are replaced, instants formatted, all other values copied.
 *
 * A row is an object of JSON without white space. What is written equals, byte for byte, what Python writes after it
 * has decoded the row (`orjson.loads`, `RecordMapper`, `orjson.dumps`). A row with a value that `values.h` does not
 * copy is refused and left to Python, and so is one with a name that the table does not have or has met before in this
 * row. That is never an error.
 *
 * A part of the row is its identity: an array of some columns in a fixed order, in which a value that is missing, null,
 * false, zero or empty is null, and the members of objects are sorted by their names.
 *
 * The bytes come from strangers. No byte is read beyond their end, and nothing is written beyond the room that
 * `record_room` and `identity_room` name. The caller has checked that the row is valid UTF-8; if it is not, the record
 * is not, either, and that is all. Nothing here knows Python. */

#ifndef RECORDS_H
#define RECORDS_H

#include "values.h"

#include <stdint.h>

enum { INSTANT_SIZE = 24 };

struct column {
    struct span name;      /* the vendor's name, as it stands between the quotes */
    struct span written;   /* `,"our_name":` */
    bool is_instant;       /* whether it is written as an instant; the row has milliseconds since 1970 */
    ptrdiff_t place;       /* in the identity; -1: it is not in it */
    uint64_t met_in;       /* the last row that has it */
    struct column *next;   /* the column after it in an earlier row, where the search for a name begins */
};

/* A value of the identity, within the row or the record that was written last. */
struct part {
    struct span value;
    bool is_sorted; /* whether the members of all its objects are */
};

struct table {
    struct column *columns;
    size_t count;
    struct column **slots; /* the columns by the hash of their names; NULL is an empty slot */
    size_t slot_count;     /* a power of two, at least twice the number of columns */
    const struct column *required; /* a row without a value for it is refused */
    size_t growth;         /* how much longer than its row a record may be */
    struct part *identity;
    size_t identity_count; /* at least 1 */
    uint64_t rows;         /* that were begun */
};

/* Fills the slots of a table that has its columns, and its growth. */
void index_columns(struct table *table);

/* The most bytes of the record of a row of `size` bytes. */
size_t record_room(const struct table *table, size_t size);

/* Reads the row that begins at `row` and writes its record at `*to`, without the closing brace, and moves `*to` behind
 * it. Other bytes may follow the row, up to `end`. Returns the end of the row, NULL if it is refused. There is room for
 * the record of a row up to `end`. */
const char *write_record(struct table *table, const char *row, const char *end, char **to);

/* The most bytes of the identity of a row of `size` bytes. */
size_t identity_room(const struct table *table, size_t size);

/* Writes the identity of the row of which `write_record` has just returned the record, without its opening bracket.
 * Returns the end. */
char *write_identity(const struct table *table, char *to);

#endif
