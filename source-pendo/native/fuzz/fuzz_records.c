/* A fuzz target for `write_record` and `write_identity`: libFuzzer invents rows, and the sanitizers watch. `make fuzz`
 * runs it.
 *
 * An input is two bytes that choose a table, and then rows, a line each, that are written with it one after another.
 * The target aborts if a promise of `records.h` is broken; for reads and writes beyond memory row, record and identity
 * have buffers of exactly their size. */

#include "blake2b.h"
#include "json_check.h"
#include "records.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME(text) {text, sizeof(text) - 1}
#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct span NAMES[] = {
    NAME("day"), NAME("visitorId"), NAME("appId"), NAME("properties"), NAME("a"), NAME("b"), NAME("\xc3\xa4"), NAME(""),
};
enum { COLUMNS = COUNT(NAMES), SLOTS = 2 * COLUMNS };

struct invented {
    struct table table;
    struct column columns[COLUMNS];
    struct column *slots[SLOTS];
    struct part identity[COLUMNS];
};

static void require(bool holds, const char *what) {
    if (holds)
        return;
    fprintf(stderr, "fuzz_records: broken promise: %s\n", what);
    abort();
}

/* Each bit of `instants` is a column that is an instant. Our names have one byte. */
static void invent_table(struct invented *it, uint8_t instants, uint8_t identity) {
    memset(it, 0, sizeof *it);
    it->table = (struct table){
        .columns = it->columns,
        .count = COLUMNS,
        .slots = it->slots,
        .slot_count = SLOTS,
        .required = &it->columns[0],
        .identity = it->identity,
        .identity_count = 1 + identity % COLUMNS,
    };
    for (size_t i = 0; i < COLUMNS; i++) {
        static const struct span WRITTEN = NAME(",\"x\":");
        bool is_part = i < it->table.identity_count;
        it->columns[i] = (struct column){NAMES[i], WRITTEN, instants >> i & 1, is_part ? (ptrdiff_t)i : -1, 0, NULL};
    }
    index_columns(&it->table);
}

/* A copy with a size of its own, so that the sanitizer notices each byte too far. */
static char *copy_of(const char *bytes, size_t size) {
    char *copy = malloc(size);
    if (copy == NULL && size > 0)
        abort();
    if (size > 0)
        memcpy(copy, bytes, size);
    return copy;
}

/* Bytes with one before and one behind them, which the functions leave to their caller. */
static bool is_json(bool (*check)(const char *, size_t), const char *before, const char *bytes, size_t size,
                    const char *behind) {
    char *whole = malloc(size + 2);
    if (whole == NULL)
        abort();
    size_t at = strlen(before);
    memcpy(whole, before, at);
    memcpy(whole + at, bytes, size);
    memcpy(whole + at + size, behind, strlen(behind));
    bool found = check(whole, at + size + strlen(behind));
    free(whole);
    return found;
}

static void check_identity(const struct table *table, size_t size, bool is_text) {
    size_t room = identity_room(table, size);
    char digest[DIGEST_DIGITS], *identity = malloc(room);
    if (identity == NULL)
        abort();
    size_t written = (size_t)(write_identity(table, identity) - identity);
    require(written <= room, "an identity keeps its room");
    require(!is_text || is_json(is_json_array, "[", identity, written, ""), "an identity is JSON");
    blake2b_hex(digest, identity, written);
    free(identity);
}

/* Whatever follows a row is left alone. */
static void check_row(struct table *table, const char *bytes, size_t size) {
    size_t room = record_room(table, size);
    char *row = copy_of(bytes, size), *record = malloc(room), *end = record;
    if (record == NULL)
        abort();
    const char *behind = write_record(table, row, row + size, &end);
    const char *closed = size > 0 && *row == '{' ? bracket_end(row, row + size) : NULL;
    require(closed == NULL || (closed > row && closed <= row + size), "brackets are closed within their text");
    require(behind == NULL || closed == behind, "a row ends where its brackets are closed");
    if (behind != NULL) {
        require(behind > row && behind <= row + size, "a row ends within its text");
        size_t read = (size_t)(behind - row);
        bool is_text = is_utf8(row, read);
        require((size_t)(end - record) <= record_room(table, read), "a record keeps its room");
        require(!is_text || is_json_object(row, read), "a row that is not JSON is refused");
        require(!is_text || is_json(is_json_object, "", record, (size_t)(end - record), "}"), "a record is JSON");
        check_identity(table, read, is_text);
    }
    free(record);
    free(row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    struct invented it;
    invent_table(&it, data[0], data[1]);
    const char *at = (const char *)data + 2, *end = (const char *)data + size;
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (line_end == NULL)
            line_end = end;
        check_row(&it.table, at, (size_t)(line_end - at));
        at = line_end + 1;
    }
    return 0;
}
