#include "records.h"

#include <string.h>

/* ----------------------------------------------------------------------------------------------------- instants */

static char *write_digits(char *to, int value, int width) {
    for (int i = width - 1; i >= 0; i--, value /= 10)
        to[i] = (char)('0' + value % 10);
    return to + width;
}

/* The first millisecond after the year 9999. */
static const int64_t YEAR_10000 = 253402300800000;
enum { MILLIS_DIGITS = 15, DAY_SECONDS = 86400 };

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

/* Milliseconds since 1970 as `"2026-03-01T05:00:00.123Z"`; null stays null, and 0, which is no time, becomes null. All
 * else is refused, also times before 1970. */
static bool write_instant(struct cursor *c) {
    if (is_at(c, 'n'))
        return copy_word(c, "null", 4);
    size_t digits = count_digits(c->at, c->end);
    if (digits == 0 || digits > MILLIS_DIGITS || (*c->at == '0' && digits > 1))
        return false;
    int64_t millis = 0;
    for (const char *end = c->at + digits; c->at < end; c->at++)
        millis = millis * 10 + (*c->at - '0');
    if (millis >= YEAR_10000)
        return false;
    if (millis == 0) {
        memcpy(c->to, "null", 4);
        c->to += 4;
        return true;
    }
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
    while (table->slots[at] && !same(table->slots[at]->name, name))
        at = (at + 1) & (table->slot_count - 1);
    return &table->slots[at];
}

void index_columns(struct table *table) {
    for (size_t i = 0; i < table->count; i++)
        *slot_of(table, table->columns[i].name) = &table->columns[i];
    table->growth = 0;
    for (size_t i = 0; i < table->count; i++)
        table->growth += table->columns[i].written.size + INSTANT_SIZE + 2;
}

/* -------------------------------------------------------------------------------------------------------- rows */

size_t record_room(const struct table *table, size_t size) { return size + table->growth; }

/* Writes one member. `*column` is the one before it, or NULL, and then this one. */
static bool write_member(struct table *table, struct cursor *c, struct column **column) {
    struct span name;
    if (!read_name(c, &name))
        return false;
    struct column *before = *column, *found = before ? before->next : NULL;
    if (!found || !same(found->name, name)) {
        found = *slot_of(table, name);
        if (before && found)
            before->next = found;
    }
    if (!found || found->met_in == table->rows)
        return false;
    found->met_in = table->rows;
    *column = found;
    size_t comma = before ? 0 : 1; /* which the first member does not need */
    c->to = append(c->to, (struct span){found->written.bytes + comma, found->written.size - comma});
    struct span read = {c->at, 0}, written = {c->to, 0};
    c->is_sorted = true;
    if (!(found->is_instant ? write_instant(c) : copy_value(c)))
        return false;
    read.size = (size_t)(c->at - read.bytes);
    written.size = (size_t)(c->to - written.bytes);
    struct span value = found->is_instant ? read : written;
    if (found->place >= 0 && !is_blank(value))
        table->identity[found->place] = (struct part){value, c->is_sorted};
    return found != table->required || *written.bytes != 'n';
}

const char *write_record(struct table *table, const char *row, const char *end, char **to) {
    struct cursor c = {row, end, *to, true};
    struct column *column = NULL;
    table->rows++;
    for (size_t i = 0; i < table->identity_count; i++)
        table->identity[i] = (struct part){{"null", 4}, true};
    if (!copy_byte(&c, '{'))
        return NULL;
    do {
        if (!write_member(table, &c, &column))
            return NULL;
    } while (is_at(&c, ',') && c.at++);
    if (!is_at(&c, '}') || table->required->met_in != table->rows)
        return NULL;
    *to = c.to;
    return c.at + 1;
}

size_t identity_room(const struct table *table, size_t size) { return size + table->identity_count * sizeof "null,"; }

char *write_identity(const struct table *table, char *to) {
    for (size_t i = 0; i < table->identity_count; i++) {
        const struct part *part = &table->identity[i];
        to = part->is_sorted ? append(to, part->value) : write_sorted(to, part->value);
        *to++ = i + 1 < table->identity_count ? ',' : ']';
    }
    return to;
}
