/**
 * How a weight row lies in an arena. Integer constants only: read by TypeScript and by
 * AssemblyScript alike.
 *
 * A quantised row of K weights is cut into superblocks of 8 blocks x 32 weights, one behind the
 * other: quants, then the factor record, each in as many bytes as in the file. So a row is read
 * from its beginning to its end, which every processor's prefetcher follows (NOTES.md):
 *
 *   ├─ quants 0 ─┬─ factors 0 ─┼─ quants 1 ─┬─ factors 1 ─┼─ … ─ 0 to a multiple of 16 bytes ─┤
 *
 * Quants are K-interleaved. Place i = 0..7 is 32 bytes, dword j of which holds weights 2i, 2i + 1,
 * 16 + 2i, 17 + 2i of block j: in a dot product of bytes with 16-bit lanes, lane 2j collects the
 * first half of block j and lane 2j + 1 the second, and one multiplication of lane pairs joins them
 * by their integer scales. Quants of fewer than 8 bits share these bytes:
 *
 *   4 bits   places 0..3 in the low nibbles, 4..7 in the high ones: 128 bytes
 *   2 bits   places 0..3 in bits 0-1, 2-3, 4-5, 6-7 of 32 bytes, 4..7 in another 32: 64 bytes
 *   1 bit    places 0..7 in bits 0..7 of 32 bytes
 *   8 bits   256 bytes
 *
 *   type     quants                        factor record, in the order of blocks
 *   Q4_0     4 bits                        8 f16 scales
 *   Q4_1     4 bits                        8 f16 scales, 8 f16 minima
 *   E0M4     4 bits                        as Q4_1: the file differs, the packed row does not
 *   Q5_0     4 bits, 1 bit                 as Q4_0
 *   Q5_1     4 bits, 1 bit                 as Q4_1
 *   Q8_0     8 bits, w + 128               8 f16 scales
 *   Q2_K     2 bits                        16 bytes scale | minimum << 4; f16 d, dmin
 *   Q3_K     2 bits, 1 bit                 f16 d; 8 x 12 bits: scales of a block's halves
 *   Q4_K     4 bits                        8 x 12 bits: scale | minimum << 6; f16 d, dmin
 *   Q5_K     4 bits, 1 bit                 as Q4_K
 *   Q6_K     4 bits, 2 bits                16 int8 scales; f16 d
 *   IQ4_NL   4 bits                        8 f16 scales
 *   IQ4_XS   4 bits                        8 x 6 bits: scales; f16 d
 *   MXFP4    4 bits                        8 exponents
 *   NVFP4    4 bits                        16 UE5M3 scales of a block's halves; f32 scale
 *   TQ2_0    2 bits                        f16 d
 *   Q2_0     2 bits                        4 f16 scales
 *   Q1_0     1 bit                         2 f16 scales
 *
 *   IQ1_S_W, IQ3_S_W, IQ2_XXS_W, IQ3_XXS_W   4 bits   8 odd bytes; f32 scale
 *   IQ1_M_W, IQ2_XS_W, IQ2_S_W    4 bits   16 odd bytes, of a block's halves; f32 scale
 *
 * IQ1_S to IQ3_S and TQ1_0 have no such order: a row is the file's superblocks, one
 * behind the other (wasm/assembly/natural.ts). Where there is room, rows are written out: IQ2_XS
 * is IQ2_XS_W then, the same blocks in a file, other rows (formats_levels.ts); TQ1_0 becomes TQ2_0.
 *
 * Lane j of n x 12 (or 6) bits is at bit 12·j (6·j). Scales of Q3_K, Q4_K, Q5_K and IQ4_XS are the
 * file's bits in another order; NVFP4's have an exponent of five bits, so that none is subnormal,
 * and beside them is what their tensor is multiplied by; everything else is moved, not changed.
 * Padding up to a superblock is zero weight with zero factors. Float rows are plain, K rounded up
 * to 16, padding zero.
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
/**
 * Every region of an arena, and so the first row of every matrix, starts at a multiple of this: two
 * cache lines, which processors fetch together.
 */
export const REGION_ALIGN_BYTES = 128;

/** Types of quantised rows, by their numbers in files: ggml's. */
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
export const TYPE_IQ2_XXS = 16;
export const TYPE_IQ2_XS = 17;
export const TYPE_IQ3_XXS = 18;
export const TYPE_IQ1_S = 19;
export const TYPE_IQ3_S = 21;
export const TYPE_IQ2_S = 22;
export const TYPE_IQ1_M = 29;
export const TYPE_TQ1_0 = 34;
export const TYPE_TQ2_0 = 35;
export const TYPE_MXFP4 = 39;
export const TYPE_NVFP4 = 40;
export const TYPE_Q1_0 = 41;
export const TYPE_Q2_0 = 42;
/** Our own type; packed, it is Q4_1. */
export const TYPE_E0M4 = 0x344d3045;
/** NVFP4 with its tensor's scale in each block; packed, it is NVFP4. */
export const TYPE_NVFP4S = 0x3453564e;
/** Types whose rows are written out: "W" << 24 and the type's number. */
export const TYPE_IQ2_XXS_W = 0x57000010;
export const TYPE_IQ2_XS_W = 0x57000011;
export const TYPE_IQ3_XXS_W = 0x57000012;
export const TYPE_IQ1_S_W = 0x57000013;
export const TYPE_IQ3_S_W = 0x57000015;
export const TYPE_IQ2_S_W = 0x57000016;
export const TYPE_IQ1_M_W = 0x5700001d;
/** Packed, it is TQ2_0. */
export const TYPE_TQ1_0_W = 0x57000022;
