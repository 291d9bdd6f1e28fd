#include "json_check.h"

#include <stdint.h>
#include <string.h>

enum { MOST_LEVELS = 70 };

struct text {
    const uint8_t *at, *end;
};

static bool skip_value(struct text *text, int level);

static bool skip(struct text *text, const char *word) {
    size_t size = strlen(word);
    if ((size_t)(text->end - text->at) < size || memcmp(text->at, word, size) != 0)
        return false;
    text->at += size;
    return true;
}

static bool next_is(const struct text *text, uint8_t from, uint8_t to) {
    return text->at < text->end && *text->at >= from && *text->at <= to;
}

/* One character beyond ASCII: its code point is put together and must need as many bytes as it has. */
static bool skip_character(struct text *text) {
    static const uint32_t LEAST[] = {0, 0x80, 0x800, 0x10000};
    uint8_t lead = *text->at++;
    int more = lead >= 0xF8 ? 0 : lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : lead >= 0xC0 ? 1 : 0;
    if (more == 0)
        return false;
    uint32_t point = lead & (0x3Fu >> more);
    for (int i = 0; i < more; i++) {
        if (!next_is(text, 0x80, 0xBF))
            return false;
        point = point << 6 | (*text->at++ & 0x3F);
    }
    return point >= LEAST[more] && point <= 0x10FFFF && (point < 0xD800 || point > 0xDFFF);
}

static bool skip_escape(struct text *text) {
    if (!skip(text, "u"))
        return text->at < text->end && *text->at != 0 && strchr("\"\\/bfnrt", *text->at++) != NULL;
    for (int i = 0; i < 4; i++, text->at++)
        if (!next_is(text, '0', '9') && !next_is(text, 'a', 'f') && !next_is(text, 'A', 'F'))
            return false;
    return true;
}

static bool skip_string(struct text *text) {
    if (!skip(text, "\""))
        return false;
    while (!skip(text, "\"")) {
        bool valid = true;
        if (next_is(text, 0x80, 0xFF))
            valid = skip_character(text);
        else if (skip(text, "\\"))
            valid = skip_escape(text);
        else if (next_is(text, 0x20, 0x7F))
            text->at++;
        else
            valid = false; /* a control character, or the end */
        if (!valid)
            return false;
    }
    return true;
}

static bool skip_digits(struct text *text) {
    if (!next_is(text, '0', '9'))
        return false;
    while (next_is(text, '0', '9'))
        text->at++;
    return true;
}

static bool skip_number(struct text *text) {
    skip(text, "-");
    if (!skip(text, "0") && !skip_digits(text))
        return false;
    if (skip(text, ".") && !skip_digits(text))
        return false;
    if (!skip(text, "e") && !skip(text, "E"))
        return true;
    if (!skip(text, "+"))
        skip(text, "-");
    return skip_digits(text);
}

static bool skip_object(struct text *text, int level) {
    if (!skip(text, "{"))
        return false;
    if (skip(text, "}"))
        return true;
    do {
        if (!skip_string(text) || !skip(text, ":") || !skip_value(text, level + 1))
            return false;
    } while (skip(text, ","));
    return skip(text, "}");
}

static bool skip_array(struct text *text, int level) {
    if (!skip(text, "["))
        return false;
    if (skip(text, "]"))
        return true;
    do {
        if (!skip_value(text, level + 1))
            return false;
    } while (skip(text, ","));
    return skip(text, "]");
}

static bool skip_value(struct text *text, int level) {
    if (level > MOST_LEVELS)
        return false;
    if (next_is(text, '{', '{'))
        return skip_object(text, level);
    if (next_is(text, '[', '['))
        return skip_array(text, level);
    if (next_is(text, '"', '"'))
        return skip_string(text);
    return skip(text, "null") || skip(text, "true") || skip(text, "false") || skip_number(text);
}

bool is_json_object(const char *bytes, size_t size) {
    struct text text = {(const uint8_t *)bytes, (const uint8_t *)bytes + size};
    return skip_object(&text, 0) && text.at == text.end;
}

bool is_json_array(const char *bytes, size_t size) {
    struct text text = {(const uint8_t *)bytes, (const uint8_t *)bytes + size};
    return skip_array(&text, 0) && text.at == text.end;
}

bool is_utf8(const char *bytes, size_t size) {
    struct text text = {(const uint8_t *)bytes, (const uint8_t *)bytes + size};
    while (text.at < text.end) {
        if (next_is(&text, 0, 0x7F))
            text.at++;
        else if (!skip_character(&text))
            return false;
    }
    return true;
}
