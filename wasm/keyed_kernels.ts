/** Kernels of states that decay key by key (RWKV, Kimi Linear); how they are called: kernels.ts. */
export interface KeyedKernels {
  /**
   * out[t] = x[t] + weights[t] ⊙ (x[t-1] − x[t]), zero for columns in width..outStride; the row
   * before the first is `from`, f32 [width], or zero where that is 0. `to`, unless 0, takes the
   * last row of x; it is not `from`. x f32 [n, width] of [n, stride]; weights f32 [n, width] of [n,
   * weightsStride], 0: one row for all; out may be x with the same stride. width is a multiple of
   * 4.
   */
  shift_rows_f32(
    x: number,
    stride: number,
    from: number,
    to: number,
    weights: number,
    weightsStride: number,
    out: number,
    outStride: number,
    n: number,
    width: number,
  ): void;
  /** x[t] += (to[t] − x[t]) ⊙ 1 / (1 + exp(−share[t])); f32 [n, d], d a multiple of 4. */
  approach_f32(
    x: number,
    xStride: number,
    to: number,
    toStride: number,
    share: number,
    shareStride: number,
    n: number,
    d: number,
  ): void;
  /**
   * In place, of each head, σ(x) being 1 / (1 + exp(−x)): back = k ⊙ keyScale over its length
   * (1e-12 at least); k = k ⊙ (1 + keyRate ⊙ (σ(rate) − 1)); rate = back ⊙ σ(rate); w =
   * exp(−0.606531 · σ(w)). All four f32 [n, heads, states] in rows of [n, stride]; keyScale and
   * keyRate f32 [heads, states]. states is a multiple of 4.
   */
  prepare_keyed_f32(
    k: number,
    w: number,
    rate: number,
    back: number,
    stride: number,
    keyScale: number,
    keyRate: number,
    n: number,
    heads: number,
    states: number,
  ): void;
  /**
   * In place, of each head, σ(x) being 1 / (1 + exp(−x)): q and k get a length of 1, but for
   * epsilon, q divided by √states; w = exp(ln(1 + exp(w)) · a), or exp(decayFloor · σ(|a| · w))
   * where that is not 0; back = w ⊙ k; goes = σ(beta) · k;
   * v = σ(beta) · v: what scan_keyed_f32 reads where a state is corrected. q and k f32 [n, heads,
   * states] and v [n, heads, headDim] in rows of [n, stride]; w, back and goes [n, heads, states]
   * and beta [n, heads] of [n, partStride]; a f32 [heads]. headDim and states are multiples of 4.
   */
  prepare_key_deltas_f32(
    q: number,
    k: number,
    v: number,
    stride: number,
    w: number,
    back: number,
    goes: number,
    beta: number,
    partStride: number,
    a: number,
    n: number,
    heads: number,
    headDim: number,
    states: number,
    epsilon: number,
    decayFloor: number,
  ): void;
  /**
   * Each head and token: state = w ⊙ state − (state · a) ⊗ b + v ⊗ k; out = state · r. r and k f32
   * [n, heads, states] in rows of [n, stride], w, a and b of [n, partStride]; v f32 [n, heads,
   * headDim] of [n, vStride]; out the same of [n, outStride]. The state is `from` before the first
   * token, f32 [heads, headDim, states], or zero where that is 0, and `to`, which may be `from`,
   * behind the last. headDim and states are multiples of 4.
   */
  scan_keyed_f32(
    r: number,
    k: number,
    stride: number,
    w: number,
    a: number,
    b: number,
    partStride: number,
    v: number,
    vStride: number,
    from: number,
    to: number,
    out: number,
    outStride: number,
    n: number,
    heads: number,
    headDim: number,
    states: number,
  ): void;
  /**
   * In place: w = exp(−exp(w)), and k = k ⊙ (1 − w) where dampens is not 0. Both f32 [n, d] of [n,
   * stride], d a multiple of 4.
   */
  prepare_added_f32(
    w: number,
    k: number,
    stride: number,
    dampens: number,
    n: number,
    d: number,
  ): void;
  /**
   * Each head and token: state = w ⊙ state + v ⊗ k; out = state · r, the state before the token
   * where readsBefore is not 0. r, w and k f32 [n, heads, states] and v [n, heads, headDim] in rows
   * of [n, stride]; the rest as of scan_keyed_f32.
   */
  scan_added_f32(
    r: number,
    w: number,
    k: number,
    v: number,
    stride: number,
    readsBefore: number,
    from: number,
    to: number,
    out: number,
    outStride: number,
    n: number,
    heads: number,
    headDim: number,
    states: number,
  ): void;
  /** out += v times r · (k ⊙ bonus), of each head; bonus f32 [heads, states], the rest as above. */
  add_bonus_f32(
    r: number,
    k: number,
    stride: number,
    bonus: number,
    v: number,
    vStride: number,
    out: number,
    outStride: number,
    n: number,
    heads: number,
    headDim: number,
    states: number,
  ): void;
}
