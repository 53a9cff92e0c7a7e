/** Tensors of small projector files that hear by a conformer: two blocks, two heads. */

/** As those of `tiny_hearing.ts`: scores are as large as their cap. */
export interface PlannedTensor {
  readonly name: string;
  readonly dims: readonly number[];
  readonly role: "matrix" | "norm" | "bias" | "table" | "kernel";
}

export interface ConformerLengths {
  readonly blockCount: number;
  readonly width: number;
  readonly heads: number;
  readonly neurons: number;
  readonly melCount: number;
  /** Of the first convolution; the second one gives half as many. */
  readonly channels: number;
  readonly hidden: number;
  readonly outputLength: number;
}

/** Matrices of layers whose products have limits in these files. */
const LIMITED = ["attn_q", "attn_out", "ffn_up", "ffn_down_1", "conv_pw1", "conv_pw2"];

/** What limits are: near enough to cut some numbers off. */
export const LIMITS: Readonly<Record<string, number>> = {
  ...{ input_min: -1.2, input_max: 1.4, output_min: -1.5, output_max: 1.3 },
};

/** Of a whole file. */
export function* planConformer(lengths: ConformerLengths): Iterable<PlannedTensor> {
  const { blockCount, width, channels, melCount, hidden, outputLength } = lengths;
  const norm = (name: string, length = width): PlannedTensor => (
    { name: `${name}.weight`, dims: [length], role: "norm" }
  );
  for (const [i, [from, to]] of [[1, channels], [channels, channels / 2]].entries()) {
    const name = `a.conv1d.${i}`;
    yield { name: `${name}.weight`, dims: [3, 3, from, to], role: "kernel" };
    yield norm(`${name}.norm`, to);
  }
  const columns = channels / 2 * Math.ceil(melCount / 4);
  yield* limited("a.input_projection", [columns, width]);
  for (let block = 0; block < blockCount; block++) yield* planBlock(`a.blk.${block}.`, lengths);
  yield { name: "a.pre_encode.out.weight", dims: [width, hidden], role: "matrix" };
  yield { name: "a.pre_encode.out.bias", dims: [hidden], role: "bias" };
  yield* limited("mm.a.input_projection", [hidden, outputLength]);
}

function* limited(name: string, dims: readonly number[]): Iterable<PlannedTensor> {
  yield { name: `${name}.weight`, dims, role: "matrix" };
  for (const of of Object.keys(LIMITS)) yield { name: `${name}.${of}`, dims: [1], role: "table" };
}

function* planBlock(
  at: string,
  { width, heads, neurons }: ConformerLengths,
): Iterable<PlannedTensor> {
  const matrix = function* (name: string, dims: readonly number[]): Iterable<PlannedTensor> {
    if (LIMITED.includes(name)) yield* limited(at + name, dims);
    else yield { name: `${at}${name}.weight`, dims, role: "matrix" };
  };
  const norms = [
    ...["ffn_norm", "ffn_post_norm", "attn_pre_norm", "attn_post_norm", "conv_norm", "norm_conv"],
    ...["ffn_norm_1", "ffn_post_norm_1", "ln2"],
  ];
  for (const name of norms) yield { name: `${at}${name}.weight`, dims: [width], role: "norm" };
  for (const suffix of ["", "_1"]) {
    yield* matrix(`ffn_up${suffix}`, [width, neurons]);
    yield* matrix(`ffn_down${suffix}`, [neurons, width]);
  }
  for (const name of ["attn_q", "attn_k", "attn_v", "attn_out", "conv_pw2", "attn_k_rel"]) {
    yield* matrix(name, [width, width]);
  }
  yield* matrix("conv_pw1", [width, 2 * width]);
  for (const name of ["per_dim_scale", "per_dim_k_scale"]) {
    yield { name: `${at}${name}.weight`, dims: [width / heads], role: "norm" };
  }
  yield { name: `${at}conv_dw.bias`, dims: [width], role: "bias" };
  yield { name: `${at}conv_dw.weight`, dims: [5, width], role: "kernel" };
}

/** Of a file of LFM2-Audio's. */
export function* planFastConformer(lengths: ConformerLengths): Iterable<PlannedTensor> {
  const { blockCount, width, channels, melCount, hidden, outputLength } = lengths;
  for (const [number, dims] of Object.entries(fastKernels(channels))) {
    yield { name: `a.conv1d.${number}.weight`, dims, role: "kernel" };
    yield { name: `a.conv1d.${number}.bias`, dims: [1, 1, channels], role: "bias" };
  }
  yield* biased("a.pre_encode.out", [channels * Math.ceil(melCount / 8), width]);
  yield { name: "a.position_embd.weight", dims: [outputLength, 500], role: "table" };
  for (let block = 0; block < blockCount; block++) yield* planFastBlock(`a.blk.${block}.`, lengths);
  yield* gains("mm.a.mlp.0", width);
  yield* biased("mm.a.mlp.1", [width, hidden]);
  yield* biased("mm.a.mlp.3", [hidden, outputLength]);
}

/** Of Granite Speech: rows of blocks, distances, windows of rows, their queries and heads. */
export const TINY_GRANITE = {
  ...{ blockRows: 7, distances: 9, window: 5, fewer: 2, heads: 3, said: 11 },
} as const;

/** Of a file of Granite Speech's. */
export function* planGraniteConformer(
  lengths: ConformerLengths,
  distances: number = TINY_GRANITE.distances,
): Iterable<PlannedTensor> {
  const { blockCount, width, melCount, neurons, outputLength } = lengths;
  const { window, fewer, said } = TINY_GRANITE;
  yield* biased("a.input_projection", [2 * melCount, width]);
  for (let block = 0; block < blockCount; block++) {
    yield* planGraniteBlock(`a.blk.${block}.`, lengths, distances);
  }
  yield* biased("a.enc_ctc_out", [width, said]);
  // Rows that no block of a type divides.
  yield { name: "a.enc_ctc_out_mid.weight", dims: [said, width], role: "kernel" };
  yield { name: "a.enc_ctc_out_mid.bias", dims: [width], role: "bias" };
  const queries = Math.floor(window / fewer);
  yield { name: "a.proj_query", dims: [width, queries, 1], role: "table" };
  yield* gains("a.proj_norm", width);
  for (const block of [0, 1]) {
    const at = `a.proj_blk.${block}.`;
    for (const kind of ["self_attn", "cross_attn"]) {
      for (const name of ["q", "k", "v", "out"]) {
        yield* biased(`${at}${kind}_${name}`, [width, width]);
      }
      yield* gains(`${at}${kind}_norm`, width);
    }
    yield* biased(`${at}ffn_up`, [width, neurons]);
    yield* biased(`${at}ffn_down`, [neurons, width]);
    yield* gains(`${at}ffn_norm`, width);
  }
  yield* biased("a.proj_linear", [width, outputLength]);
}

function* planGraniteBlock(
  at: string,
  { width, heads, neurons }: ConformerLengths,
  distances: number,
): Iterable<PlannedTensor> {
  for (const name of ["ffn_norm", "ln1", "norm_conv", "ffn_norm_1", "ln2"]) {
    yield* gains(at + name, width);
  }
  for (const suffix of ["", "_1"]) {
    yield* biased(`${at}ffn_up${suffix}`, [width, neurons]);
    yield* biased(`${at}ffn_down${suffix}`, [neurons, width]);
  }
  for (const name of ["attn_q", "attn_k", "attn_v"]) {
    yield { name: `${at}${name}.weight`, dims: [width, width], role: "matrix" };
  }
  yield* biased(`${at}attn_out`, [width, width]);
  yield { name: `${at}attn_rel_pos_emb`, dims: [width / heads, 2 * distances + 1], role: "table" };
  const channels = 2 * width;
  yield* biased(`${at}conv_pw1`, [width, 2 * channels]);
  yield* biased(`${at}conv_pw2`, [channels, width]);
  yield* gains(`${at}conv_norm`, channels);
  yield { name: `${at}conv_dw.weight`, dims: [5, channels], role: "kernel" };
}

/** Of a file of Parakeet's: LFM2-Audio's, without most of what is added. */
export function* planParakeet(lengths: ConformerLengths): Iterable<PlannedTensor> {
  const { blockCount, width, melCount, hidden, outputLength } = lengths;
  const lacks = /(ffn_(up|down)\w*|attn_\w+|conv_pw\d|conv_dw)\.bias$|position_embd|^mm\./;
  for (const tensor of planFastConformer(lengths)) if (!lacks.test(tensor.name)) yield tensor;
  for (let block = 0; block < blockCount; block++) {
    yield { name: `a.blk.${block}.conv_norm_mean`, dims: [width], role: "bias" };
    yield { name: `a.blk.${block}.conv_norm_var`, dims: [width], role: "norm" };
  }
  yield { name: "a.window", dims: [400], role: "norm" };
  yield { name: "a.mel_filters", dims: [257, melCount], role: "norm" };
  yield { name: "mm.a.norm_pre.weight", dims: [width], role: "norm" };
  yield { name: "mm.a.mlp.1.weight", dims: [width, hidden], role: "matrix" };
  yield { name: "mm.a.mlp.2.weight", dims: [hidden, outputLength], role: "matrix" };
  for (const number of [0, 1, 3]) {
    yield { name: `mm.model.mlp.${number}.weight`, dims: [4, 4], role: "table" };
  }
}

function fastKernels(channels: number): Readonly<Record<number, readonly number[]>> {
  const [taps, mix] = [[3, 3, 1, channels], [1, 1, channels, channels]];
  return { 0: taps, 2: taps, 3: mix, 5: taps, 6: mix };
}

function* biased(name: string, dims: readonly number[]): Iterable<PlannedTensor> {
  yield { name: `${name}.weight`, dims, role: "matrix" };
  yield { name: `${name}.bias`, dims: [dims[1]], role: "bias" };
}

function* gains(name: string, length: number): Iterable<PlannedTensor> {
  yield { name: `${name}.weight`, dims: [length], role: "norm" };
  yield { name: `${name}.bias`, dims: [length], role: "bias" };
}

function* planFastBlock(
  at: string,
  { width, heads, neurons }: ConformerLengths,
): Iterable<PlannedTensor> {
  for (const name of ["ffn_norm", "ln1", "norm_conv", "conv_norm", "ffn_norm_1", "ln2"]) {
    yield* gains(at + name, width);
  }
  for (const suffix of ["", "_1"]) {
    yield* biased(`${at}ffn_up${suffix}`, [width, neurons]);
    yield* biased(`${at}ffn_down${suffix}`, [neurons, width]);
  }
  for (const name of ["attn_q", "attn_k", "attn_v", "attn_out", "conv_pw2"]) {
    yield* biased(at + name, [width, width]);
  }
  yield* biased(`${at}conv_pw1`, [width, 2 * width]);
  yield { name: `${at}linear_pos.weight`, dims: [width, width], role: "matrix" };
  for (const name of ["pos_bias_u", "pos_bias_v"]) {
    yield { name: at + name, dims: [width / heads, heads], role: "bias" };
  }
  yield { name: `${at}conv_dw.weight`, dims: [9, width], role: "kernel" };
  yield { name: `${at}conv_dw.bias`, dims: [width], role: "bias" };
}
