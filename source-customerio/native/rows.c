#include "rows.h"

#include <string.h>

static bool is_at(const struct cursor *c, char byte) { return c->at < c->end && *c->at == byte; }

bool skip_byte(struct cursor *c, char byte) {
    if (!is_at(c, byte))
        return false;
    c->at++;
    return true;
}

static bool skip_word(struct cursor *c, const char *word, size_t size) {
    if ((size_t)(c->end - c->at) < size || memcmp(c->at, word, size) != 0)
        return false;
    c->at += size;
    return true;
}

/* -------------------------------------------------------------------------------------------------------- texts */

/* Text is looked at in words of eight bytes, of which the first is the lowest. Elsewhere the module is not built. */
#define EACH_BYTE(byte) (0x0101010101010101u * (uint64_t)(byte))
enum { WORD = 8 };
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the order of bytes");

/* The high bit of each byte that is below 0x20, a quote or a backslash. Bytes behind the first such one may be marked
 * wrongly, which does not matter. */
static uint64_t special_bytes(uint64_t word) {
    uint64_t quote = word ^ EACH_BYTE('"'), backslash = word ^ EACH_BYTE('\\');
    return (((word - EACH_BYTE(0x20)) & ~word) | ((quote - EACH_BYTE(1)) & ~quote) |
            ((backslash - EACH_BYTE(1)) & ~backslash)) &
           EACH_BYTE(0x80);
}

/* The end of the bytes that stand for themselves in a text. */
static const char *plain_end(const char *at, const char *end) {
    for (; end - at >= WORD; at += WORD) {
        uint64_t word, special;
        memcpy(&word, at, WORD);
        special = special_bytes(word);
        if (special != 0)
            return at + __builtin_ctzll(special) / 8;
    }
    while (at < end && (unsigned char)*at >= 0x20 && *at != '"' && *at != '\\')
        at++;
    return at;
}

static bool is_hex_digit(char byte) {
    return (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f');
}

/* Skips an escape, of which `at` is the backslash. Half of a surrogate pair is no character, so `\uD800` to `\uDFFF`
 * are refused. */
static bool skip_escape(struct cursor *c) {
    ptrdiff_t left = c->end - c->at;
    if (left >= 2 && c->at[1] != '\0' && strchr("\"\\/bfnrt", c->at[1])) {
        c->at += 2;
        return true;
    }
    if (left < 6 || c->at[1] != 'u')
        return false;
    const char *digits = c->at + 2;
    for (int i = 0; i < 4; i++)
        if (!is_hex_digit(digits[i]))
            return false;
    if ((digits[0] | 0x20) == 'd' && digits[1] >= '8')
        return false;
    c->at += 6;
    return true;
}

/* Reads a text. `*plain` is what stands between its quotes; if there are escapes, `*has_escapes` is set. */
static bool read_text(struct cursor *c, struct span *plain, bool *has_escapes) {
    if (!skip_byte(c, '"'))
        return false;
    plain->bytes = c->at;
    *has_escapes = false;
    while ((c->at = plain_end(c->at, c->end)), is_at(c, '\\')) {
        if (!skip_escape(c))
            return false;
        *has_escapes = true;
    }
    plain->size = (size_t)(c->at - plain->bytes);
    return skip_byte(c, '"');
}

static bool read_plain_text(struct cursor *c, struct span *plain) {
    bool has_escapes;
    return read_text(c, plain, &has_escapes) && !has_escapes;
}

static bool skip_text(struct cursor *c) {
    struct span plain;
    bool has_escapes;
    return read_text(c, &plain, &has_escapes);
}

/* ------------------------------------------------------------------------------------------------------ numbers */

enum { INTEGER_DIGITS = 18, DECIMAL_DIGITS = 17, EXPONENT_DIGITS = 2 };

static size_t skip_digits(struct cursor *c) {
    const char *begin = c->at;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9')
        c->at++;
    return (size_t)(c->at - begin);
}

/* Skips an integer and returns the number of its digits, 0 if it is refused. */
static size_t skip_integer(struct cursor *c) {
    skip_byte(c, '-');
    bool is_zero = is_at(c, '0');
    size_t digits = skip_digits(c);
    return digits > INTEGER_DIGITS || (is_zero && digits > 1) ? 0 : digits;
}

static bool skip_number(struct cursor *c) {
    size_t whole = skip_integer(c);
    if (whole == 0)
        return false;
    if (skip_byte(c, '.')) {
        size_t fraction = skip_digits(c);
        if (fraction == 0 || whole + fraction > DECIMAL_DIGITS)
            return false;
    }
    if (!skip_byte(c, 'e') && !skip_byte(c, 'E'))
        return true;
    if (!skip_byte(c, '+'))
        skip_byte(c, '-');
    size_t exponent = skip_digits(c);
    return exponent >= 1 && exponent <= EXPONENT_DIGITS;
}

/* What follows the integer must be a comma or a brace, so a number with a point or an exponent is refused later. */
static bool read_integer(struct cursor *c, int64_t *number) {
    bool is_negative = is_at(c, '-');
    const char *digits = c->at + is_negative;
    if (skip_integer(c) == 0)
        return false;
    int64_t size = 0;
    for (; digits < c->at; digits++)
        size = size * 10 + (*digits - '0');
    *number = is_negative ? -size : size;
    return true;
}

/* ------------------------------------------------------------------------------------------------------- values */

static bool skip_value(struct cursor *c, int depth);

static bool skip_items(struct cursor *c, int depth) {
    if (skip_byte(c, ']'))
        return true;
    do {
        if (!skip_value(c, depth))
            return false;
    } while (skip_byte(c, ','));
    return skip_byte(c, ']');
}

static bool skip_members(struct cursor *c, int depth) {
    if (skip_byte(c, '}'))
        return true;
    do {
        if (!skip_text(c) || !skip_byte(c, ':') || !skip_value(c, depth))
            return false;
    } while (skip_byte(c, ','));
    return skip_byte(c, '}');
}

/* Skips a value within `depth` arrays and objects. */
static bool skip_value(struct cursor *c, int depth) {
    if (c->at == c->end)
        return false;
    switch (*c->at) {
    case '"':
        return skip_text(c);
    case '{':
        return depth < DEEPEST && skip_byte(c, '{') && skip_members(c, depth + 1);
    case '[':
        return depth < DEEPEST && skip_byte(c, '[') && skip_items(c, depth + 1);
    case 't':
        return skip_word(c, "true", 4);
    case 'f':
        return skip_word(c, "false", 5);
    case 'n':
        return skip_word(c, "null", 4);
    default:
        return skip_number(c);
    }
}

/* --------------------------------------------------------------------------------------------------------- rows */

/* The place of a column, or how many there are if none has this name. */
static size_t place_of(const struct columns *columns, struct span name) {
    size_t place = 0;
    for (; place < columns->count; place++) {
        struct span column = columns->all[place].name;
        if (column.size == name.size && memcmp(column.bytes, name.bytes, name.size) == 0)
            break;
    }
    return place;
}

static bool read_value(struct cursor *c, const struct column *column, struct value *value) {
    return column->is_integer ? read_integer(c, &value->number) : read_plain_text(c, &value->text);
}

bool read_row(struct cursor *c, const struct columns *columns, struct value values[MOST_COLUMNS]) {
    bool is_read[MOST_COLUMNS] = {false};
    size_t count = 0;
    if (!skip_byte(c, '{'))
        return false;
    do {
        struct span name;
        if (!read_plain_text(c, &name) || !skip_byte(c, ':'))
            return false;
        size_t place = place_of(columns, name);
        bool is_column = place < columns->count;
        if (is_column ? is_read[place] || !read_value(c, &columns->all[place], &values[place]) : !skip_value(c, 1))
            return false;
        if (is_column)
            is_read[place] = true;
        count += is_column;
    } while (skip_byte(c, ','));
    return count == columns->count && skip_byte(c, '}');
}
