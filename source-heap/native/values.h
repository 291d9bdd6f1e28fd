/* Writes values to the output as JSON, in the form that the catalog and the schema ask for. */

#ifndef VALUES_H
#define VALUES_H

#include "instant.h"
#include "output.h"
#include "reader.h"

/* What is written of a value. */
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
    INTEGER_IN_TEXT, /* a text of digits, as an integer */
    UNUSUAL,         /* nothing: the row is the reference decoder's */
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

/* Whether the form can be written of the kind, with this scale. What is below relies on it. */
bool branch_is_valid(const struct branch *branch);

/* Writes a value in its branch's form, unless that is `SKIPPED`. An enum's index must be one of its symbols. */
enum written write_value(struct output *output, const struct branch *branch, const struct value *value);

/* What a value is that should be an instant. */
enum found {
    FOUND,
    NO_INSTANT, /* null or 0, also as text */
    UNCLEAR,    /* the reference decoder knows */
};

/* The instant of a value in microseconds since 1970, whatever its branch's form. */
enum found find_instant(int64_t *micros, const struct branch *branch, const struct value *value);

/* The same for a count in the form `TIMESTAMP` or `LOCAL_TIMESTAMP`, where a 0 may be an instant. */
enum found find_timestamp(int64_t *micros, const struct branch *branch, int64_t count);

/* Reads a text that is digits only, with or without a sign. False for any other, and for one of more digits than surely
 * fit: the reference decoder looks at it. */
bool read_integer(const struct value *text, int64_t *number);

#endif
