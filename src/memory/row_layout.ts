/**
 * How a weight row lies in an arena. Integer constants only: read by TypeScript and by
 * AssemblyScript alike.
 *
 * A quantised row of K weights is cut into superblocks of 8 blocks x 32 weights and stored
 * K-interleaved: byte pair j of each 16-byte vector belongs to block j, so the eight 16-bit lanes
 * of a dot product accumulate eight blocks at once, and one widening per superblock serves all.
 *
 *   byte 0                                   Kp·bits/8              + Kp/32·2
 *   ├─ superblock 0 quants ─┬─ superblock 1 ─ … ┼─ scales: f16 [Kp/32] ─┤
 *
 *   Q4_0 superblock, 128 bytes: vector i (0..7), bytes 2j and 2j+1 = bytes 2i and 2i+1 of block j
 *   (low nibbles: weights 2i, 2i+1; high nibbles: weights 16+2i, 16+2i+1).
 *   Q8_0 superblock, 256 bytes: sixteen vectors in the order of weight pairs
 *   0 1 8 9 2 3 10 11 4 5 12 13 6 7 14 15, each byte stored with its top bit flipped (w + 128).
 *
 * Scales follow the quants in file order, f16. Kp is K rounded up to a superblock; the padding is
 * zero weight (Q4_0: nibble 8, Q8_0: byte 128) with scale zero. Float rows are plain, Kp rounded
 * up to 16, padding zero.
 */

/** Weights per quantisation block. */
export const BLOCK_WEIGHTS = 32;
/** Weights per superblock: the unit that quantised rows are padded to. */
export const SUPERBLOCK_WEIGHTS = 256;
/** Blocks per superblock. */
export const SUPERBLOCK_BLOCKS = 8;
/** Float rows are padded to this many weights. */
export const FLOAT_ROW_PAD_WEIGHTS = 16;
/** Rows follow one another at multiples of this: a vector load. */
export const ROW_ALIGN_BYTES = 16;
/** Every region of an arena, and so the first row of every matrix, starts at a multiple of this. */
export const REGION_ALIGN_BYTES = 64;

/** Types of quantised rows, by ggml's numbers. */
export const TYPE_Q4_0 = 2;
export const TYPE_Q4_1 = 3;
export const TYPE_Q5_0 = 6;
export const TYPE_Q5_1 = 7;
export const TYPE_Q8_0 = 8;
export const TYPE_Q2_K = 10;
export const TYPE_Q3_K = 11;
export const TYPE_Q4_K = 12;
export const TYPE_Q5_K = 13;
export const TYPE_Q6_K = 14;
export const TYPE_IQ4_NL = 20;
export const TYPE_IQ4_XS = 23;
export const TYPE_MXFP4 = 39;
