/* The output: a buffer that grows, holds whole lines and at most one unfinished line behind them.
 *
 * What a stranger's file expands to is not known before, so a line has a limit, and with it the buffer. Whoever writes
 * what a file can make long (`json_text`) asks `output_line_is_long` from piece to piece; everything else is short. */

#ifndef OUTPUT_H
#define OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct output {
    char *data;        /* NULL as long as nothing was written */
    size_t size;       /* bytes written */
    size_t room;       /* bytes allocated */
    size_t line;       /* where the unfinished line begins */
    size_t line_limit; /* most bytes of a line */
};

/* What became of a value that was to be written. */
enum written {
    WRITTEN,
    NOT_WRITABLE, /* the reference decoder has to write it; a part of it may stand in the unfinished line */
    OUT_OF_MEMORY,
};

/* Makes room for `wanted` more bytes, at least one. False if there is no memory. */
bool output_grow(struct output *output, size_t wanted);

/* Frees the buffer, which is empty then. */
void output_free(struct output *output);

/* Makes room for `wanted` more bytes. False if there is no memory. */
static inline bool output_reserve(struct output *output, size_t wanted) {
    return output->room - output->size > wanted || output_grow(output, wanted);
}

/* Appends bytes for which there is room. */
static inline void output_put(struct output *output, const char *bytes, size_t count) {
    memcpy(output->data + output->size, bytes, count);
    output->size += count;
}

/* Appends bytes. Never `NOT_WRITABLE`. */
static inline enum written output_append(struct output *output, const char *bytes, size_t count) {
    if (!output_reserve(output, count))
        return OUT_OF_MEMORY;
    output_put(output, bytes, count);
    return WRITTEN;
}

/* Whether the unfinished line is longer than it may be. */
static inline bool output_line_is_long(const struct output *output) {
    return output->size - output->line > output->line_limit;
}

#endif
