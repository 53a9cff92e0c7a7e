/** Kernels of layers that keep a state of a sequence; how they are called: kernels.ts. */
export interface StateKernels {
  /**
   * out[t] = silu(bias + Σ_i weights[i] ⊙ row t-taps+1+i), rows before 0 being those that `from`
   * keeps, f32 [taps-1, width], or zero where it is 0. Then `to`, which may be `from`, keeps the
   * last taps-1 rows. x f32 [n, width] of [n, stride]; weights f32 [taps, width]; bias f32 [width]
   * or 0; out f32 [n, width] of [n, outStride], not x. width is a multiple of 4, taps 2 to 32.
   */
  state_convolution_f32(
    x: number,
    stride: number,
    from: number,
    to: number,
    taps: number,
    weights: number,
    bias: number,
    out: number,
    outStride: number,
    n: number,
    width: number,
  ): void;
  /**
   * Each channel i and token t: state = exp(dt[t, i] · a[i]) ⊙ state + dt[t, i] · x[t, i] · b[t];
   * out[t, i] = state · c[t] + d[i] · x[t, i]. The state is `from` before the first token, f32
   * [channels, states], or zero where that is 0, and `to`, which may be `from`, behind the last. a
   * f32 [channels, states], d f32 [channels]; b and c f32 [n, states] of [n, bcStride]; x, dt and
   * out f32 [n, channels] in strides of their own. channels and states are multiples of 4.
   */
  scan_channels_f32(
    x: number,
    stride: number,
    dt: number,
    dtStride: number,
    a: number,
    b: number,
    c: number,
    bcStride: number,
    d: number,
    from: number,
    to: number,
    out: number,
    outStride: number,
    n: number,
    channels: number,
    states: number,
  ): void;
  /**
   * The same where headDim channels share a head's time step, decay and factor: dt f32 [n, heads],
   * a and d f32 [heads]. Local head h reads local group ⌊(h + headOffset) / groupSize⌋ of b and c,
   * [n, groups, states]; headOffset is below groupSize. headDim is a multiple of 4.
   */
  scan_heads_f32(
    x: number,
    stride: number,
    dt: number,
    dtStride: number,
    a: number,
    b: number,
    c: number,
    bcStride: number,
    d: number,
    from: number,
    to: number,
    out: number,
    outStride: number,
    n: number,
    heads: number,
    headDim: number,
    states: number,
    headOffset: number,
    groupSize: number,
  ): void;
  /**
   * Each head and token: state = exp(dt · a) ⊙ state, then state += sigmoid(beta) · (v − state · k)
   * ⊗ k; out = state · q / √states. q and k, f32 [n, groups, states], get a length of 1, but for
   * epsilon, in place; head h reads group h mod groups where inTurns is 1, else of each group as
   * many neighbours. v f32 [n, heads, headDim], all three in rows of [n, stride]; dt and beta f32
   * [n, heads]; a f32 [heads]; out f32 [n, heads, headDim] of [n, outStride]. The state is `from`
   * before the first token, f32 [heads, headDim, states], or zero where that is 0, and `to`, which
   * may be `from`, behind the last. headDim and states are multiples of 4.
   */
  scan_deltas_f32(
    q: number,
    k: number,
    v: number,
    stride: number,
    dt: number,
    dtStride: number,
    a: number,
    beta: number,
    betaStride: number,
    from: number,
    to: number,
    out: number,
    outStride: number,
    n: number,
    heads: number,
    headDim: number,
    states: number,
    groups: number,
    inTurns: number,
    epsilon: number,
  ): void;
}
