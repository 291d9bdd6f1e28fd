/* Writes JSON as orjson does, byte for byte: the reference decoder uses orjson, and both must agree. */

#ifndef JSON_H
#define JSON_H

#include "output.h"

#include <stdint.h>

/* A text in quotes, with what JSON demands escaped. `NOT_WRITABLE` if it is no UTF-8 or makes the line too long. */
enum written json_text(struct output *output, const uint8_t *text, size_t size);

/* Whether a text is UTF-8. */
bool text_is_utf8(const uint8_t *text, size_t size);

enum written json_integer(struct output *output, int64_t value);

/* The shortest decimal that reads as the same number. `NOT_WRITABLE` if it is not finite, or one of a few hard ones. */
enum written json_number(struct output *output, double value);

/* Writes `value`, at least with `width` digits, at `to`; returns the end. There must be room for `width` digits and for
 * the longest number: 20. */
char *write_digits(char *to, uint64_t value, int width);

#endif
