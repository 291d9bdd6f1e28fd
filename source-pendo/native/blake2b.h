/* BLAKE2b with a digest of 128 bits and without a key (RFC 7693), as `hashlib.blake2b(..., digest_size=16)`. */

#ifndef BLAKE2B_H
#define BLAKE2B_H

#include <stddef.h>

enum { DIGEST_DIGITS = 32 };

/* Writes the digest of some bytes in hexadecimal digits. */
void blake2b_hex(char to[DIGEST_DIGITS], const char *bytes, size_t size);

#endif
