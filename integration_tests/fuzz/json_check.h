/* Checks that bytes are one JSON value in valid UTF-8 (RFC 8259, RFC 3629), written without spaces.
 *
 * It is written for the fuzz targets of native modules only, straight from the grammars and without a word of the code
 * that it checks. */

#ifndef JSON_CHECK_H
#define JSON_CHECK_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the bytes are one object, or one array, of JSON. They may nest 70 levels deep. */
bool is_json_object(const char *bytes, size_t size);
bool is_json_array(const char *bytes, size_t size);

bool is_utf8(const char *bytes, size_t size);

#endif
