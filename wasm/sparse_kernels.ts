/**
 * The kernels that compute only what fires: products with listed rows and with columns that count,
 * and the lists. The rest of the contract is that of kernels.ts.
 */
export interface SparseKernels {
  /**
   * list = all i with !(x[i] ≤ threshold), ascending; values[j] = x[list[j]]; returns their count.
   * x f32 [n], list u32 [n], values f32 [n], which may be x.
   */
  fired_f32(x: number, n: number, threshold: number, list: number, values: number): number;
  /** The same with |x[i]| in place of x[i]; values keep their signs. */
  loud_f32(x: number, n: number, threshold: number, list: number, values: number): number;
  /** x[t, i] = 0 where |x[t, i]| ≤ threshold; x f32 [n, xStride], i in 0..d. */
  hush_f32(x: number, xStride: number, n: number, d: number, threshold: number): void;
  /**
   * list[j] = list[picks[j]], j in 0..count. list u32 [n]; picks u32 [count], ascending; a number
   * beyond the list counts as its last place. Traps where count exceeds n.
   */
  pick_listed(list: number, n: number, picks: number, count: number): void;
  /** out f32 [n] = 0, then out[list[j]] = values[j]; a number beyond counts as the last one. */
  scatter_f32(values: number, list: number, count: number, out: number, n: number): void;
  /**
   * out[j] = Σ_i w[list[j], i] · act[i], j in 0..count: the bits of `matmul_q8` of one token, whose
   * tile is at acts. list u32 [count]; a number that is no row counts as the last row.
   */
  matmul_q8_rows(
    type: number,
    w: number,
    rowStride: number,
    rows: number,
    k: number,
    acts: number,
    list: number,
    count: number,
    out: number,
  ): void;
  /** The same with float rows of ggml type 0, 1 or 30 and one row of float activations at x. */
  matmul_float_rows(
    type: number,
    w: number,
    rowStride: number,
    rows: number,
    k: number,
    x: number,
    list: number,
    count: number,
    out: number,
  ): void;
  /**
   * Rows firstRow .. firstRow + count - 1, given as `blocks` blocks of a file each, row r at
   * src + r·srcStride, into a matrix of `rows` rows by columns at dst, of a type that can lie so
   * (src/memory/column_layout.ts). firstRow, count and rows are multiples of 64. scratch:
   * COLUMN_SCRATCH_BYTES.
   */
  repack_columns(
    type: number,
    src: number,
    srcStride: number,
    dst: number,
    rows: number,
    firstRow: number,
    count: number,
    blocks: number,
    scratch: number,
  ): void;
  /**
   * out[t, r] = Σ_i w[r, i] · act[t, i] of a matrix [rows, k] by columns, q8 tiles at `acts`, whose
   * room behind the activations is written to. One token reads no column whose quantised
   * activation is zero. Returns how many columns were read.
   */
  matmul_q8_columns(
    type: number,
    w: number,
    rows: number,
    k: number,
    acts: number,
    n: number,
    out: number,
    outStride: number,
  ): number;
  /**
   * The same of one token, bit for bit, where the quants of column i lie at address columns[i] and
   * all blocks' factors, the end of such a matrix, at `factors`. columns u32 [k rounded up to 32,
   * or of K-quants to 256]; an entry counts only where its column is read; an address beyond the
   * memory counts as the last one.
   */
  matmul_q8_columns_at(
    type: number,
    factors: number,
    columns: number,
    rows: number,
    k: number,
    acts: number,
    out: number,
  ): number;
  /**
   * The transpose of `rows` file rows of `columns` weights of 2 or 4 bytes, row r at
   * src + r·srcStride: weight (r, c) goes to dst + c·dstStride + r·weightBytes.
   */
  repack_transposed(
    weightBytes: number,
    src: number,
    srcStride: number,
    dst: number,
    dstStride: number,
    rows: number,
    columns: number,
  ): void;
  /**
   * out[t, r] = Σ_i x[t, i] · w[i, r] of a matrix [neurons, d] that is kept neuron by neuron:
   * packed rows of any ggml type, float rows included. x f32 [n, xStride], out f32 [n, outStride].
   * scratch: neurons_scratch_bytes(d). Of float types an output has the same bits whatever n is.
   */
  matmul_neurons(
    type: number,
    w: number,
    rowStride: number,
    neurons: number,
    d: number,
    x: number,
    xStride: number,
    n: number,
    out: number,
    outStride: number,
    scratch: number,
  ): void;
  /**
   * out[r] = Σ_j values[j] · w[list[j], r], j in 0..count without those whose value is 0; list u32
   * [count], or address 0: j itself; a number that is no neuron counts as the last one. values f32
   * [count]. Returns how many rows were read. Of float types, the bits of `matmul_neurons`.
   */
  matmul_fired_neurons(
    type: number,
    w: number,
    rowStride: number,
    neurons: number,
    d: number,
    list: number,
    values: number,
    count: number,
    out: number,
    scratch: number,
  ): number;
  /** Scratch for d outputs. */
  neurons_scratch_bytes(d: number): number;
}
