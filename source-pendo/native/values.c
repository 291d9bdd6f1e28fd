#include "values.h"

#include <stdint.h>
#include <string.h>

/* Bytes are looked at, compared and copied in words of eight, of which the first is the lowest. Elsewhere the module is
 * not built. */
#define EACH_BYTE(byte) (0x0101010101010101u * (uint64_t)(byte))
enum { WORD = 8, LONG_SPAN = 64 };
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the order of bytes");

static uint64_t word_at(const char *at) {
    uint64_t word;
    memcpy(&word, at, WORD);
    return word;
}

char *append(char *to, struct span span) {
    size_t at = 0;
    if (span.size > LONG_SPAN)
        return (char *)memcpy(to, span.bytes, span.size) + span.size;
    for (; at + WORD <= span.size; at += WORD)
        memcpy(to + at, span.bytes + at, WORD);
    for (; at < span.size; at++)
        to[at] = span.bytes[at];
    return to + span.size;
}

bool same(struct span one, struct span other) {
    size_t at = 0;
    if (one.size != other.size)
        return false;
    for (; at + WORD <= one.size; at += WORD)
        if (word_at(one.bytes + at) != word_at(other.bytes + at))
            return false;
    for (; at < one.size; at++)
        if (one.bytes[at] != other.bytes[at])
            return false;
    return true;
}

bool is_at(const struct cursor *c, char byte) { return c->at < c->end && *c->at == byte; }

bool copy_byte(struct cursor *c, char byte) {
    if (!is_at(c, byte))
        return false;
    *c->to++ = *c->at++;
    return true;
}

bool copy_word(struct cursor *c, const char *word, size_t size) {
    if ((size_t)(c->end - c->at) < size || memcmp(c->at, word, size) != 0)
        return false;
    memcpy(c->to, word, size);
    c->at += size;
    c->to += size;
    return true;
}

/* -------------------------------------------------------------------------------------------------------- texts */

/* The high bit of each byte that is below 0x20, a quote or a backslash. Bytes behind the first such one may be marked
 * wrongly, which does not matter. */
static uint64_t special_bytes(uint64_t word) {
    uint64_t quote = word ^ EACH_BYTE('"'), backslash = word ^ EACH_BYTE('\\');
    return (((word - EACH_BYTE(0x20)) & ~word) | ((quote - EACH_BYTE(1)) & ~quote) |
            ((backslash - EACH_BYTE(1)) & ~backslash)) &
           EACH_BYTE(0x80);
}

/* How many bytes are before the first one that is marked. */
static int first_marked(uint64_t special) { return __builtin_ctzll(special) / 8; }

/* The end of the bytes that stand for themselves in a text. */
static const char *plain_end(const char *at, const char *end) {
    for (; end - at >= WORD; at += WORD) {
        uint64_t special = special_bytes(word_at(at));
        if (special)
            return at + first_marked(special);
    }
    while (at < end && (unsigned char)*at >= 0x20 && *at != '"' && *at != '\\')
        at++;
    return at;
}

static int hex_digit(char byte) {
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* An escape, `at` is its backslash. Some encoders write `&`, `<` and `>` as `\u0026`, ..., and `/` as `\/`. */
static bool copy_escape(struct cursor *c) {
    ptrdiff_t left = c->end - c->at;
    if (left >= 2 && c->at[1] == '/') {
        *c->to++ = '/';
        c->at += 2;
        return true;
    }
    if (left >= 2 && c->at[1] != '\0' && strchr("\"\\bfnrt", c->at[1])) {
        memcpy(c->to, c->at, 2);
        c->at += 2;
        c->to += 2;
        return true;
    }
    if (left < 6 || memcmp(c->at, "\\u00", 4) != 0)
        return false;
    int high = hex_digit(c->at[4]), low = hex_digit(c->at[5]), byte = high * 16 + low;
    if (high < 2 || high > 7 || low < 0 || byte == '"' || byte == '\\')
        return false;
    *c->to++ = (char)byte;
    c->at += 6;
    return true;
}

/* Copies the bytes that stand for themselves. Up to seven more are written, for which there is room: what is copied is
 * never longer than what was read. */
static void copy_plain(struct cursor *c) {
    for (; c->end - c->at >= WORD; c->at += WORD, c->to += WORD) {
        uint64_t word = word_at(c->at), special = special_bytes(word);
        memcpy(c->to, &word, WORD);
        if (special) {
            c->at += first_marked(special);
            c->to += first_marked(special);
            return;
        }
    }
    const char *end = plain_end(c->at, c->end);
    c->to = append(c->to, (struct span){c->at, (size_t)(end - c->at)});
    c->at = end;
}

static bool copy_text(struct cursor *c) {
    if (!copy_byte(c, '"'))
        return false;
    for (;;) {
        copy_plain(c);
        if (copy_byte(c, '"'))
            return true;
        if (!is_at(c, '\\') || !copy_escape(c))
            return false;
    }
}

bool read_name(struct cursor *c, struct span *name) {
    if (!is_at(c, '"'))
        return false;
    const char *begin = c->at + 1, *end = plain_end(begin, c->end);
    if (c->end - end < 2 || end[0] != '"' || end[1] != ':')
        return false;
    *name = (struct span){begin, (size_t)(end - begin)};
    c->at = end + 2;
    return true;
}

const char *bracket_end(const char *at, const char *end) {
    size_t open = 0;
    bool in_text = false;
    while (at < end) {
        if (in_text)
            at = plain_end(at, end);
        if (in_text && end - at < 2)
            return NULL;
        char byte = *at++;
        if (byte == '"')
            in_text = !in_text;
        else if (in_text)
            at += byte == '\\';
        else if (byte == '{' || byte == '[')
            open++;
        else if ((byte == '}' || byte == ']') && --open == 0)
            return at;
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------------------------ numbers */

enum { INTEGER_DIGITS = 18, SIGNIFICANT_DIGITS = 15, ZEROS_BEHIND_POINT = 3, MOST_MEMBERS = 64 };

size_t count_digits(const char *at, const char *end) {
    const char *begin = at;
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return (size_t)(at - begin);
}

/* Whether digits with `fraction` digits behind the point are how an encoder writes the number that they are.
 *
 * `1.0` has its zero, no other number ends with one. Small numbers would get an exponent. */
static bool is_shortest(const char *digits, size_t whole, const char *behind, size_t fraction) {
    if (fraction == 0 || (behind[fraction - 1] == '0' && fraction > 1))
        return false;
    size_t zeros = 0;
    if (whole == 1 && digits[0] == '0')
        while (zeros < fraction && behind[zeros] == '0')
            zeros++;
    return whole + fraction <= SIGNIFICANT_DIGITS && zeros <= ZEROS_BEHIND_POINT;
}

static bool copy_number(struct cursor *c) {
    const char *digits = c->at + is_at(c, '-');
    size_t whole = count_digits(digits, c->end);
    const char *end = digits + whole;
    if (whole == 0 || whole > INTEGER_DIGITS || (digits[0] == '0' && (whole > 1 || digits != c->at)))
        return false; /* also -0 and -0.5, which is rare */
    if (end < c->end && *end == '.') {
        size_t fraction = count_digits(end + 1, c->end);
        if (!is_shortest(digits, whole, end + 1, fraction))
            return false;
        end += 1 + fraction;
    }
    /* what follows must be a comma or a bracket, so no exponent is overlooked */
    c->to = append(c->to, (struct span){c->at, (size_t)(end - c->at)});
    c->at = end;
    return true;
}

/* ------------------------------------------------------------------------------------------------------- values */

static bool copy_within(struct cursor *c, int depth);

static bool copy_items(struct cursor *c, int depth) {
    if (copy_byte(c, ']'))
        return true;
    do {
        if (!copy_within(c, depth))
            return false;
    } while (copy_byte(c, ','));
    return copy_byte(c, ']');
}

/* Below 0, 0 or above 0 as a name sorts before, with or behind another. */
static int order_of(struct span name, struct span other) {
    size_t common = name.size < other.size ? name.size : other.size;
    int order = memcmp(name.bytes, other.bytes, common);
    return order != 0 ? order : (name.size > other.size) - (name.size < other.size);
}

/* Copies a name that is not among the `count` names before it. `*ascend`: whether those are in ascending order. */
static bool copy_new_name(struct cursor *c, struct span names[MOST_MEMBERS], size_t count, bool *ascend) {
    const char *begin = c->at;
    if (count == MOST_MEMBERS || !read_name(c, &names[count]))
        return false;
    *ascend = *ascend && (count == 0 || order_of(names[count], names[count - 1]) > 0);
    for (size_t i = 0; i < count && !*ascend; i++)
        if (order_of(names[count], names[i]) == 0)
            return false;
    c->to = append(c->to, (struct span){begin, (size_t)(c->at - begin)});
    return true;
}

static bool copy_members(struct cursor *c, int depth) {
    struct span names[MOST_MEMBERS];
    size_t count = 0;
    bool ascend = true;
    if (copy_byte(c, '}'))
        return true;
    do {
        if (!copy_new_name(c, names, count++, &ascend) || !copy_within(c, depth))
            return false;
    } while (copy_byte(c, ','));
    c->is_sorted = c->is_sorted && ascend;
    return copy_byte(c, '}');
}

/* Copies a value within `depth` arrays and objects. */
static bool copy_within(struct cursor *c, int depth) {
    if (c->at == c->end)
        return false;
    switch (*c->at) {
    case '"':
        return copy_text(c);
    case '{':
        return depth < DEEPEST && copy_byte(c, '{') && copy_members(c, depth + 1);
    case '[':
        return depth < DEEPEST && copy_byte(c, '[') && copy_items(c, depth + 1);
    case 't':
        return copy_word(c, "true", 4);
    case 'f':
        return copy_word(c, "false", 5);
    case 'n':
        return copy_word(c, "null", 4);
    default:
        return copy_number(c);
    }
}

bool copy_value(struct cursor *c) { return copy_within(c, 0); }

bool is_blank(struct span value) {
    switch (value.bytes[0]) {
    case 'n':
    case 'f':
        return true;
    case '0':
        return value.size == 1 || (value.size == 3 && value.bytes[2] == '0');
    case '"':
    case '[':
    case '{':
        return value.size == 2;
    default:
        return false;
    }
}

/* ------------------------------------------------------------------------------------------------------ sorting */

struct member {
    struct span name, value;
};

/* The end of a text in written JSON; `at` is its first quote. */
static const char *text_end(const char *at) {
    for (at++; *at != '"'; at++)
        if (*at == '\\')
            at++;
    return at + 1;
}

/* The end of a value in an array or object of written JSON. */
static const char *value_end(const char *at) {
    size_t open = 0;
    do {
        if (*at == '"') {
            at = text_end(at);
            continue;
        }
        open += *at == '{' || *at == '[';
        open -= *at == '}' || *at == ']';
        at++;
    } while (open > 0 || (*at != ',' && *at != '}' && *at != ']'));
    return at;
}

/* Reads the members of an object in written JSON, which are at most `MOST_MEMBERS`, and sorts them by name. */
static size_t sorted_members(const char *at, struct member members[MOST_MEMBERS]) {
    size_t count = 0;
    for (at++; *at != '}'; at += *at == ',') {
        const char *behind = text_end(at), *end = value_end(behind + 1);
        struct member member = {{at + 1, (size_t)(behind - at - 2)}, {behind + 1, (size_t)(end - behind - 1)}};
        size_t place = count++;
        for (; place > 0 && order_of(members[place - 1].name, member.name) > 0; place--)
            members[place] = members[place - 1];
        members[place] = member;
        at = end;
    }
    return count;
}

static char *write_sorted_members(char *to, const char *at) {
    struct member members[MOST_MEMBERS];
    size_t count = sorted_members(at, members);
    *to++ = '{';
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            *to++ = ',';
        size_t size = members[i].name.size + 3; /* with quotes and colon */
        memcpy(to, members[i].name.bytes - 1, size);
        to = write_sorted(to + size, members[i].value);
    }
    *to++ = '}';
    return to;
}

static char *write_sorted_items(char *to, const char *at) {
    *to++ = '[';
    for (at++; *at != ']'; at += *at == ',') {
        const char *end = value_end(at);
        if (at[-1] == ',')
            *to++ = ',';
        to = write_sorted(to, (struct span){at, (size_t)(end - at)});
        at = end;
    }
    *to++ = ']';
    return to;
}

char *write_sorted(char *to, struct span value) {
    if (value.bytes[0] == '{')
        return write_sorted_members(to, value.bytes);
    if (value.bytes[0] == '[')
        return write_sorted_items(to, value.bytes);
    return append(to, value);
}
