/**
 * The kernels that work on rows of activations one by one: norms, activations, scales, rows by a
 * list. All rows are f32, strides in floats; the rest of the contract is that of kernels.ts.
 */
export interface RowKernels {
  // --- norms -------------------------------------------------------------------------------------
  /**
   * out[t, i] = (x[t, i] − mean) / sqrt(variance + epsilon) · weight[i] + bias[i], mean and
   * variance of x[t]; zero for i in d..outStride. bias f32 [d], or address 0: none. out may be x.
   */
  layer_norm_f32(
    x: number,
    xStride: number,
    weight: number,
    bias: number,
    out: number,
    outStride: number,
    n: number,
    d: number,
    epsilon: number,
  ): void;
  /**
   * Normalises each head of x f32 [n, stride] by itself, in place: by its root mean square, or
   * with centred = 1 as layer_norm_f32 does, without bias. Head h's weights, f32 [headDim], begin
   * h · weightStep floats into weight.
   */
  head_norm_f32(
    x: number,
    stride: number,
    n: number,
    heads: number,
    headDim: number,
    weight: number,
    weightStep: number,
    epsilon: number,
    centred: number,
  ): void;
  /** out[t] = Σ_i x[t, i]²; out f32 [n]. */
  row_squares_f32(x: number, xStride: number, n: number, d: number, out: number): void;

  // --- scales and activations --------------------------------------------------------------------
  /** x[t, i] *= factor. */
  scale_f32(x: number, xStride: number, n: number, d: number, factor: number): void;
  /** x[t, i] = 0 where x[t, i] < threshold; NaN stays. */
  clamp_f32(x: number, xStride: number, n: number, d: number, limit: number): void;
  /**
   * to[t, i] = x[t, i] within two numbers at addresses `least` and `most` (0: there is none), and
   * zero for i in d .. toStride unless `to` is x.
   */
  clamp_between_f32(
    x: number,
    xStride: number,
    n: number,
    d: number,
    least: number,
    most: number,
    to: number,
    toStride: number,
  ): void;
  /** x[t, i] = 0 where x[t, i] < threshold. */
  cut_below_f32(x: number, xStride: number, n: number, d: number, threshold: number): void;
  /** x[t, i] *= factors[t]; factors f32 [n]. */
  scale_rows_f32(x: number, xStride: number, factors: number, n: number, d: number): void;
  /** sums[0] += n and sums[1 + i] += Σ_t x[t, i]²; x f32 [n, xStride], sums f64 [1 + k]. */
  add_squares_f32(x: number, xStride: number, n: number, k: number, sums: number): void;
  /** x[t, i] *= weight[i]; weight f32 [d]. */
  mul_weight_f32(x: number, xStride: number, weight: number, n: number, d: number): void;
  /** x[i] = cap · tanh(x[i] / cap), f32 [n]. */
  soft_cap_f32(x: number, n: number, cap: number): void;
  /**
   * out[t, i] = silu(gate[t, i]) · up[t, i], silu(g) = g / (1 + exp(-g)); gate, up [n, inStride],
   * out [n, outStride], zero for i in d..outStride.
   */
  silu_mul_f32(
    gate: number,
    up: number,
    inStride: number,
    out: number,
    outStride: number,
    n: number,
    d: number,
  ): void;
  /** The same with gelu(g) = g/2 · (1 + tanh(√(2/π) · (g + 0.044715·g³))). */
  gelu_mul_f32: RowKernels["silu_mul_f32"];
  /** The same with quickGelu(g) = g / (1 + e^(−1.702·g)). */
  quick_gelu_mul_f32: RowKernels["silu_mul_f32"];
  /** The same with relu(g) = max(0, g). */
  relu_mul_f32: RowKernels["silu_mul_f32"];
  /** The same with relu(g)². */
  relu2_mul_f32: RowKernels["silu_mul_f32"];
  /** The same with g / (1 + exp(-1.702·g)), g at most 7, times (up + 1), up clamped to ±7. */
  swiglu7_mul_f32: RowKernels["silu_mul_f32"];
  /** The same with 1 / (1 + exp(-g)) of what gates; out may be up with the same stride. */
  sigmoid_mul_f32: RowKernels["silu_mul_f32"];
  /**
   * out[t, i] = 1 / (1 + exp(-x[t, i])), zero for i in d..outStride; out may be x with the same
   * stride.
   */
  sigmoid_f32(
    x: number,
    inStride: number,
    out: number,
    outStride: number,
    n: number,
    d: number,
  ): void;
  /** The same with silu(x[t, i]). */
  silu_f32: RowKernels["sigmoid_f32"];
  /** The same with ln(1 + exp(x[t, i])). */
  softplus_f32: RowKernels["sigmoid_f32"];
  /** The same with g/2 · (1 + erf(g/√2)): |g| · 1e-7 away from it. */
  gelu_erf_f32: RowKernels["sigmoid_f32"];
  /** The same with gelu. */
  gelu_f32: RowKernels["sigmoid_f32"];
  /** The same with quickGelu. */
  quick_gelu_f32: RowKernels["sigmoid_f32"];
  /** The same with relu. */
  relu_f32: RowKernels["sigmoid_f32"];
  /** The same with relu2. */
  relu2_f32: RowKernels["sigmoid_f32"];
  /** The same with what swiglu7_mul_f32 makes of gates. */
  swiglu7_f32: RowKernels["sigmoid_f32"];
  /**
   * out[t, i] = p·x² + b·x where x > 0, else n·(exp(min(x, e)) − 1 − x) + b·x, zero for i in
   * d..outStride; curve f32 [4]: n, p, b, e. out may be x with the same stride.
   */
  xielu_f32(
    x: number,
    inStride: number,
    out: number,
    outStride: number,
    n: number,
    d: number,
    curve: number,
  ): void;

  // --- rows by a list --------------------------------------------------------------------------
  /**
   * out[j, i] = x[rows[j], i], zero for i in d..outStride. x f32 [xRows, xStride], rows u32 [n],
   * out f32 [n, outStride]; a number that is no row counts as the last row.
   */
  gather_rows_f32(
    x: number,
    xStride: number,
    xRows: number,
    rows: number,
    n: number,
    out: number,
    outStride: number,
    d: number,
  ): void;
  /**
   * The q8 tile for [n, k] of tokens rows[j] of the q8 tile for [xRows, k] at acts: what
   * quantize_q8 would write for the gathered rows, bit for bit. dst: q8_bytes(n, k) bytes.
   */
  gather_q8(
    acts: number,
    xRows: number,
    k: number,
    rows: number,
    n: number,
    dst: number,
  ): void;
  /** x[rows[j], i] += y[j, i], in the order of the list; the rest as above. */
  scatter_add_f32(
    x: number,
    xStride: number,
    xRows: number,
    rows: number,
    n: number,
    y: number,
    yStride: number,
    d: number,
  ): void;
  /** x[rows[j], i] += factors[j] · y[i], in the order of the list; factors f32 [n], y f32 [d]. */
  scatter_add_row_f32(
    x: number,
    xStride: number,
    xRows: number,
    rows: number,
    factors: number,
    n: number,
    y: number,
    d: number,
  ): void;
  /**
   * Target row list[i] = source row i, in the order of the list, `bytes` bytes each, a multiple of
   * 16; strides in bytes; what lies between rows stays. list u32 [count]; a number that is no row
   * counts as the last row. Source and target do not overlap.
   */
  scatter_rows(
    source: number,
    sourceStride: number,
    count: number,
    list: number,
    target: number,
    targetStride: number,
    targetRows: number,
    bytes: number,
  ): void;
}
