/**
 * How a quantised matrix lies in an arena that is kept by columns, so that one column (the down
 * weights of one neuron) can be read without the others. Integer constants only: read by
 * TypeScript and by AssemblyScript alike.
 *
 * A matrix of R rows, R a multiple of 64, has first the quants of all columns, then the factors of
 * blocks of 32 columns, two or four bytes for each row, in one stream: they are read whether a
 * block's columns are or not.
 *
 *   ├─ quants of column 0, all rows ─┼─ column 1 ─┼─ … ─┼─ factors of block 0 ─┼─ block 1 ─┼─ … ─┤
 *
 * A column's quants are groups of 32 bytes, two vectors of eight 16-bit lanes. Lane 2j + h of
 * vector v holds four nibbles, nibble n at bit 4n:
 *
 *   4 bits   a group is 64 rows: nibble n is row 16n + 8h + 4v + j
 *   8 bits   a group is 32 rows: nibbles 2m and 2m + 1 are the quant of row 16m + 8h + 4v + j
 *
 * so that sums over columns in these lanes become neighbouring floats by two multiplications, and
 * both vectors are halves of one 256-bit operation. K-quants and NVFP4 have the scales of eight
 * blocks in front of them:
 *
 *   type        quants   factors of a block              in front of eight blocks
 *   Q4_0        4 bits   f16 [R]
 *   Q4_1, E0M4  4 bits   f16 [R], f16 [R] minima
 *   Q5_0, Q8_0  8 bits   f16 [R]
 *   MXFP4       4 bits   u16 [R], upper halves of f32; nibbles are numbers in ascending order
 *   NVFP4       4 bits   u8 [2][R], UE5M3 of each half   f32 [R], the tensor's factor
 *   Q3_K        4 bits   int8 [2][R], a scale each half  f32 [R] d
 *   Q6_K        8 bits   the same                        the same
 *   Q4_K        4 bits   u8 [R] scales, u8 [R] minima    f32 [R] d, f32 [R] −dmin
 *   Q5_K        8 bits   the same                        the same
 *
 * Nothing is rounded. Q4_0, Q4_1, E0M4 and Q8_0 take as many bytes as in the file; the others take
 * more, 1.06 (Q4_K, MXFP4) to 1.59 (Q5_K) times as many, of which a token reads few.
 */

/** Rows that are packed at a time: a matrix by columns has a multiple of these. */
export const COLUMN_GROUP_ROWS = 64;
/** A page of memory: columns that fit into one lie in one. */
export const COLUMN_ALIGN_BYTES = 4096;
/** Room that packing asks for: the quants of a group in a superblock, and factors. */
export const COLUMN_SCRATCH_BYTES = 17408;
