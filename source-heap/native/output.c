#include "output.h"

#include <stdlib.h>

/* The first size of the buffer: a chunk of lines, and some more. Bytes. */
static const size_t FIRST_ROOM = 640 * 1024;

bool output_grow(struct output *output, size_t wanted) {
    size_t in_line = output->size - output->line;
    if (wanted > output->line_limit || in_line > output->line_limit - wanted) {
        output->too_long = true;
        return false;
    }
    size_t needed = output->size + wanted; /* below two lines and a chunk, so it does not overflow */
    size_t room = output->room ? output->room : FIRST_ROOM;
    while (room < needed)
        room *= 2;
    char *data = realloc(output->data, room);
    if (data == NULL)
        return false;
    output->data = data;
    output->room = room;
    return true;
}

void output_free(struct output *output) {
    free(output->data);
    output->data = NULL;
    output->size = output->room = output->line = 0;
}
