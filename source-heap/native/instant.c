#include "instant.h"

#include "json.h"

#include <string.h>

static const int64_t SECOND = 1000000; /* in microseconds */
static const int64_t MINUTE = 60 * 1000000LL;
static const int64_t HOUR = 3600 * 1000000LL;
static const int64_t DAY = 86400 * 1000000LL;

/* The first and the last day that have a year of four digits, in days since 1970. */
static const int64_t FIRST_DAY = -719162, LAST_DAY = 2932896;

/* Rounds towards minus infinity, where C rounds towards zero. */
static int64_t floor_divide(int64_t number, int64_t by) {
    return number / by - (number % by < 0);
}

/* ------------------------------------------------------------------------------------------------- the calendar */

static bool is_leap(int year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

static int days_of_month(int year, int month) {
    static const int DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return DAYS[month - 1] + (month == 2 && is_leap(year));
}

/* Days from 0001-01-01 to the first day of a year. */
static int64_t days_before_year(int64_t year) {
    int64_t past = year - 1;
    return past * 365 + past / 4 - past / 100 + past / 400;
}

static int64_t days_from_date(int year, int month, int day) {
    int64_t days = days_before_year(year) + FIRST_DAY + day - 1;
    for (int past = 1; past < month; past++)
        days += days_of_month(year, past);
    return days;
}

bool is_day(int64_t days) { return days >= FIRST_DAY && days <= LAST_DAY; }

bool is_instant(int64_t micros) { return is_day(floor_divide(micros, DAY)); }

bool day_from_days(char to[DAY_SIZE], int64_t days) {
    if (!is_day(days))
        return false;
    int64_t count = days - FIRST_DAY;
    int year = (int)(count * 400 / 146097) + 1; /* 400 years have 146,097 days: at most one year too late or early */
    while (days_before_year(year) > count)
        year--;
    while (days_before_year(year + 1) <= count)
        year++;
    int day = (int)(count - days_before_year(year)), month = 1;
    while (day >= days_of_month(year, month))
        day -= days_of_month(year, month++);
    to = write_digits(to, (uint64_t)year, 4);
    *to++ = '-';
    to = write_digits(to, (uint64_t)month, 2);
    *to++ = '-';
    write_digits(to, (uint64_t)day + 1, 2);
    return true;
}

/* ---------------------------------------------------------------------------------------------- numbers to text */

static char *write_clock(char *to, int64_t micros) {
    to = write_digits(to, (uint64_t)(micros / HOUR), 2);
    *to++ = ':';
    to = write_digits(to, (uint64_t)(micros / MINUTE % 60), 2);
    *to++ = ':';
    return write_digits(to, (uint64_t)(micros / SECOND % 60), 2);
}

static char *write_fraction(char *to, int64_t micros) {
    *to++ = '.';
    return write_digits(to, (uint64_t)(micros % SECOND), 6);
}

size_t time_of_day(char to[LONGEST_TIME_OF_DAY], int64_t micros) {
    if (micros < 0 || micros >= DAY)
        return 0;
    char *end = write_clock(to, micros);
    if (micros % SECOND)
        end = write_fraction(end, micros);
    return (size_t)(end - to);
}

bool instant_from_micros(char to[INSTANT_SIZE], int64_t micros) {
    int64_t days = floor_divide(micros, DAY);
    if (!day_from_days(to, days))
        return false;
    to[DAY_SIZE] = 'T';
    char *end = write_fraction(write_clock(to + DAY_SIZE + 1, micros - days * DAY), micros - days * DAY);
    *end = 'Z';
    return true;
}

bool micros_from_number(int64_t *micros, int64_t number) {
    static const int64_t SECONDS = 100000000000LL; /* smaller magnitudes are seconds: 10^11 of them are the year 5138 */
    static const int64_t MILLIS = 100000000000000LL, MICROS = 100000000000000000LL;
    if (number > -SECONDS && number < SECONDS)
        *micros = number * 1000000;
    else if (number > -MILLIS && number < MILLIS)
        *micros = number * 1000;
    else if (number > -MICROS && number < MICROS)
        *micros = number;
    else
        *micros = floor_divide(number, 1000);
    return is_instant(*micros);
}

/* ------------------------------------------------------------------------------------------------------ text */

struct text {
    const uint8_t *at, *end;
};

static bool is_digit(const struct text *text) { return text->at < text->end && *text->at >= '0' && *text->at <= '9'; }

/* Reads a number of so many digits. False if they are not there. */
static bool read_digits(struct text *text, int count, int *number) {
    for (*number = 0; count > 0; count--) {
        if (!is_digit(text))
            return false;
        *number = *number * 10 + (*text->at++ - '0');
    }
    return true;
}

static bool read_one_of(struct text *text, uint8_t first, uint8_t second) {
    return text->at < text->end && (*text->at == first || *text->at == second) && text->at++;
}

/* Reads `YYYY-MM-DD`. False if there is no such day. */
static bool read_date(struct text *text, int64_t *days) {
    int year, month, day;
    if (!read_digits(text, 4, &year) || !read_one_of(text, '-', '-') || !read_digits(text, 2, &month) ||
        !read_one_of(text, '-', '-') || !read_digits(text, 2, &day))
        return false;
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > days_of_month(year, month))
        return false;
    *days = days_from_date(year, month, day);
    return true;
}

/* Reads `HH:MM:SS`. */
static bool read_clock(struct text *text, int64_t *micros) {
    int hour, minute, second;
    if (!read_digits(text, 2, &hour) || !read_one_of(text, ':', ':') || !read_digits(text, 2, &minute) ||
        !read_one_of(text, ':', ':') || !read_digits(text, 2, &second))
        return false;
    *micros = hour * HOUR + minute * MINUTE + second * SECOND;
    return hour < 24 && minute < 60 && second < 60;
}

/* Reads a point and one to nine digits, or nothing, which is 0. Digits after the sixth do not count. */
static bool read_fraction(struct text *text, int64_t *micros) {
    int digits = 0;
    *micros = 0;
    if (!read_one_of(text, '.', '.'))
        return true;
    for (; is_digit(text) && digits < 9; digits++, text->at++)
        if (digits < 6)
            *micros = *micros * 10 + (*text->at - '0');
    for (int missing = 6 - digits; missing > 0; missing--)
        *micros *= 10;
    return digits > 0;
}

/* Reads `Z`, `+HH`, `+HHMM`, `+HH:MM`, or nothing, which is UTC. */
static bool read_offset(struct text *text, int64_t *micros) {
    int hours, minutes = 0;
    *micros = 0;
    if (text->at == text->end || read_one_of(text, 'Z', 'Z'))
        return true;
    bool west = *text->at == '-';
    if (!read_one_of(text, '+', '-') || !read_digits(text, 2, &hours))
        return false;
    if (text->at < text->end) {
        read_one_of(text, ':', ':');
        if (!read_digits(text, 2, &minutes))
            return false;
    }
    *micros = (west ? -1 : 1) * (hours * HOUR + minutes * MINUTE);
    return true;
}

bool micros_from_text(int64_t *micros, const uint8_t *begin, size_t size) {
    struct text text = {begin, begin + size};
    int64_t days, clock, fraction, offset;
    if (!read_date(&text, &days) || !read_one_of(&text, ' ', 'T') || !read_clock(&text, &clock) ||
        !read_fraction(&text, &fraction) || !read_offset(&text, &offset) || text.at != text.end)
        return false;
    *micros = days * DAY + clock + fraction - offset;
    return is_instant(*micros);
}
