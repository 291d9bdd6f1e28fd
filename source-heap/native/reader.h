/* Reads values in Avro's binary encoding.
 *
 * The format ("Binary Encoding" in the Avro 1.11 specification):
 *
 *   null            no bytes
 *   boolean         one byte, 0 or 1
 *   int, long       zigzag (0, -1, 1, -2, ... as 0, 1, 2, 3, ...), seven bits a byte, the lowest first; the high bit of
 *                   a byte says that another one follows; ten bytes at most
 *   float, double   four or eight bytes, IEEE 754, little-endian
 *   string, bytes   the length as a long, then so many bytes
 *   enum            the index of the symbol as an int
 *   fixed           as many bytes as the schema says
 *
 * The bytes come from strangers: none is read beyond the end, and no length is trusted. */

#ifndef READER_H
#define READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a value is encoded: `LONG` is also an int, `BYTES` also a string. */
enum kind { NULL_KIND, BOOLEAN, LONG, FLOAT, DOUBLE, BYTES, ENUM, FIXED };

struct reader {
    const uint8_t *at, *end;
};

/* A value as it was read. Its kind says which members have a meaning. */
struct value {
    int64_t integer; /* of a boolean, a long, an enum */
    double number;   /* of a float, a double */
    const uint8_t *bytes;
    size_t size; /* of bytes, a fixed */
};

/* Reads an int or a long. False at the end of the bytes, and for an integer of more than 64 bits. */
bool read_long(struct reader *reader, int64_t *value);

/* Reads a value; `fixed_size` is the size of a fixed. False if the bytes end within it, or are no such value. */
bool read_value(struct reader *reader, enum kind kind, size_t fixed_size, struct value *value);

#endif
