/* A fuzz target for `read_row`: libFuzzer invents rows, and the sanitizers watch. `make fuzz` runs it.
 *
 * An input is rows with commas between them, which are read one after another. The target aborts if a promise of
 * `rows.h` is broken; for reads beyond memory the input has a buffer of exactly its size. */

#include "json_check.h"
#include "rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME(text) {text, sizeof(text) - 1}

static const struct columns COLUMNS = {3, {{NAME("id"), false}, {NAME("created"), true}, {NAME("\xc3\xa4"), false}}};

static void require(bool holds, const char *what) {
    if (holds)
        return;
    fprintf(stderr, "fuzz_cut: broken promise: %s\n", what);
    abort();
}

/* Whether a member stands somewhere in the row. */
static bool has_member(const char *row, size_t size, const char *member, size_t member_size) {
    for (size_t at = 1; at + member_size < size; at++)
        if (memcmp(row + at, member, member_size) == 0)
            return true;
    return false;
}

static void check_number(const char *row, size_t size, int64_t number) {
    char member[64];
    int written = snprintf(member, sizeof member, "\"created\":%lld", (long long)number);
    bool is_zero = number == 0 && has_member(row, size, "\"created\":-0", 12);
    require(is_zero || has_member(row, size, member, (size_t)written), "a number is in its row");
}

static void check_text(const char *row, size_t size, const struct column *column, struct span text) {
    size_t before = column->name.size + 4; /* two quotes, the colon, the quote of the text */
    require(text.bytes >= row + before + 1 && text.bytes + text.size < row + size, "a text is in its row");
    require(memcmp(text.bytes - before + 1, column->name.bytes, column->name.size) == 0, "a text has its name");
    require(text.bytes[-1] == '"' && text.bytes[text.size] == '"', "a text is between quotes");
    require(text.size == 0 || memchr(text.bytes, '\\', text.size) == NULL, "a text has no escapes");
}

static void check_row(const char *row, size_t size, const struct value *values) {
    for (size_t i = 0; i < size; i++)
        require((unsigned char)row[i] >= 0x20, "a row has no control characters");
    require(!is_utf8(row, size) || is_json_object(row, size), "a row is JSON");
    for (size_t i = 0; i < COLUMNS.count; i++)
        if (COLUMNS.all[i].is_integer)
            check_number(row, size, values[i].number);
        else
            check_text(row, size, &COLUMNS.all[i], values[i].text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size);
    if (text == NULL && size > 0)
        abort();
    if (size > 0)
        memcpy(text, data, size);
    struct cursor c = {text, text + size};
    struct value values[MOST_COLUMNS];
    const char *begin = c.at;
    while (read_row(&c, &COLUMNS, values)) {
        require(c.at > begin && c.at <= c.end, "the cursor stays in the text");
        check_row(begin, (size_t)(c.at - begin), values);
        if (!skip_byte(&c, ','))
            break;
        begin = c.at;
    }
    free(text);
    return 0;
}
