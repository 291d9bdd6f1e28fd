#include "rows.h"

bool table_is_valid(const struct table *table) {
    for (size_t i = 0; i < table->column_count; i++)
        if (table->columns[i].decides && table->since.size != INSTANT_SIZE)
            return false;
    return table->chunk > 0;
}

bool arrays_are_valid(const struct arrays *arrays, const struct table *table) {
    if (arrays->count != table->column_count || arrays->room == 0)
        return false;
    for (size_t i = 0; i < table->column_count; i++)
        for (size_t j = 0; j < table->columns[i].branch_count; j++) {
            enum form form = table->columns[i].branches[j].form;
            if (form != UNUSUAL && (form == SKIPPED) != (arrays->columns[i].element == NO_ELEMENT))
                return false;
        }
    return true;
}

/* Where rows go: to lines or to arrays. The other one is NULL. */
struct sink {
    struct output *lines;
    struct arrays *arrays;
};

/* What is known of a row while its columns are read. */
struct row {
    bool unusual; /* the reference decoder has to write it */
    bool before;  /* its instant is before `since` */
};

/* Reads a column's value, and which branch it has. */
static enum outcome read_column(struct reader *reader, const struct column *column, const struct branch **branch,
                                struct value *value) {
    int64_t index = 0;
    if (column->is_union && !read_long(reader, &index))
        return BROKEN_ROW;
    if (index < 0 || (uint64_t)index >= column->branch_count)
        return BAD_BRANCH;
    *branch = &column->branches[index];
    if (!read_value(reader, (*branch)->kind, (*branch)->size, value))
        return BROKEN_ROW;
    if ((*branch)->kind == ENUM && (value->integer < 0 || (uint64_t)value->integer >= (*branch)->symbol_count))
        return BAD_BRANCH;
    return ALL_ROWS;
}

/* Decides by the instant of a column whether a row is filtered out. */
static void compare_instant(struct row *row, const struct table *table, const struct branch *branch,
                            const struct value *value) {
    char instant[INSTANT_SIZE];
    int64_t micros = 0;
    enum found found = branch->form == UNUSUAL ? UNCLEAR : find_instant(&micros, branch, value);
    row->unusual |= found == UNCLEAR;
    if (found == FOUND && instant_from_micros(instant, micros)) /* as texts, which are in order of time */
        row->before |= memcmp(instant, table->since.bytes, INSTANT_SIZE) < 0;
}

static enum written append(struct output *output, const struct span *span) {
    return output_append(output, span->bytes, span->size);
}

/* Writes a column's name and value. */
static enum written write_column(struct output *output, const struct column *column, const struct branch *branch,
                                 const struct value *value) {
    if (branch->form == SKIPPED)
        return WRITTEN;
    if (branch->kind == NULL_KIND && branch->form == PLAIN) /* one copy, not two: 12 % less time */
        return append(output, &column->null);
    enum written written = append(output, &column->name);
    if (written != WRITTEN)
        return written;
    return branch->form == PLAIN ? write_plain(output, branch, value) : write_value(output, branch, value);
}

/* Apart from the loop of lines, which takes less time without it. */
static __attribute__((noinline)) enum written set_column(struct arrays *arrays, ptrdiff_t column,
                                                         const struct branch *branch, const struct value *value) {
    return arrays_set(arrays, (size_t)column, branch, value);
}

/* Reads the columns of a row and writes them, until it is known that the row has no place here: then the rest is read
 * only, to find the row's end. */
static inline enum outcome decode_columns(const struct table *table, struct reader *reader, struct sink sink,
                                          struct row *row) {
    for (const struct column *column = table->columns, *end = column + table->column_count; column < end; column++) {
        const struct branch *branch;
        struct value value;
        enum outcome outcome = read_column(reader, column, &branch, &value);
        if (outcome != ALL_ROWS)
            return outcome;
        if (column->decides && !row->unusual)
            compare_instant(row, table, branch, &value);
        if (row->unusual || row->before)
            continue;
        enum written written = sink.lines ? write_column(sink.lines, column, branch, &value)
                                          : set_column(sink.arrays, column - table->columns, branch, &value);
        if (written == OUT_OF_MEMORY)
            return NO_MEMORY;
        row->unusual = written == NOT_WRITABLE;
    }
    return ALL_ROWS;
}

/* Decodes one row. What is written of a row without a line stays behind the last line, unfinished. */
static inline enum outcome decode_row(const struct table *table, struct reader *reader, struct sink sink,
                                      struct row *row) {
    const uint8_t *begin = reader->at;
    if (sink.lines && append(sink.lines, &table->head) != WRITTEN)
        return NO_MEMORY;
    enum outcome outcome = decode_columns(table, reader, sink, row);
    if (outcome != ALL_ROWS)
        return outcome;
    if ((size_t)(reader->at - begin) > table->row_limit)
        return LONG_ROW;
    if (sink.lines && append(sink.lines, &table->tail) != WRITTEN)
        return NO_MEMORY;
    row->unusual |= sink.lines && !row->before && output_line_is_long(sink.lines);
    return ALL_ROWS;
}

static inline bool is_full(const struct table *table, struct sink sink) {
    if (sink.lines)
        return sink.lines->size >= table->chunk;
    return sink.arrays->rows == sink.arrays->room || sink.arrays->text_size >= table->chunk;
}

/* Decodes rows until the outcome is known. */
static inline enum outcome decode(const struct table *table, struct block *block, struct sink sink, size_t *written) {
    while (block->rows) {
        if (is_full(table, sink))
            return CHUNK_FULL;
        struct reader reader = {block->at, block->end};
        struct row row = {false, false};
        if (sink.lines)
            sink.lines->line = sink.lines->size;
        enum outcome outcome = decode_row(table, &reader, sink, &row);
        bool kept = outcome == ALL_ROWS && !row.unusual && !row.before;
        if (sink.arrays)
            kept ? arrays_keep_row(sink.arrays) : arrays_drop_row(sink.arrays);
        else if (!kept)
            sink.lines->size = sink.lines->line; /* nothing stays of the line */
        *written += kept;
        if (outcome != ALL_ROWS)
            return outcome;
        block->row = block->at;
        block->at = reader.at;
        block->rows--;
        if (row.unusual)
            return UNUSUAL_ROW;
    }
    return ALL_ROWS;
}

enum outcome decode_rows(const struct table *table, struct block *block, struct output *output, size_t *written) {
    return decode(table, block, (struct sink){output, NULL}, written);
}

enum outcome decode_arrays(const struct table *table, struct block *block, struct arrays *arrays) {
    size_t written = 0; /* the arrays count their rows */
    return decode(table, block, (struct sink){NULL, arrays}, &written);
}
