#include "output.h"

#include <stdint.h>
#include <stdlib.h>

/* The first size of the buffer: a chunk of lines, and some more. Bytes. The fuzzers make it small, so that it grows. */
#ifndef FIRST_ROOM
#define FIRST_ROOM ((size_t)640 * 1024)
#endif

bool output_grow(struct output *output, size_t wanted) {
    if (wanted >= SIZE_MAX / 2 - output->size) /* so that doubling cannot overflow; the size is below the half, too */
        return false;
    size_t needed = output->size + wanted + 1; /* one more, so that there is a buffer also for no bytes */
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
