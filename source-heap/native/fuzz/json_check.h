/* Checks that bytes are one JSON value in valid UTF-8 (RFC 8259, RFC 3629), written without spaces.
 *
 * It is written for the fuzz target only, straight from the grammars and without a word of the code that it checks. */

#ifndef JSON_CHECK_H
#define JSON_CHECK_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the bytes are one object of JSON. Objects may nest up to a few levels. */
bool is_json_object(const char *bytes, size_t size);

#endif
