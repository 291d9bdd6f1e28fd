/* The output: a buffer that grows, holds whole lines and at most one unfinished line behind them.
 *
 * A line has a limit, so the buffer cannot grow without one: what a stranger's file expands to is not known before. */

#ifndef OUTPUT_H
#define OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct output {
    char *data;
    size_t size;       /* bytes written */
    size_t room;       /* bytes allocated */
    size_t line;       /* where the unfinished line begins */
    size_t line_limit; /* most bytes of a line */
    bool too_long;     /* the line exceeded its limit; false after a failure means that memory ran out */
};

/* Whether the unfinished line exceeds its limit. */
static inline bool output_line_is_too_long(const struct output *output) {
    return output->size - output->line > output->line_limit;
}

/* Makes room for `wanted` more bytes. False if the line exceeds its limit already, or if there is no memory. `wanted` may
 * be more than will be written, so the whole line is to be measured at its end. */
bool output_grow(struct output *output, size_t wanted);

/* Frees the buffer. */
void output_free(struct output *output);

static inline bool output_reserve(struct output *output, size_t wanted) {
    return output->room - output->size >= wanted || output_grow(output, wanted);
}

/* Appends bytes without asking for room. */
static inline void output_put(struct output *output, const char *bytes, size_t count) {
    memcpy(output->data + output->size, bytes, count);
    output->size += count;
}

/* Appends bytes. False as for `output_grow`. */
static inline bool output_append(struct output *output, const char *bytes, size_t count) {
    if (!output_reserve(output, count))
        return false;
    output_put(output, bytes, count);
    return true;
}

#endif
