#include "reader.h"

#include <string.h>

bool read_long(struct reader *reader, int64_t *value) {
    uint64_t zigzag = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (reader->at == reader->end)
            return false;
        uint64_t byte = *reader->at++;
        zigzag |= (byte & 0x7F) << shift;
        if (byte < 0x80) {
            *value = (int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1);
            return shift < 63 || byte <= 1; /* the tenth byte has room for one bit */
        }
    }
    return false;
}

static bool read_bytes(struct reader *reader, size_t size, struct value *value) {
    if (size > (size_t)(reader->end - reader->at))
        return false;
    value->bytes = reader->at;
    value->size = size;
    reader->at += size;
    return true;
}

static bool read_text(struct reader *reader, struct value *value) {
    int64_t size;
    if (!read_long(reader, &size) || size < 0 || (uint64_t)size > SIZE_MAX)
        return false;
    return read_bytes(reader, (size_t)size, value);
}

static bool read_boolean(struct reader *reader, struct value *value) {
    if (!read_bytes(reader, 1, value))
        return false;
    value->integer = value->bytes[0];
    return value->integer <= 1;
}

/* Whatever the byte order of the machine is. */
static uint64_t from_little_endian(const uint8_t *bytes, size_t count) {
    uint64_t bits = 0;
    while (count--)
        bits = bits << 8 | bytes[count];
    return bits;
}

static bool read_float(struct reader *reader, struct value *value) {
    float number;
    if (!read_bytes(reader, sizeof number, value))
        return false;
    uint32_t bits = (uint32_t)from_little_endian(value->bytes, sizeof number);
    memcpy(&number, &bits, sizeof number);
    value->number = number;
    return true;
}

static bool read_double(struct reader *reader, struct value *value) {
    if (!read_bytes(reader, sizeof value->number, value))
        return false;
    uint64_t bits = from_little_endian(value->bytes, sizeof value->number);
    memcpy(&value->number, &bits, sizeof value->number);
    return true;
}

bool read_value(struct reader *reader, enum kind kind, size_t fixed_size, struct value *value) {
    switch (kind) {
    case NULL_KIND:
        return true;
    case BOOLEAN:
        return read_boolean(reader, value);
    case LONG:
    case ENUM:
        return read_long(reader, &value->integer);
    case FLOAT:
        return read_float(reader, value);
    case DOUBLE:
        return read_double(reader, value);
    case BYTES:
        return read_text(reader, value);
    case FIXED:
        return read_bytes(reader, fixed_size, value);
    }
    return false;
}
