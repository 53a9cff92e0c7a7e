/**
 * How a quantised matrix lies in an arena that is kept by columns, so that one column (the down
 * weights of one neuron) can be read without the others. Integer constants only: read by
 * TypeScript and by AssemblyScript alike.
 *
 * A matrix of R rows, R a multiple of 64, is a run of blocks of 32 columns, each in as many bytes
 * as the file has for these columns:
 *
 *   ├─ quants of column 0, all rows ─┼─ … ─┼─ column 31 ─┼─ R f16: the rows' scales of the block ─┤
 *
 * A column's quants are groups of 32 bytes, two vectors of eight 16-bit lanes. Lane 2j + h of
 * vector v holds four nibbles, nibble n at bit 4n:
 *
 *   Q4_0   a group is 64 rows: nibble n is row 16n + 8h + 4v + j
 *   Q8_0   a group is 32 rows: nibbles 2m and 2m + 1 are w + 128 of row 16m + 8h + 4v + j
 *
 * so that sums over columns in these lanes become neighbouring floats by two multiplications, and
 * both vectors are halves of one 256-bit operation. The bits are the file's.
 */

/** Rows that are packed at a time: a matrix by columns has a multiple of these. */
export const COLUMN_GROUP_ROWS = 64;
