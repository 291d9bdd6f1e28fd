/* A fuzz target for `decode_rows`: libFuzzer invents tables and blocks, and the sanitizers watch.
 *
 *     clang -g -O1 -std=c11 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
 *         fuzz_rows.c rows.c instant.c json.c output.c -o fuzz_rows
 *     ./fuzz_rows -max_total_time=120 corpus/ seeds/
 *
 * An input describes a table, a byte for each choice, and then holds the block. Beside faults of memory the target finds
 * lines that are not what they must be: text in UTF-8 without control characters, one line feed each. */

#include "rows.h"

#include <stdlib.h>

enum { MOST_COLUMNS = 8, MOST_BRANCHES = 4 };

static const int64_t SCALES[] = {0, 1, 2, 18, 1000, 1000000, 86400000000000};
static const struct span SYMBOLS[] = {{"\"RED\"", 5}, {"\"a\\\"b\"", 6}};

struct input {
    const uint8_t *at, *end;
};

/* The next choice among so many; 0 when the input is used up. */
static size_t choose(struct input *input, size_t among) { return input->at < input->end ? *input->at++ % among : 0; }

static struct branch choose_branch(struct input *input) {
    struct branch branch = {
        .kind = (enum kind)choose(input, FIXED + 1),
        .form = (enum form)choose(input, UNUSUAL + 1),
        .scale = SCALES[choose(input, sizeof SCALES / sizeof *SCALES)],
        .zero_is_null = choose(input, 2),
        .size = choose(input, 24),
        .symbols = SYMBOLS,
        .symbol_count = 2,
    };
    if (!branch_is_valid(&branch))
        branch.form = branch.scale = 0;
    return branch;
}

static void require(bool holds) {
    if (!holds)
        abort();
}

/* Checks that the output is `count` lines. */
static void check_lines(const struct output *output, size_t count) {
    size_t lines = 0;
    for (size_t i = 0; i < output->size; i++) {
        uint8_t byte = (uint8_t)output->data[i];
        require(byte >= 0x20 || byte == '\n');
        lines += byte == '\n';
    }
    require(lines == count);
    require(output->size == 0 || output->data[output->size - 1] == '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = {data, data + size};
    struct branch branches[MOST_COLUMNS][MOST_BRANCHES];
    struct column columns[MOST_COLUMNS];
    struct table table = {
        .columns = columns,
        .column_count = choose(&input, MOST_COLUMNS + 1),
        .head = {"{", 1},
        .tail = {"}\n", 2},
        .since = {"2024-05-01T00:00:00.000000Z", 27},
        .row_limit = choose(&input, 2) ? 64 : 1 << 20,
        .chunk = choose(&input, 2) ? 128 : 1 << 16,
    };
    struct output output = {.line_limit = choose(&input, 2) ? 200 : 1 << 20};
    struct block block = {.rows = choose(&input, 64)};
    for (size_t i = 0; i < table.column_count; i++) {
        columns[i] = (struct column){
            .name = {",\"n\":", 5},
            .null = {",\"n\":null", 9},
            .is_union = choose(&input, 2),
            .decides = choose(&input, 8) == 1,
            .branches = branches[i],
            .branch_count = 1 + choose(&input, MOST_BRANCHES),
        };
        for (size_t j = 0; j < columns[i].branch_count; j++)
            branches[i][j] = choose_branch(&input);
    }
    /* a copy of its own, so that a byte too far is noticed */
    size_t left = (size_t)(input.end - input.at), written = 0;
    uint8_t *copy = malloc(left ? left : 1);
    require(copy != NULL);
    memcpy(copy, input.at, left);
    block.at = copy;
    block.end = copy + left;
    enum outcome outcome;
    do {
        written = 0;
        output.size = output.line = 0;
        outcome = decode_rows(&table, &block, &output, &written);
        check_lines(&output, written);
    } while (outcome == CHUNK_FULL);
    require(block.at >= copy && block.at <= block.end);
    require(outcome != ALL_ROWS || block.rows == 0);
    output_free(&output);
    free(copy);
    return 0;
}
