/**
 * Small models of one layer that guess with a tiny model's rows (EAGLE-3): with random weights from
 * a seed, or made so that guesses are right as far as the blocks of the other model add little.
 */
import {
  bool,
  encodeGguf,
  f32,
  list,
  type MetadataEntry,
  openGguf,
  type TensorSpec,
  text,
  u32,
} from "../../src/gguf/mod.ts";
import { encodeWeights } from "../../src/quantize/mod.ts";
import { sentencePieceVocabulary } from "../../src/synth/vocabulary.ts";
import { makeFloats, Rng } from "./rng.ts";
import { TINY_SHAPE } from "./tiny_model.ts";

export interface TinyEagleOptions {
  readonly seed?: number;
  /** Of matrices. Default F32. */
  readonly type?: "F32" | "F16" | "Q8_0" | "Q4_0";
  /** Numbers of the other model's layers. Default [0, 1, 1]. */
  readonly layers?: readonly number[];
  /** Width of the other model's stream, and its vocabulary. Default: as `TINY_SHAPE`. */
  readonly rowLength?: number;
  readonly tokenCount?: number;
  /** Its own width. Default: the other model's. */
  readonly embeddingLength?: number;
  readonly headCountKv?: number;
  /** Of which tokens it has logits. Default: of all. */
  readonly tokens?: readonly (number | bigint)[];
  /** It has an embedding table, and an output, of its own. Default: an output where it lists. */
  readonly hasEmbedding?: boolean;
  readonly hasOutput?: boolean;
  readonly normalizesInput?: boolean;
  readonly normalizesResidual?: boolean;
  readonly ropeFactors?: boolean;
  /** False: it does not say what its tokens are. */
  readonly hasVocabulary?: boolean;
  /** F32 [tokenCount, d]: guesses are what this makes of the last token alone, nearly. */
  readonly output?: Float32Array;
  /** Entries that replace or add to the file's metadata; undefined leaves one out. */
  readonly metadata?: Readonly<Record<string, MetadataEntry[1] | undefined>>;
  /** Tensors that are left out, and some that are added. */
  readonly without?: readonly string[];
  readonly more?: readonly TensorSpec[];
}

const HEADS = 4;
const NEURONS = 96;
/** Queries and keys of what all embeddings have in common: each position sees itself alone. */
const COMMON_WEIGHT = 4;
/** What the last token makes beside what came before it. */
const TOKEN_WEIGHT = 200;

/** The bytes of a GGUF file. Same options, same bytes. */
export function tinyEagle(options: TinyEagleOptions = {}): Uint8Array<ArrayBuffer> {
  const { type = "F32", rowLength = TINY_SHAPE.embeddingLength, layers = [0, 1, 1] } = options;
  const { tokenCount = TINY_SHAPE.vocabSize, embeddingLength: d = rowLength, tokens } = options;
  const { headCountKv = options.output ? HEADS : 2, output } = options;
  const rng = new Rng(options.seed ?? 1);
  const headDim = d / HEADS;
  const matrix = (name: string, rows: number, columns: number, at?: Cell): TensorSpec => {
    const random = () => rng.normal() / Math.sqrt(columns);
    const values = new Float32Array(rows * columns)
      .map((_, i) => at?.(Math.floor(i / columns), i % columns) ?? random());
    const bytes = encodeWeights(type, values);
    return { name: `${name}.weight`, type, dims: [columns, rows], pieces: () => [bytes] };
  };
  const norm = (name: string, length: number): TensorSpec => {
    const values = makeFloats(length, () => output ? 1 : 1 + 0.2 * rng.normal());
    const bytes = encodeWeights("F32", values);
    return { name: `${name}.weight`, type: "F32", dims: [length], pieces: () => [bytes] };
  };
  const made = output && {
    common: (_: number, column: number) => column === 0 ? COMMON_WEIGHT : 0,
    same: (row: number, column: number) => row === column ? 1 : 0,
    much: (row: number, column: number) => row === column ? TOKEN_WEIGHT : 0,
    little: () => 0.01 * rng.normal(),
    output: (row: number, column: number) => output[Number(tokens?.[row] ?? row) * d + column],
  };
  const tensors = [
    matrix("fc", d, layers.length * rowLength, made?.little),
    norm("blk.0.attn_norm", d),
    norm("blk.0.attn_norm_2", d),
    matrix("blk.0.attn_q", d, 2 * d, made?.common),
    matrix("blk.0.attn_k", headCountKv * headDim, 2 * d, made?.common),
    matrix("blk.0.attn_v", headCountKv * headDim, 2 * d, made?.same),
    matrix("blk.0.attn_output", d, d, made?.much),
    norm("blk.0.ffn_norm", d),
    matrix("blk.0.ffn_gate", NEURONS, d),
    matrix("blk.0.ffn_up", NEURONS, d),
    matrix("blk.0.ffn_down", d, NEURONS, made?.little),
    norm("output_norm", d),
    ...options.hasOutput ?? tokens
      ? [matrix("output", tokens?.length ?? tokenCount, d, made?.output)]
      : [],
    ...options.hasEmbedding ? [matrix("token_embd", tokenCount, d)] : [],
    ...options.normalizesInput ? [norm("enc.output_norm", layers.length * rowLength)] : [],
    ...options.ropeFactors ? [ropeFactors(headDim / 2)] : [],
    ...tokens ? [listOf(tokens)] : [],
    ...options.more ?? [],
  ].filter(({ name }) => !options.without?.includes(name));
  return encodeGguf({ metadata: metadataOf(options, { d, headCountKv, layers }), tensors });
}

type Cell = (row: number, column: number) => number;

function metadataOf(
  options: TinyEagleOptions,
  { d, headCountKv, layers }: { d: number; headCountKv: number; layers: readonly number[] },
): MetadataEntry[] {
  const { rowLength = TINY_SHAPE.embeddingLength, tokenCount = TINY_SHAPE.vocabSize } = options;
  const own = {
    ...{ "context_length": u32(256), "embedding_length": u32(d), "block_count": u32(1) },
    ...{ "feed_forward_length": u32(NEURONS), "attention.head_count": u32(HEADS) },
    "attention.head_count_kv": u32(headCountKv),
    "attention.layer_norm_rms_epsilon": f32(1e-5),
    ...{ "rope.dimension_count": u32(d / HEADS), "rope.freq_base": f32(10000) },
    "target_layers": list(Int32Array.from(layers)),
    "target_hidden_size": u32(rowLength),
    ...options.normalizesInput && { "norm_before_fc": bool(true) },
    ...(options.normalizesResidual ?? options.output) && { "norm_before_residual": bool(true) },
  };
  const entries = new Map<string, MetadataEntry[1] | undefined>([
    ["general.architecture", text("eagle3")],
    ...Object.entries(own).map(([key, value]): MetadataEntry => [`eagle3.${key}`, value]),
    ...options.hasVocabulary === false ? [] : sentencePieceVocabulary(tokenCount),
    ...Object.entries(options.metadata ?? {}),
  ]);
  return [...entries].flatMap(([key, value]): MetadataEntry[] =>
    value === undefined ? [] : [[key, value]]
  );
}

function listOf(tokens: readonly (number | bigint)[]): TensorSpec {
  const bytes = new Uint8Array(BigInt64Array.from(tokens, BigInt).buffer);
  return { name: "d2t", type: "I64", dims: [tokens.length], pieces: () => [bytes] };
}

function ropeFactors(length: number): TensorSpec {
  const bytes = encodeWeights("F32", Float32Array.from({ length }, (_, i) => 1 + 7 * i / length));
  return { name: "rope_freqs.weight", type: "F32", dims: [length], pieces: () => [bytes] };
}

/** What blocks add to the residual stream. */
const OUTPUTS = /^blk\.\d+\.(attn_output|ffn_down)\.weight$/;
/** What all embeddings have in common, beside numbers of a deviation of 1. */
const COMMON = 4;

/**
 * Makes what follows a token in an F32 file of a llama a question of the token, as far as blocks
 * count little, and embeddings alike in one number.
 * @returns its output, F32 [vocabSize, d], for `tinyEagle`.
 */
export async function makeGuessable(path: string, share: number): Promise<Float32Array> {
  const { tensors } = openGguf(path);
  const bytes = await Deno.readFile(path);
  const floats = (name: string) => {
    const { offsetBytes, sizeBytes } = tensors.get(name)!;
    return new Float32Array(bytes.buffer, offsetBytes, sizeBytes / 4);
  };
  const [d] = tensors.get("token_embd.weight")!.dims;
  const embedding = floats("token_embd.weight"), output = floats("output.weight");
  // Of one length each, so that the norm leaves what they have in common alike.
  for (let at = 0; at < embedding.length; at += d) {
    const row = embedding.subarray(at, at + d);
    row[0] = 0;
    const deviation = Math.hypot(...row) / Math.sqrt(d);
    row.forEach((value, i) => row[i] = i === 0 ? COMMON : value / deviation);
  }
  output.forEach((_, i) => {
    if (i % d === 0) output[i] = 0;
  });
  for (const name of tensors.keys()) {
    if (OUTPUTS.test(name)) floats(name).forEach((value, i, all) => all[i] = share * value);
    if (name.includes("output_norm")) floats(name).fill(1);
  }
  await Deno.writeFile(path, bytes);
  return output.slice();
}
