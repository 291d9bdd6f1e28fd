/* BLAKE2b with a digest of 128 bits and without a key, as `hashlib.blake2b(..., digest_size=16)`.
 *
 * The algorithm and its constants are those of RFC 7693, sections 2 and 3. The code is this project's own: nothing is taken
 * from the program in the appendix of the RFC, or from the reference implementation of BLAKE2. */

#ifndef BLAKE2B_H
#define BLAKE2B_H

#include <stddef.h>

enum { DIGEST_DIGITS = 32 };

/* Writes the digest of some bytes in hexadecimal digits. */
void blake2b_hex(char to[DIGEST_DIGITS], const char *bytes, size_t size);

#endif
