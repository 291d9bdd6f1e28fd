#include "records.h"

#include <string.h>

/* Where the next byte is read, where reading ends, where the next byte is written. A value is never written longer than
 * it is read, except instants. Functions that return false leave the cursor anywhere: the row is refused. */
struct cursor {
    const char *at;
    const char *end;
    char *to;
};

static bool is_at(const struct cursor *c, char byte) { return c->at < c->end && *c->at == byte; }

/* Copies a byte if it is the next one. */
static bool copy_byte(struct cursor *c, char byte) {
    if (!is_at(c, byte))
        return false;
    *c->to++ = *c->at++;
    return true;
}

static bool copy_word(struct cursor *c, const char *word, size_t size) {
    if ((size_t)(c->end - c->at) < size || memcmp(c->at, word, size) != 0)
        return false;
    memcpy(c->to, word, size);
    c->at += size;
    c->to += size;
    return true;
}

/* -------------------------------------------------------------------------------------------------------- texts */

/* Text is looked at in words of eight bytes. */
#define EACH_BYTE(byte) (0x0101010101010101u * (uint64_t)(byte))
enum { WORD = 8 };

/* The high bit of each byte that is below 0x20, a quote or a backslash. Bytes above the first such one may be marked
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
        uint64_t word;
        memcpy(&word, at, WORD);
        if (special_bytes(word))
            break;
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

static bool copy_text(struct cursor *c) {
    if (!copy_byte(c, '"'))
        return false;
    for (;;) {
        const char *end = plain_end(c->at, c->end);
        size_t size = (size_t)(end - c->at);
        memcpy(c->to, c->at, size);
        c->at = end;
        c->to += size;
        if (copy_byte(c, '"'))
            return true;
        if (!is_at(c, '\\') || !copy_escape(c))
            return false;
    }
}

/* Reads a name without escapes and the colon behind it. */
static bool read_name(struct cursor *c, struct span *name) {
    if (!is_at(c, '"'))
        return false;
    const char *begin = c->at + 1, *end = plain_end(begin, c->end);
    if (c->end - end < 2 || end[0] != '"' || end[1] != ':')
        return false;
    *name = (struct span){begin, (size_t)(end - begin)};
    c->at = end + 2;
    return true;
}

/* ------------------------------------------------------------------------------------------------------ numbers */

enum { INTEGER_DIGITS = 18, SIGNIFICANT_DIGITS = 15, ZEROS_BEHIND_POINT = 3 };

static size_t count_digits(const char *at, const char *end) {
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
    size_t size = (size_t)(end - c->at);
    memcpy(c->to, c->at, size); /* what follows must be a comma or a bracket, so no exponent is overlooked */
    c->at = end;
    c->to += size;
    return true;
}

/* ------------------------------------------------------------------------------------------------------- values */

static bool copy_value(struct cursor *c, int depth);

static bool copy_items(struct cursor *c, int depth) {
    if (copy_byte(c, ']'))
        return true;
    do {
        if (!copy_value(c, depth))
            return false;
    } while (copy_byte(c, ','));
    return copy_byte(c, ']');
}

/* Whether a name sorts behind another. */
static bool is_behind(struct span name, struct span other) {
    size_t common = name.size < other.size ? name.size : other.size;
    int order = memcmp(name.bytes, other.bytes, common);
    return order > 0 || (order == 0 && name.size > other.size);
}

static bool copy_members(struct cursor *c, int depth) {
    struct span before = {NULL, 0};
    if (copy_byte(c, '}'))
        return true;
    do {
        const char *begin = c->at;
        struct span name;
        if (!read_name(c, &name) || (before.bytes && !is_behind(name, before)))
            return false;
        size_t size = (size_t)(c->at - begin);
        memcpy(c->to, begin, size);
        c->to += size;
        before = name;
        if (!copy_value(c, depth))
            return false;
    } while (copy_byte(c, ','));
    return copy_byte(c, '}');
}

static bool copy_value(struct cursor *c, int depth) {
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

/* Whether a copied value is what Python calls false. */
static bool is_blank(struct span value) {
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

/* ----------------------------------------------------------------------------------------------------- instants */

static char *write_digits(char *to, int value, int width) {
    for (int i = width - 1; i >= 0; i--, value /= 10)
        to[i] = (char)('0' + value % 10);
    return to + width;
}

/* The first millisecond after the year 9999. */
static const int64_t YEAR_10000 = 253402300800000;
enum { DAY_SECONDS = 86400 };

/* The date of a day since 1970. Years are counted from March on, so that the day of a leap year is the last one; 400 of
 * them have 146,097 days (Howard Hinnant, "chrono-compatible low-level date algorithms"). */
static char *write_date(char *to, int day) {
    int since_march = day + 719468, era = since_march / 146097, day_of_era = since_march % 146097;
    int year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int month_from_march = (5 * day_of_year + 2) / 153;
    int month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    to = write_digits(to, year_of_era + era * 400 + (month <= 2), 4);
    *to++ = '-';
    to = write_digits(to, month, 2);
    *to++ = '-';
    return write_digits(to, day_of_year - (153 * month_from_march + 2) / 5 + 1, 2);
}

/* Milliseconds since 1970 as `"2026-03-01T05:00:00.123Z"`; null stays null. All else is refused, also times before 1970. */
static bool write_instant(struct cursor *c) {
    if (is_at(c, 'n'))
        return copy_word(c, "null", 4);
    size_t digits = count_digits(c->at, c->end);
    if (digits == 0 || digits > SIGNIFICANT_DIGITS || (*c->at == '0' && digits > 1))
        return false;
    int64_t millis = 0;
    for (const char *end = c->at + digits; c->at < end; c->at++)
        millis = millis * 10 + (*c->at - '0');
    if (millis >= YEAR_10000)
        return false;
    int second = (int)(millis / 1000 % DAY_SECONDS);
    *c->to++ = '"';
    c->to = write_date(c->to, (int)(millis / 1000 / DAY_SECONDS));
    *c->to++ = 'T';
    c->to = write_digits(c->to, second / 3600, 2);
    *c->to++ = ':';
    c->to = write_digits(c->to, second / 60 % 60, 2);
    *c->to++ = ':';
    c->to = write_digits(c->to, second % 60, 2);
    *c->to++ = '.';
    c->to = write_digits(c->to, (int)(millis % 1000), 3);
    *c->to++ = 'Z';
    *c->to++ = '"';
    return true;
}

/* ------------------------------------------------------------------------------------------------------ columns */

static bool has_name(const struct column *column, struct span name) {
    return column->name.size == name.size && memcmp(column->name.bytes, name.bytes, name.size) == 0;
}

/* FNV-1a: any hash would do, as the number of columns has a limit. */
static size_t hash(struct span name) {
    uint64_t value = 0xcbf29ce484222325u;
    for (size_t i = 0; i < name.size; i++)
        value = (value ^ (unsigned char)name.bytes[i]) * 0x100000001b3u;
    return (size_t)(value ^ (value >> 32));
}

/* The slot of a name: it holds the column, or is empty. */
static struct column **slot_of(const struct table *table, struct span name) {
    size_t at = hash(name) & (table->slot_count - 1);
    while (table->slots[at] && !has_name(table->slots[at], name))
        at = (at + 1) & (table->slot_count - 1);
    return &table->slots[at];
}

void index_columns(struct table *table) {
    for (size_t i = 0; i < table->count; i++)
        *slot_of(table, table->columns[i].name) = &table->columns[i];
}

/* -------------------------------------------------------------------------------------------------------- rows */

size_t record_room(const struct table *table, size_t size) {
    for (size_t i = 0; i < table->count; i++)
        size += table->columns[i].written.size + INSTANT_SIZE + 2;
    return size;
}

/* Writes one member. `*column` is the one before it, or NULL, and then this one. */
static bool write_member(struct table *table, struct cursor *c, struct column **column) {
    struct span name;
    if (!read_name(c, &name))
        return false;
    struct column *before = *column, *found = before ? before->next : NULL;
    if (!found || !has_name(found, name)) {
        found = *slot_of(table, name);
        if (before && found)
            before->next = found;
    }
    if (!found || found->met_in == table->rows)
        return false;
    found->met_in = table->rows;
    *column = found;
    size_t comma = before ? 0 : 1; /* which the first member does not need */
    memcpy(c->to, found->written.bytes + comma, found->written.size - comma);
    c->to += found->written.size - comma;
    struct span read = {c->at, 0}, written = {c->to, 0};
    if (!(found->is_instant ? write_instant(c) : copy_value(c, 0)))
        return false;
    read.size = (size_t)(c->at - read.bytes);
    written.size = (size_t)(c->to - written.bytes);
    struct span value = found->is_instant ? read : written;
    if (found->place >= 0 && !is_blank(value))
        table->identity[found->place] = value;
    return found != table->required || *read.bytes != 'n';
}

char *write_record(struct table *table, const char *row, size_t size, char *to) {
    struct cursor c = {row, row + size, to};
    struct column *column = NULL;
    table->rows++;
    for (size_t i = 0; i < table->identity_count; i++)
        table->identity[i] = (struct span){"null", 4};
    if (size > LONGEST_ROW || !copy_byte(&c, '{'))
        return NULL;
    do {
        if (!write_member(table, &c, &column))
            return NULL;
    } while (is_at(&c, ',') && c.at++);
    bool is_whole = is_at(&c, '}') && c.at + 1 == c.end;
    return is_whole && table->required->met_in == table->rows ? c.to : NULL;
}

size_t identity_room(const struct table *table, size_t size) { return size + table->identity_count * sizeof "null,"; }

char *write_identity(const struct table *table, char *to) {
    for (size_t i = 0; i < table->identity_count; i++) {
        struct span value = table->identity[i];
        memcpy(to, value.bytes, value.size);
        to += value.size;
        *to++ = i + 1 < table->identity_count ? ',' : ']';
    }
    return to;
}
