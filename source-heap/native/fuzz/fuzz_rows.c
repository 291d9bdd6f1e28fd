/* A fuzz target for `decode_rows` and `decode_arrays`: libFuzzer invents tables and blocks, and the sanitizers watch.
 * `make fuzz` runs it. Each input is decoded to lines and to arrays.
 *
 * An input first describes a table, a byte for each choice: all that `branch_is_valid` and `table_is_valid` let through,
 * which is more than `columns.py` makes. The rest is the block. The target aborts if one of them breaks a promise of
 * `rows.h`; for reads and writes beyond memory the block and the instant have buffers of exactly their size. */

#include "json_check.h"
#include "rows.h"

#include <stdio.h>
#include <stdlib.h>

enum { MOST_COLUMNS = 8, MOST_BRANCHES = 4, MOST_ROWS = 64 };

/* The nanoseconds of a count, or the digits behind a decimal's point: valid and invalid ones. */
static const int64_t SCALES[] = {0, 1, 2, 18, 19, 999, 1000, 1001, 1000000, 86400000000000, INT64_MAX, -1};
static const struct span SYMBOLS[] = {{"\"RED\"", 5}, {"\"a\\\"b\"", 6}, {"\"\"", 2}};
static const size_t ROW_LIMITS[] = {1 << 20, 64, 0};
static const size_t LINE_LIMITS[] = {1 << 20, 200, 5000, 0};
static const size_t CHUNKS[] = {1 << 16, 128, 1};
static const char SINCE[] = "2024-05-01T00:00:00.000000Z";

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct input {
    const uint8_t *at, *end;
};

/* The next choice among so many; 0 when the input is used up. Choices within one initializer are made in its order by
 * clang, which is the only compiler with libFuzzer; the seeds depend on it. */
static size_t choose(struct input *input, size_t among) { return input->at < input->end ? *input->at++ % among : 0; }

/* A copy with a size of its own, so that the sanitizer notices each byte too far. */
static void *copy_of(const void *bytes, size_t size) {
    void *copy = malloc(size);
    if (copy == NULL && size > 0)
        abort();
    if (size > 0)
        memcpy(copy, bytes, size);
    return copy;
}

static void require(bool holds, const char *what) {
    if (holds)
        return;
    fprintf(stderr, "fuzz_rows: broken promise: %s\n", what);
    abort();
}

/* ------------------------------------------------------------------------------------------------------ the table */

struct invented {
    struct table table;
    struct column columns[MOST_COLUMNS];
    struct branch branches[MOST_COLUMNS][MOST_BRANCHES];
};

/* A branch of a column that is selected or not. A form that cannot be written of the kind becomes one that can. */
static struct branch invent_branch(struct input *input, bool selected) {
    struct branch branch = {
        .kind = (enum kind)choose(input, FIXED + 1),
        .form = selected ? (enum form)(PLAIN + choose(input, UNUSUAL)) : SKIPPED,
        .scale = SCALES[choose(input, COUNT(SCALES))],
        .zero_is_null = choose(input, 2),
        .size = choose(input, 24),
        .symbols = SYMBOLS,
        .symbol_count = choose(input, COUNT(SYMBOLS) + 1),
    };
    if (!branch_is_valid(&branch))
        branch.scale = 0;
    if (!branch_is_valid(&branch))
        branch.form = UNUSUAL;
    return branch;
}

/* Whether a column has a comma before its name is known from the columns before it, as in `columns.py`. */
static bool invent_column(struct invented *it, size_t place, struct input *input, bool comma) {
    static const char NAME[] = ",\"n\":", NAME_AND_NULL[] = ",\"n\":null";
    bool selected = choose(input, 4) != 1;
    struct column *column = &it->columns[place];
    *column = (struct column){
        .name = {NAME + !comma, strlen(NAME) - !comma},
        .null = {NAME_AND_NULL + !comma, strlen(NAME_AND_NULL) - !comma},
        .is_union = choose(input, 2),
        .decides = choose(input, 8) == 1,
        .branches = it->branches[place],
        .branch_count = choose(input, MOST_BRANCHES + 1),
    };
    for (size_t i = 0; i < column->branch_count; i++)
        it->branches[place][i] = invent_branch(input, selected);
    return comma || selected;
}

/* The instant to compare with is a buffer of its own, without the zero that ends a text of C. */
static void invent_table(struct invented *it, struct input *input, const char *since) {
    it->table = (struct table){
        .columns = it->columns,
        .column_count = choose(input, MOST_COLUMNS + 1),
        .head = {"{\"data\":{", 9},
        .tail = {"}}\n", 3},
        .since = {since, choose(input, 4) == 1 ? 0 : INSTANT_SIZE},
        .row_limit = ROW_LIMITS[choose(input, COUNT(ROW_LIMITS))],
        .chunk = CHUNKS[choose(input, COUNT(CHUNKS))],
    };
    bool comma = false;
    for (size_t i = 0; i < it->table.column_count; i++)
        comma = invent_column(it, i, input, comma);
}

/* ----------------------------------------------------------------------------------------------------- the promises */

/* The output is `count` lines, each an object of JSON that keeps its limit. */
static void check_lines(const struct output *output, size_t count) {
    size_t lines = 0, begin = 0;
    for (size_t i = 0; i < output->size; i++) {
        if (output->data[i] != '\n')
            continue;
        require(is_json_object(output->data + begin, i - begin), "a line is JSON");
        require(i + 1 - begin <= output->line_limit, "a line keeps its limit");
        begin = i + 1;
        lines++;
    }
    require(begin == output->size, "the output is whole lines");
    require(lines == count, "lines are counted");
}

/* What a call may leave, by its outcome. `before` is the block before the call. */
static void check_block(const struct table *table, const struct block *before, const struct block *block,
                        enum outcome outcome) {
    uint64_t done = before->rows - block->rows;
    require(block->at >= before->at && block->at <= block->end, "the position is within the block");
    require(block->rows <= before->rows, "rows are counted down");
    require(done > 0 || block->at == before->at, "bytes belong to rows");
    require(done == 0 || (block->row >= before->at && block->row <= block->at), "a row begins before it ends");
    require(done == 0 || (size_t)(block->at - block->row) <= table->row_limit, "a row keeps its limit");
    require(outcome <= LONG_ROW, "memory suffices");
    require(outcome != ALL_ROWS || block->rows == 0, "all rows are decoded");
    require(outcome != UNUSUAL_ROW || done > 0, "an unusual row is counted");
    require(outcome == ALL_ROWS || outcome == UNUSUAL_ROW || block->rows > 0, "a row is left");
}

/* How a block ended. */
struct end {
    enum outcome outcome;
    const uint8_t *at;
    uint64_t rows;
};

/* Decodes a block to its end, as `native_decoder.py` does. Each call either takes a row or has its output taken. */
static struct end decode(const struct table *table, struct block block, struct output *output) {
    size_t written = 0;
    enum outcome outcome;
    do {
        const struct block before = block;
        bool full = output->size >= table->chunk;
        outcome = decode_rows(table, &block, output, &written);
        check_block(table, &before, &block, outcome);
        check_lines(output, written);
        require(outcome != CHUNK_FULL || output->size >= table->chunk, "a full chunk is full");
        require(!full || outcome == CHUNK_FULL || before.rows == 0, "a full chunk is taken");
        if (outcome == CHUNK_FULL)
            output->size = output->line = written = 0;
    } while (outcome == CHUNK_FULL || outcome == UNUSUAL_ROW);
    return (struct end){outcome, block.at, block.rows};
}

/* ------------------------------------------------------------------------------------------------------- arrays */

/* An element that the branch can be, for some sizes of a fixed (which says nothing of other kinds) one that it cannot. */
static enum element element_of(const struct branch *branch) {
    if (branch->form == SKIPPED || branch->form == UNUSUAL)
        return NO_ELEMENT;
    if (branch->size % 8 == 7)
        return (enum element)(LONGS + branch->symbol_count);
    switch (branch->form) {
    case PLAIN:
        if (branch->kind == BOOLEAN)
            return BOOLEANS;
        if (branch->kind == LONG && branch->size % 2)
            return LONGS;
        return branch->kind == LONG || branch->kind == FLOAT || branch->kind == DOUBLE ? DOUBLES : TEXTS;
    case INTEGER_IN_TEXT:
        return LONGS;
    case INSTANT:
    case TIMESTAMP:
        return branch->size % 2 ? INSTANTS : TEXTS;
    case LOCAL_TIMESTAMP:
        return branch->size % 2 ? LOCAL_INSTANTS : TEXTS;
    case DAY_OF_YEAR:
        return branch->size % 2 ? DAYS : TEXTS;
    default:
        return TEXTS;
    }
}

static void invent_arrays(const struct table *table, size_t row_text_limit, struct array *columns,
                          struct arrays *arrays) {
    *arrays = (struct arrays){
        .columns = columns,
        .count = table->column_count,
        .room = 1 + 5 * table->column_count,
        .row_text_limit = row_text_limit,
        .scratch = {.line_limit = row_text_limit},
    };
    for (size_t i = 0; i < table->column_count; i++) {
        columns[i] = (struct array){.element = NO_ELEMENT};
        for (size_t j = 0; j < table->columns[i].branch_count && columns[i].element == NO_ELEMENT; j++)
            columns[i].element = element_of(&table->columns[i].branches[j]);
    }
    require(arrays_are_valid(arrays, table), "a column is selected or not");
    require(arrays_allocate(arrays), "memory suffices");
}

static bool has_value(const struct array *array, size_t row) { return array->valid[row / 8] >> row % 8 & 1; }

/* A value is one of its element; where there is none, no bits of another row are left. */
static void check_value(const struct array *array, size_t row) {
    bool valid = has_value(array, row);
    switch (array->element) {
    case BOOLEANS:
        require(valid || !(array->values.bits[row / 8] >> row % 8 & 1), "no value is false");
        return;
    case TEXTS:
        require(array->values.ends[row] <= array->values.ends[row + 1], "a text ends behind its begin");
        require(valid || array->values.ends[row] == array->values.ends[row + 1], "no value is no text");
        return;
    case DAYS:
        require(is_day(array->values.days[row]) && (valid || array->values.days[row] == 0), "a day exists");
        return;
    case DOUBLES:
        require(array->values.doubles[row] - array->values.doubles[row] == 0, "a number is finite");
        break;
    case INSTANTS:
    case LOCAL_INSTANTS:
        require(is_instant(array->values.longs[row]), "an instant exists");
        break;
    default:
        break;
    }
    require(valid || array->values.longs[row] == 0, "no value is 0");
}

/* All values, and copies of their memory as `module.c` makes them, which the sanitizer watches. */
static void check_arrays(const struct arrays *arrays) {
    size_t text = 0;
    require(arrays->rows <= arrays->room, "rows keep their room");
    for (size_t i = 0; i < arrays->count; i++) {
        const struct array *array = &arrays->columns[i];
        if (array->element == NO_ELEMENT)
            continue;
        for (size_t row = 0; row < arrays->rows; row++)
            check_value(array, row);
        if (array->element == TEXTS) {
            require(array->values.ends[0] == 0, "the first text begins at 0");
            require((size_t)array->values.ends[arrays->rows] == array->text_size, "the last text ends with the texts");
            require(array->text_size == 0 || is_utf8(array->text, array->text_size), "texts are UTF-8");
        }
        free(copy_of(array->valid, (arrays->rows + 7) / 8));
        free(copy_of(array->values.bits, array_values_size(array, arrays->rows)));
        free(copy_of(array->text, array->text_size));
        text += array->text_size;
    }
    require(text == arrays->text_size, "texts are counted");
}

/* As `decode`, to arrays. */
static struct end decode_to_arrays(const struct table *table, struct block block, struct arrays *arrays) {
    enum outcome outcome;
    do {
        const struct block before = block;
        size_t rows = arrays->rows, text = arrays->text_size;
        bool full = rows == arrays->room || text >= table->chunk;
        outcome = decode_arrays(table, &block, arrays);
        check_block(table, &before, &block, outcome);
        check_arrays(arrays);
        require(arrays->rows - rows <= before.rows - block.rows, "a row comes from the block");
        require(arrays->text_size - text <= (arrays->rows - rows) * arrays->row_text_limit, "a row's texts keep their limit");
        require(!full || outcome == CHUNK_FULL || before.rows == 0, "full arrays are taken");
        if (outcome == CHUNK_FULL)
            arrays_clear(arrays, table->chunk);
    } while (outcome == CHUNK_FULL || outcome == UNUSUAL_ROW);
    return (struct end){outcome, block.at, block.rows};
}

/* Which rows there are is the same for lines and arrays, also where a block breaks. */
static void compare(const struct table *table, struct block block, struct output *output) {
    struct array columns[MOST_COLUMNS];
    struct arrays arrays;
    invent_arrays(table, output->line_limit, columns, &arrays);
    struct end lines = decode(table, block, output), end = decode_to_arrays(table, block, &arrays);
    require(lines.outcome == end.outcome && lines.at == end.at && lines.rows == end.rows, "both end alike");
    arrays_free(&arrays);
}

/* The rows that the block claims to have: far more than it can hold only if a row has one byte or more. The caller of
 * `decode_rows` limits rows without bytes, whose number alone decides how long they take. */
static uint64_t invent_rows(const struct invented *it, struct input *input) {
    size_t rows = choose(input, MOST_ROWS + 1);
    bool has_bytes = it->table.column_count > 0 && it->columns[0].is_union;
    return rows == MOST_ROWS && has_bytes ? UINT64_MAX : rows;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = {data, data + size};
    struct invented it;
    char *since = copy_of(SINCE, INSTANT_SIZE);
    invent_table(&it, &input, since);
    struct output output = {.line_limit = LINE_LIMITS[choose(&input, COUNT(LINE_LIMITS))]};
    uint64_t rows = invent_rows(&it, &input);
    size_t left = (size_t)(input.end - input.at);
    uint8_t *bytes = copy_of(input.at, left);
    struct block block = {.at = bytes, .end = bytes + left, .row = bytes, .rows = rows};
    if (table_is_valid(&it.table))
        compare(&it.table, block, &output);
    output_free(&output);
    free(bytes);
    free(since);
    return 0;
}
