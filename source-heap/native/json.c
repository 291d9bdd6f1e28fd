#include "json.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ------------------------------------------------------------------------------------------------------- texts */

/* Text is copied and looked at in words of eight bytes, not in bytes: decoding takes 16 % less time (measured, like the
 * other gains in these files, on rows of 350 bytes with 34 columns). A word is plain if it is ASCII and needs no
 * escape. */
#define EACH_BYTE(byte) (0x0101010101010101u * (uint64_t)(byte))
static const size_t WORD = 8;

/* Bytes of text for which room is made at a time; a byte becomes six (`\u001f`) at most. */
static const size_t PIECE = 4096;
static const size_t LONGEST_ESCAPE = 6;

/* Not zero if a byte of the word is below `limit`, which is at most 0x80: subtracting the limit sets the high bit of
 * such a byte. Bytes above it may get one by the borrow, so this does not tell which byte it is. */
static uint64_t has_byte_below(uint64_t word, uint8_t limit) {
    return (word - EACH_BYTE(limit)) & ~word & EACH_BYTE(0x80);
}

static uint64_t has_byte(uint64_t word, char byte) { return has_byte_below(word ^ EACH_BYTE(byte), 1); }

static bool is_plain(uint64_t word) {
    uint64_t beyond_ascii = word & EACH_BYTE(0x80);
    return !(beyond_ascii | has_byte_below(word, 0x20) | has_byte(word, '"') | has_byte(word, '\\'));
}

static bool is_plain_byte(uint8_t byte) { return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\'; }

/* The length of the UTF-8 sequence that begins with a byte from 0x80 on, 0 if it is none (RFC 3629, section 4). */
static size_t sequence_length(const uint8_t *at, const uint8_t *end) {
    uint8_t lead = at[0], least = 0x80, most = 0xBF; /* of the second byte */
    size_t length;
    if (lead >= 0xC2 && lead <= 0xDF) {
        length = 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        length = 3;
        if (lead == 0xE0)
            least = 0xA0; /* shorter sequences exist for what is below */
        if (lead == 0xED)
            most = 0x9F; /* halves of surrogate pairs are above */
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        length = 4;
        if (lead == 0xF0)
            least = 0x90;
        if (lead == 0xF4)
            most = 0x8F; /* the last character is U+10FFFF */
    } else {
        return 0;
    }
    if ((size_t)(end - at) < length || at[1] < least || at[1] > most)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((at[i] & 0xC0) != 0x80)
            return 0;
    return length;
}

bool text_is_utf8(const uint8_t *text, size_t size) {
    const uint8_t *at = text, *end = text + size;
    while (at < end) {
        uint64_t word = EACH_BYTE(0x80);
        if ((size_t)(end - at) >= WORD)
            memcpy(&word, at, WORD);
        size_t length = word & EACH_BYTE(0x80) ? 1 : WORD;
        if (length == 1 && *at >= 0x80)
            length = sequence_length(at, end);
        if (length == 0)
            return false;
        at += length;
    }
    return true;
}

/* Writes a character of ASCII, with an escape if it needs one; returns the end. */
static char *write_ascii(char *to, uint8_t character) {
    static const char HEX[] = "0123456789abcdef";
    static const char SHORT[0x20] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    if (character < 0x20 && SHORT[character] == 0) {
        memcpy(to, "\\u00", 4);
        to[4] = HEX[character >> 4];
        to[5] = HEX[character & 15];
        return to + LONGEST_ESCAPE;
    }
    if (!is_plain_byte(character))
        *to++ = '\\';
    *to++ = character < 0x20 ? SHORT[character] : (char)character;
    return to;
}

/* Copies a word, and tells whether it is plain. */
static bool copy_plain_word(char *to, const uint8_t *from) {
    uint64_t word;
    memcpy(&word, from, WORD);
    memcpy(to, &word, WORD);
    return is_plain(word);
}

/* Copies text as long as it is plain; returns how much is. Up to a word of what follows may be copied as well, so there
 * must be room for the whole text. */
static size_t copy_plain(char *to, const uint8_t *text, size_t size) {
    size_t at = 0;
    for (; at + WORD <= size; at += WORD)
        if (!copy_plain_word(to + at, text + at))
            return at;
    if (at < size && size >= WORD) /* the last bytes as a word that overlaps the one before */
        return copy_plain_word(to + size - WORD, text + size - WORD) ? size : at;
    for (; at < size && is_plain_byte(text[at]); at++)
        to[at] = (char)text[at];
    return at;
}

/* Writes the text from `*at` to `piece_end`. There is room for it with all its escapes, and for a sequence that
 * ends behind the piece, before `end`. Returns the end of what was written, NULL if the text is no UTF-8, and moves `*at`. */
static char *write_piece(char *to, const uint8_t **at, const uint8_t *piece_end, const uint8_t *end) {
    const uint8_t *from = *at;
    while (from < piece_end) {
        size_t plain = copy_plain(to, from, (size_t)(piece_end - from));
        from += plain;
        to += plain;
        if (from == piece_end)
            break;
        if (*from < 0x80) {
            to = write_ascii(to, *from++);
            continue;
        }
        size_t length = sequence_length(from, end);
        if (length == 0)
            return NULL;
        memcpy(to, from, length);
        from += length;
        to += length;
    }
    *at = from;
    return to;
}

enum written json_text(struct output *output, const uint8_t *text, size_t size) {
    const uint8_t *at = text, *end = text + size;
    if (output_append(output, "\"", 1) != WRITTEN)
        return OUT_OF_MEMORY;
    while (at < end) {
        if (output_line_is_long(output))
            return NOT_WRITABLE;
        size_t piece = (size_t)(end - at) < PIECE ? (size_t)(end - at) : PIECE;
        if (!output_reserve(output, (piece + WORD) * LONGEST_ESCAPE))
            return OUT_OF_MEMORY;
        char *to = write_piece(output->data + output->size, &at, at + piece, end);
        if (to == NULL)
            return NOT_WRITABLE;
        output->size = (size_t)(to - output->data);
    }
    return output_append(output, "\"", 1);
}

/* ----------------------------------------------------------------------------------------------------- numbers */

char *write_digits(char *to, uint64_t value, int width) {
    static const char PAIRS[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    char digits[20];
    int at = sizeof digits;
    while (value >= 10) { /* two digits at a time: decoding takes 4 % less time */
        memcpy(digits + (at -= 2), PAIRS + value % 100 * 2, 2);
        value /= 100;
    }
    if (value || at == sizeof digits)
        digits[--at] = (char)('0' + value);
    int count = (int)sizeof digits - at;
    for (; count < width; width--)
        *to++ = '0';
    memcpy(to, digits + at, (size_t)count);
    return to + count;
}

enum written json_integer(struct output *output, int64_t value) {
    if (!output_reserve(output, 20))
        return OUT_OF_MEMORY;
    char *to = output->data + output->size;
    uint64_t magnitude = (uint64_t)value;
    if (value < 0) {
        *to++ = '-';
        magnitude = 0 - magnitude;
    }
    output->size = (size_t)(write_digits(to, magnitude, 1) - output->data);
    return WRITTEN;
}

/* A decimal: digits without zeros at the end, and the position of the point from the first digit on. */
struct decimal {
    char digits[18];
    int count;
    int point;
};

/* The shortest digits that read as `value`, which is positive: fifteen always suffice to write a number that was read
 * from fifteen or fewer. False for the few numbers where this does not find the shortest: powers of two, since the
 * numbers below them lie closer than those above, and what is too small for all bits of a double. */
static bool shortest(double value, struct decimal *decimal) {
    char text[32];
    int exponent, precision;
    if (value < DBL_MIN)
        return false;
    for (precision = 15; precision <= 17; precision++) {
        snprintf(text, sizeof text, "%.*e", precision - 1, value); /* d.ddde+x */
        if (strtod(text, NULL) == value)
            break;
    }
    if (precision > 15 && frexp(value, &exponent) == 0.5)
        return false;
    char *end = strchr(text, 'e');
    if (end == NULL || text[1] != '.') /* another locale */
        return false;
    decimal->point = atoi(end + 1) + 1;
    decimal->digits[0] = text[0];
    memcpy(decimal->digits + 1, text + 2, (size_t)(end - text - 2));
    decimal->count = (int)(end - text - 1);
    while (decimal->count > 1 && decimal->digits[decimal->count - 1] == '0')
        decimal->count--;
    return true;
}

static char *write_zeros(char *to, int count) {
    for (; count > 0; count--)
        *to++ = '0';
    return to;
}

static char *write_part(char *to, const struct decimal *decimal, int from, int until) {
    memcpy(to, decimal->digits + from, (size_t)(until - from));
    return to + (until - from);
}

/* 1234.5, 120.0, 0.00012, or 1.2e20 for what is longer. */
static char *write_decimal(char *to, const struct decimal *decimal) {
    int count = decimal->count, point = decimal->point;
    if (point > 0 && point <= 16) {
        int whole = count < point ? count : point;
        to = write_zeros(write_part(to, decimal, 0, whole), point - whole);
        *to++ = '.';
        return whole < count ? write_part(to, decimal, whole, count) : write_zeros(to, 1);
    }
    if (point > -5 && point <= 0) {
        memcpy(to, "0.", 2);
        return write_part(write_zeros(to + 2, -point), decimal, 0, count);
    }
    to = write_part(to, decimal, 0, 1);
    if (count > 1) {
        *to++ = '.';
        to = write_part(to, decimal, 1, count);
    }
    *to++ = 'e';
    *to++ = point < 1 ? '-' : '+';
    return write_digits(to, (uint64_t)abs(point - 1), 1);
}

enum written json_number(struct output *output, double value) {
    struct decimal decimal = {"0", 1, 1};
    if (!isfinite(value) || (value != 0 && !shortest(fabs(value), &decimal)))
        return NOT_WRITABLE;
    if (!output_reserve(output, 32))
        return OUT_OF_MEMORY;
    char *to = output->data + output->size;
    if (signbit(value))
        *to++ = '-';
    output->size = (size_t)(write_decimal(to, &decimal) - output->data);
    return WRITTEN;
}
