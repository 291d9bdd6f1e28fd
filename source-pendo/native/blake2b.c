#include "blake2b.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { BLOCK_BYTES = 128, BLOCK_WORDS = 16, STATE_WORDS = 8, ROUNDS = 12, DIGEST_BYTES = DIGEST_DIGITS / 2 };

static const uint64_t START[STATE_WORDS] = {
    0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
    0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
};

/* Which words of the block a round mixes in, in which order. The last two rounds are as the first two. */
static const uint8_t ORDER[ROUNDS][BLOCK_WORDS] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4}, {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13}, {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11}, {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5}, {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
};

#define ROTATED(word, bits) ((word) >> (bits) | (word) << (64 - (bits)))

/* Mixes two words of the block into four of the state. A macro, and the rounds are unrolled, so that compilers keep the
 * state in registers: that takes a third of the time away. */
#define MIX(a, b, c, d, x, y)                                                                                          \
    do {                                                                                                               \
        v[a] += v[b] + m[x];                                                                                           \
        v[d] = ROTATED(v[d] ^ v[a], 32);                                                                               \
        v[c] += v[d];                                                                                                  \
        v[b] = ROTATED(v[b] ^ v[c], 24);                                                                               \
        v[a] += v[b] + m[y];                                                                                           \
        v[d] = ROTATED(v[d] ^ v[a], 16);                                                                               \
        v[c] += v[d];                                                                                                  \
        v[b] = ROTATED(v[b] ^ v[c], 63);                                                                               \
    } while (0)

/* Words have their lowest byte first. Where the machine has another order, the module is not built. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the order of bytes");

static uint64_t word_at(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

/* `count` is the number of bytes up to the end of this block. */
static void compress(uint64_t state[STATE_WORDS], const uint8_t block[BLOCK_BYTES], uint64_t count, bool is_last) {
    uint64_t v[2 * STATE_WORDS], m[BLOCK_WORDS];
    memcpy(v, state, STATE_WORDS * sizeof *v);
    memcpy(v + STATE_WORDS, START, sizeof START);
    v[12] ^= count;
    v[14] ^= is_last ? UINT64_MAX : 0;
    for (int i = 0; i < BLOCK_WORDS; i++)
        m[i] = word_at(block + 8 * i);
#pragma GCC unroll 12
    for (int round = 0; round < ROUNDS; round++) {
        const uint8_t *order = ORDER[round];
        MIX(0, 4, 8, 12, order[0], order[1]);
        MIX(1, 5, 9, 13, order[2], order[3]);
        MIX(2, 6, 10, 14, order[4], order[5]);
        MIX(3, 7, 11, 15, order[6], order[7]);
        MIX(0, 5, 10, 15, order[8], order[9]);
        MIX(1, 6, 11, 12, order[10], order[11]);
        MIX(2, 7, 8, 13, order[12], order[13]);
        MIX(3, 4, 9, 14, order[14], order[15]);
    }
    for (int i = 0; i < STATE_WORDS; i++)
        state[i] ^= v[i] ^ v[i + STATE_WORDS];
}

void blake2b_hex(char to[DIGEST_DIGITS], const char *bytes, size_t size) {
    static const char HEX[] = "0123456789abcdef";
    const uint8_t *at = (const uint8_t *)bytes;
    uint64_t state[STATE_WORDS], count = 0;
    memcpy(state, START, sizeof START);
    state[0] ^= 0x01010000 ^ DIGEST_BYTES; /* the parameters: no key, no tree */
    for (; size - count > BLOCK_BYTES; at += BLOCK_BYTES)
        compress(state, at, count += BLOCK_BYTES, false);
    uint8_t last[BLOCK_BYTES] = {0};
    memcpy(last, at, size - count);
    compress(state, last, size, true);
    for (int i = 0; i < DIGEST_BYTES; i++) {
        uint8_t byte = (uint8_t)(state[i / 8] >> (8 * (i % 8)));
        *to++ = HEX[byte >> 4];
        *to++ = HEX[byte & 15];
    }
}
