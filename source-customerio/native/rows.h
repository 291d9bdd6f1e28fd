/* Cuts rows out of a list of JSON, and reads a few columns of each, without decoding the rest:
 *
 *   [{"id":"a","created":1,...},{"id":"b","created":2,...}]
 *
 * A row goes on as it came, so each is checked to its end, and only text that every parser reads alike is accepted. The
 * rest is refused, whether it is JSON or not:
 *
 *   between tokens  nothing, so no spaces and no line feeds
 *   row             an object with each of the columns exactly once. No name in it has escapes
 *   column          a text without escapes, or an integer
 *   other value     any value, nested up to `DEEPEST` deep
 *   text            without bytes below 0x20, and without \u escapes of surrogates. That it is UTF-8 is the caller's
 *                   promise
 *   number          of up to 18 digits; with a point, of up to 17 on both sides of it; with an exponent of one or two
 *                   digits. So no integer needs more than 64 bits, and no number is beyond the range of a double
 *
 * Names of other members may come twice. Parsers keep the last of them. */

#ifndef ROWS_H
#define ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DEEPEST = 64, MOST_COLUMNS = 8 };

struct span {
    const char *bytes;
    size_t size;
};

/* A column whose values are texts, or integers. The name has no escapes. */
struct column {
    struct span name;
    bool is_integer;
};

/* At least one, at most `MOST_COLUMNS`, with different names. */
struct columns {
    size_t count;
    struct column all[MOST_COLUMNS];
};

/* The value of a column: an integer's number, or a text, which points into the row. */
struct value {
    int64_t number;
    struct span text;
};

/* Where the next byte is read, and where reading ends. */
struct cursor {
    const char *at;
    const char *end;
};

/* Skips a byte if it comes next. */
bool skip_byte(struct cursor *c, char byte);

/* Reads a row, and the value of each column. False if it is refused; then the cursor is anywhere. */
bool read_row(struct cursor *c, const struct columns *columns, struct value values[MOST_COLUMNS]);

#endif
