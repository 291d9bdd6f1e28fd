/* Writes JSON as orjson does, byte for byte: the reference decoder uses orjson, and both must agree. */

#ifndef JSON_H
#define JSON_H

#include "output.h"

#include <stdint.h>

enum written {
    WRITTEN,
    NOT_WRITABLE, /* no UTF-8, or no finite number: the reference decoder decides what becomes of the value */
    NO_ROOM,      /* see `output_grow` */
};

/* A text in quotes, with what JSON demands escaped. */
enum written json_text(struct output *output, const uint8_t *text, size_t size);

enum written json_integer(struct output *output, int64_t value);

/* The shortest decimal that reads as the same number. */
enum written json_number(struct output *output, double value);

/* Writes `value`, at least with `width` digits, at `to`; returns the end. There must be room for 20 bytes. */
char *write_digits(char *to, uint64_t value, int width);

#endif
