/**
 * The kernels as TypeScript sees them: every export of `kernels.wasm`, with its contract. Pointers
 * are byte addresses in the instance's own memory; kernels allocate nothing, keep nothing between
 * calls and check their extents against the memory's size before they start: an address out of
 * range traps (`unreachable`) and touches nothing.
 *
 * Row formats: src/memory/row_layout.ts. Activations for quantised rows ("q8 tiles") are written
 * by `quantize_q8` and read by `matmul_q8` only; their inner layout is the kernels'
 * business, their size is `q8_bytes(n, k)`.
 */
import type { RowKernels } from "./row_kernels.ts";
import type { SparseKernels } from "./sparse_kernels.ts";
import type { ChosenKernels } from "./chosen_kernels.ts";
import type { KeyedKernels } from "./keyed_kernels.ts";
import type { StateKernels } from "./state_kernels.ts";

/** The exports of an instance. */
export interface Kernels
  extends RowKernels, SparseKernels, StateKernels, KeyedKernels, ChosenKernels {
  // --- weights into an arena -------------------------------------------------------------------
  /**
   * Repacks blocks of a file into packed rows. `src`: `rows` rows of `blocks` blocks of ggml type
   * `type`, row r at src + r·srcStride; `dst`: packed rows, row r at dst + r·dstStride. scratch:
   * 640 bytes. Traps on a type that is not quantised.
   */
  repack(
    type: number,
    src: number,
    srcStride: number,
    dst: number,
    dstStride: number,
    rows: number,
    blocks: number,
    scratch: number,
  ): void;
  /** Copies `rows` rows of `bytes` bytes and zeroes the rest of each dstStride. */
  repack_float(
    src: number,
    srcStride: number,
    dst: number,
    dstStride: number,
    rows: number,
    bytes: number,
  ): void;

  // --- rows back to floats (token embeddings) --------------------------------------------------
  /** out f32 [k] = the packed row of ggml type `type` at `row`. scratch: 640 bytes. */
  dequantize_row_q(type: number, row: number, k: number, out: number, scratch: number): void;
  /** The same of float rows. */
  dequantize_row_f32(row: number, k: number, out: number): void;
  dequantize_row_f16(row: number, k: number, out: number): void;
  dequantize_row_bf16(row: number, k: number, out: number): void;

  // --- activations -----------------------------------------------------------------------------
  /**
   * out[t, i] = x[t, i] · weight[i] / sqrt(mean_i(x[t]²) + epsilon), zero for i in d..outStride.
   * x f32 [n, xStride], weight f32 [d], out f32 [n, outStride]; strides in floats.
   */
  rms_norm_f32(
    x: number,
    xStride: number,
    weight: number,
    out: number,
    outStride: number,
    n: number,
    d: number,
    epsilon: number,
  ): void;
  /** Bytes that `quantize_q8` writes for [n, k] activations. */
  q8_bytes(n: number, k: number): number;
  /** Quantises x f32 [n, xStride], k columns, to int8 per 32 with f32 scales, as q8 tiles. */
  quantize_q8(x: number, xStride: number, n: number, k: number, dst: number): void;

  // --- matrix products -------------------------------------------------------------------------
  /**
   * out[t, r] = Σ_i w[r, i] · act[t, i], for r in 0..rows, t in 0..n. Packed rows of ggml type
   * `type` at w + r·rowStride (bytes); q8 tiles at `acts`, whose room behind the activations is
   * written to; out f32, out[t, r] at out + 4·(t·outStride + r).
   */
  matmul_q8(
    type: number,
    w: number,
    rowStride: number,
    rows: number,
    k: number,
    acts: number,
    n: number,
    out: number,
    outStride: number,
  ): void;
  /**
   * The same bits. Where n = 1, `matmul_q8` reads four rows side by side, this one two: which is
   * faster is the machine's business (src/rank/load/tune.ts).
   */
  matmul_q8_two_streams: Kernels["matmul_q8"];
  /**
   * The same bits. Where n is a few, 5 to 16 at most, by type, this one unpacks rows in registers,
   * once for four tokens, `matmul_q8` into memory, once for all: which is faster is V8's and the
   * machine's business (src/rank/load/tune.ts). Up to four tokens there is no difference.
   */
  matmul_q8_few: Kernels["matmul_q8"];
  /**
   * The same with float rows and float activations: x f32 [n, xStride], of which the first
   * alignUp(k, 16) columns are read; columns k.. are finite (the rows' padding is zero).
   */
  matmul_f32_f32(
    w: number,
    rowStride: number,
    rows: number,
    k: number,
    x: number,
    xStride: number,
    n: number,
    out: number,
    outStride: number,
  ): void;
  matmul_f16_f32: Kernels["matmul_f32_f32"];
  matmul_bf16_f32: Kernels["matmul_f32_f32"];

  /**
   * The same bits, of rows of ggml type 0, 1 or 30 (f32, f16, bf16), k at most 16384: faster where
   * n is large, for both sides are packed as the loop reads them. scratch:
   * matmul_long_scratch_bytes() bytes.
   */
  matmul_long_f32(
    type: number,
    w: number,
    rowStride: number,
    rows: number,
    k: number,
    x: number,
    xStride: number,
    n: number,
    out: number,
    outStride: number,
    scratch: number,
  ): void;
  /** Scratch of `matmul_long_f32`. */
  matmul_long_scratch_bytes(): number;

  // --- element-wise ----------------------------------------------------------------------------
  /** x[t, i] += y[t, i]; strides in floats. */
  add_f32(x: number, xStride: number, y: number, yStride: number, n: number, d: number): void;
  /** x[t, i] += bias[i]. */
  add_bias_f32(x: number, xStride: number, bias: number, n: number, d: number): void;
  /**
   * Rotary embedding in place. x f32 [n, stride] holds `heads` heads of `headDim`; the first
   * `rotDim` dimensions of each are turned. cosSin f32 [n, rotDim]: rotDim/2 cosines, then
   * rotDim/2 sines, per token. neox: 0 = pairs (2i, 2i+1), 1 = pairs (i, i + rotDim/2).
   */
  rope_f32(
    x: number,
    stride: number,
    n: number,
    heads: number,
    headDim: number,
    rotDim: number,
    cosSin: number,
    neox: number,
  ): void;

  // --- attention -------------------------------------------------------------------------------
  /**
   * Stores n rows of keys at positions p0 .. p0+n-1 of a sequence as integers with a scale per
   * head and position, to the nearest. src f32 [n, srcStride], of which kvHeads·headDim are keys;
   * headDim is a multiple of 4. cache: `blocks` blocks (src/memory/kv_layout.ts); table u32: the
   * numbers of those that hold positions 0 .. 31, 32 .. 63, … of the sequence; what is no block's
   * number counts as the last one. Where one of a head's elements is not finite, attention to that
   * position is not, either.
   */
  store_keys_i16(
    src: number,
    srcStride: number,
    cache: number,
    table: number,
    blocks: number,
    p0: number,
    n: number,
    kvHeads: number,
    headDim: number,
  ): void;
  /** The same for values. */
  store_values_i16: Kernels["store_keys_i16"];
  /** The same without conversion. */
  store_keys_f32: Kernels["store_keys_i16"];
  store_values_f32: Kernels["store_keys_i16"];
  /**
   * Rows of a layer that convolves, in the layout of src/memory/convolution_layout.ts: row
   * p0+t = a[t] ⊙ b[t], f32 [n, width] of [n, stride]. ring f32 [ringRows, width]; ends: of
   * `blocks` blocks, f32 [endRows, width] each; table and blocks as in `store_keys_i16`. width is a
   * multiple of 4, ringRows at least n + endRows, endRows 1 to 31.
   */
  store_products_f32(
    a: number,
    b: number,
    stride: number,
    ring: number,
    ringRows: number,
    ends: number,
    endRows: number,
    table: number,
    blocks: number,
    p0: number,
    n: number,
    width: number,
  ): void;
  /**
   * out[t] = gate[t] ⊙ Σ_i weights[i] ⊙ row p0+t-taps+1+i, of rows that `store_products_f32` has
   * stored with endRows = taps - 1; before position 0 they are zero. Rows before p0 that are a
   * block's last ones are read there. weights f32 [taps, width]; gate f32 [n, gateStride]; out f32
   * [n, outStride], zero for columns width..outStride.
   */
  short_convolution_f32(
    gate: number,
    gateStride: number,
    ring: number,
    ringRows: number,
    ends: number,
    taps: number,
    table: number,
    blocks: number,
    weights: number,
    out: number,
    outStride: number,
    p0: number,
    n: number,
    width: number,
  ): void;
  /**
   * Attention of n new tokens at positions p0 .. p0+n-1, whose keys and values are already
   * in the cache. q f32 [n, qStride] holds `heads` heads of headDim; local query head h reads local
   * key/value head ⌊(h + headOffset) / groupSize⌋ of kvHeads. Keys and values i16 in the layout of
   * src/memory/kv_layout.ts, in the blocks that `table` names of `blocks` (see `store_keys_i16`);
   * headDim is a multiple of 4, and so is valueDim, which is at most as large. Token t sees
   * positions max(0, p0+t+1-window) .. p0+t (window 0: all). out f32 [n, outStride] holds `heads`
   * heads of valueDim and is zero for columns heads·valueDim..outStride. scratch:
   * attention_scratch_bytes(...) bytes.
   * scale multiplies q·k; then, where softCap > 0, scores become softCap · tanh(score / softCap).
   * sinks: f32 [heads], a score of each head beside those of positions, whose value is nothing; or
   * 0: there are none. chunk: where it is not 0, positions come in chunks of so many, and token t
   * sees those of its own chunk, whatever the window. slopes: f32 [heads] by which a head's scores
   * fall with each position of distance, after the cap; or 0: they do not. biases: f32
   * [heads, BIAS_SPAN] that a head's scores have more, by the distance to a position, in the layout
   * of src/memory/bias_layout.ts; or 0: nothing. ahead: how many positions behind its own a token
   * sees, of `end` that the sequence has; 0: none, and `end` does not count.
   */
  attention_i16(
    q: number,
    qStride: number,
    keys: number,
    values: number,
    kvHeads: number,
    table: number,
    blocks: number,
    out: number,
    outStride: number,
    scratch: number,
    n: number,
    p0: number,
    heads: number,
    headOffset: number,
    groupSize: number,
    headDim: number,
    valueDim: number,
    window: number,
    scale: number,
    softCap: number,
    sinks: number,
    chunk: number,
    slopes: number,
    biases: number,
    ahead: number,
    end: number,
  ): void;
  /** The same over an f32 cache. */
  attention_f32: Kernels["attention_i16"];
  /** Scratch for attention of n tokens at once; what is enough for n is enough for fewer. */
  attention_scratch_bytes(n: number, heads: number, groupSize: number, headDim: number): number;

  // --- choosing a token ------------------------------------------------------------------------
  /** Index of the largest of x f32 [n]; the first one among equals. NaN never wins. */
  argmax_f32(x: number, n: number): number;
  /**
   * ids u32 [k] = indices of the k largest of x f32 [n], the first ones among equals, NaN and
   * -Infinity never; returns how many they are. In the order of a heap, the same for the same
   * x and k; ascending where no more than k can be listed.
   */
  top_k_f32(x: number, n: number, k: number, ids: number): number;

  // --- measuring -------------------------------------------------------------------------------
  /** XOR of all 32-bit words of [ptr, ptr + bytes): a kernel that only reads (bytes % 256 == 0). */
  read_only(ptr: number, bytes: number): number;
}
