/* Writes instants, days and times of day as RFC 3339 (ISO 8601): `2024-05-01T12:34:56.789000Z`.
 *
 * Text and numbers without a declared unit are read as `times.py` does, which explains the rules. What these functions
 * cannot write, the reference decoder looks at: it knows more forms, and reports what is no instant. */

#ifndef INSTANT_H
#define INSTANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { INSTANT_SIZE = 27, DAY_SIZE = 10, LONGEST_TIME_OF_DAY = 15 };

/* Reads `YYYY-MM-DD HH:MM:SS`, with T for the space, a fraction, Z or an offset, as microseconds since 1970. False for
 * anything else, and outside of the years 1 to 9999. */
bool micros_from_text(int64_t *micros, const uint8_t *text, size_t size);

/* The same for a number whose unit its magnitude decides: seconds, milliseconds, microseconds or nanoseconds since 1970. */
bool micros_from_number(int64_t *micros, int64_t number);

/* Whether microseconds since 1970, or days since 1970, are within the years 1 to 9999. */
bool is_instant(int64_t micros);
bool is_day(int64_t days);

/* Microseconds since 1970. False outside of the years 1 to 9999. */
bool instant_from_micros(char to[INSTANT_SIZE], int64_t micros);

/* Days since 1970. False outside of the years 1 to 9999. */
bool day_from_days(char to[DAY_SIZE], int64_t days);

/* Microseconds since midnight as `12:34:56`, with six digits behind it unless they are zero. Returns the length, 0 for
 * what is no time of a day. */
size_t time_of_day(char to[LONGEST_TIME_OF_DAY], int64_t micros);

#endif
