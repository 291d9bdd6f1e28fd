/* Copies the values of a row of JSON, each checked, and only if a decoder and an encoder would not change it:
 *
 *   text            without control characters. Escapes that an encoder writes in another way are rewritten, or refused
 *   integer         of up to 18 digits, not -0
 *   number          in digits with a point, of up to 15 significant digits, without a zero at the end: such a decimal
 *                   is the shortest one that reads as its double
 *   object          of up to 64 members, whose names differ and have no escapes. Their order stays
 *   array, true, false, null
 *
 * Arrays and objects may be nested up to `DEEPEST` deep. What is copied is never longer than what was read. */

#ifndef VALUES_H
#define VALUES_H

#include <stdbool.h>
#include <stddef.h>

enum { DEEPEST = 32 };

struct span {
    const char *bytes;
    size_t size;
};

/* Where the next byte is read, where reading ends, where the next byte is written. Functions that return false leave
 * the cursor anywhere: the row is refused. */
struct cursor {
    const char *at;
    const char *end;
    char *to;
    bool is_sorted; /* whether the names in all objects that were copied are in ascending order; set by the caller */
};

/* Copies bytes, of which there are few in most calls: faster than a call of `memcpy`. */
char *append(char *to, struct span span);

/* Whether the bytes are the same. */
bool same(struct span one, struct span other);

/* Whether a byte is the next one. */
bool is_at(const struct cursor *c, char byte);

/* Copies a byte, or a word, if it comes next. */
bool copy_byte(struct cursor *c, char byte);
bool copy_word(struct cursor *c, const char *word, size_t size);

bool copy_value(struct cursor *c);

/* Reads a name without escapes and the colon behind it. */
bool read_name(struct cursor *c, struct span *name);

/* The end of the object or array that begins at `at`, if it is JSON, which is not checked. NULL if it does not end. */
const char *bracket_end(const char *at, const char *end);

/* How many digits there are up to another byte or the end. */
size_t count_digits(const char *at, const char *end);

/* Whether a copied value is what Python calls false. */
bool is_blank(struct span value);

/* Writes a copied value with the members of each object in the order of their names' bytes, which is that of their
 * characters. Returns the end; the size is the same. */
char *write_sorted(char *to, struct span value);

#endif
