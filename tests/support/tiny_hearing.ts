/**
 * Small projector files that hear, of every kind that is read, with random weights made from a
 * seed: two layers of 96, 8 bands, 48 positions, rows of 64 as tiny text models have.
 */
import {
  bool,
  encodeGguf,
  f32,
  type MetadataEntry,
  parseGguf,
  TensorReader,
  text,
  u32,
} from "../../src/gguf/mod.ts";
import { dequantize, type SoundConfig, type TowerInput } from "../../src/model/mod.ts";
import { encodeWeights } from "../../src/quantize/mod.ts";
import { makeFloats, Rng } from "./rng.ts";
import {
  LIMITS,
  planConformer,
  planFastConformer,
  planGraniteConformer,
  type PlannedTensor,
  planParakeet,
  TINY_GRANITE,
} from "./tiny_conformer.ts";

export const TINY_HEARING_NAMES = [
  ...[
    "gemma4a",
    "gemma4ua",
    "glma",
    "granite_speech",
    "lfm2a",
    "meralion",
    "musicflamingo",
    "parakeet",
    "qwen2.5o",
    "qwen2a",
    "qwen3a",
    "ultravox",
    "voxtral",
  ] as const,
] as const;
export type TinyHearingName = typeof TINY_HEARING_NAMES[number];

/** Of those conformers hear. */
const CONFORMERS = ["gemma4a", "granite_speech", "lfm2a", "parakeet"] as const;
export type TinyConformerName = typeof CONFORMERS[number];

export function isOfConformer(kind: TinyHearingName): kind is TinyConformerName {
  return CONFORMERS.some((name) => name === kind);
}

/** Lengths of all kinds; an epsilon so large that another one makes other rows. */
export const TINY_EAR = {
  ...{ blockCount: 2, width: 96, heads: 6, neurons: 160, outputLength: 64 },
  ...{ melCount: 8, positions: 48, stack: 4, hidden: 96, epsilon: 0.05, channels: 20 },
} as const;

/** Of which two are left of each time. */
const PLANE = { melCount: 12 };

/** Of which two and a half are left, of two heads of 48. */
const CONFORMER = { melCount: 10, heads: 2, hidden: 128 };

/** What llama.cpp knows no other of: rows of 512. */
export const TINY_LFM2A = { width: 512, heads: 4, neurons: 64 } as const;

/** Samples of a row of a kind that has no tower. */
const TINY_SAMPLES = 640;

export interface TinyHearingOptions {
  /** Default "ultravox". */
  readonly kind?: TinyHearingName;
  readonly seed?: number;
  /** Of matrices of layers and projectors; of convolutions F16 unless it is F32. Default F32. */
  readonly type?: "F32" | "F16" | "Q8_0";
  /** What replaces `TINY_GRANITE`'s. */
  readonly granite?: { readonly distances: number };
  /** Of rows that come out; left out: `TINY_EAR`'s. */
  readonly outputLength?: number;
  /** Entries that replace or add to the file's metadata. */
  readonly metadata?: readonly MetadataEntry[];
  /** What replaces lengths. */
  readonly lengths?: Partial<Record<keyof typeof TINY_EAR, number>>;
  /** What names of tensors end with that the file lacks. */
  readonly without?: readonly string[];
}

type Planned = PlannedTensor;

/** The bytes of a GGUF file. Same options, same bytes. */
export function tinyHearing(options: TinyHearingOptions = {}): Uint8Array<ArrayBuffer> {
  const { kind = "ultravox", seed = 1, type = "F32" } = options;
  const isOfPlane = kind === "qwen3a" || kind === "lfm2a" || kind === "parakeet";
  const isConformer = kind === "gemma4a" || kind === "granite_speech";
  const of = isOfPlane ? PLANE : isConformer ? CONFORMER : {};
  const lengths = { ...TINY_EAR, ...of, ...options.lengths };
  const { outputLength = lengths.outputLength } = options;
  const rng = new Rng(seed);
  const all = { ...lengths, outputLength };
  const planned = kind === "gemma4a"
    ? [...planConformer(all)]
    : kind === "granite_speech"
    ? [...planGraniteConformer(all, options.granite?.distances)]
    : kind === "lfm2a"
    ? [...planFastConformer(all)]
    : kind === "parakeet"
    ? [...planParakeet(all)]
    : [
      ...kind === "gemma4ua" ? [] : planTower(lengths, kind === "qwen3a"),
      ...planProjector(kind, all),
    ];
  const { without = [] } = options;
  const isThere = ({ name }: Planned) => !without.some((end) => name.endsWith(end));
  const tensors = planned.filter(isThere).map(({ name, dims, role }) => {
    const length = dims.reduce((product, dimension) => product * dimension);
    const fan = role === "kernel" ? dims.slice(0, -1).reduce((a, b) => a * b) : dims[0];
    const [mean, deviation] = role === "norm" ? [1, 0.2] : role === "bias" ? [0, 0.3] : [0, 0.5];
    const spread = role === "matrix" || role === "kernel" ? 1.5 / Math.sqrt(fan) : deviation;
    const limit = LIMITS[name.slice(name.lastIndexOf(".") + 1)];
    const values = limit !== undefined
      ? new Float32Array(length).fill(limit)
      : rng.normals(length, (normal) => mean + spread * normal);
    const kernelType = type === "F32" ? "F32" : "F16";
    const own = role === "matrix" ? type : role === "kernel" ? kernelType : "F32";
    const bytes = encodeWeights(own, values);
    return { name, dims, type: own, pieces: () => [bytes] };
  });
  const metadata = new Map([...planMetadata(kind, lengths), ...options.metadata ?? []]);
  return encodeGguf({ metadata: [...metadata], tensors });
}

type Lengths = Readonly<Record<keyof typeof TINY_EAR, number>>;

function planMetadata(kind: TinyHearingName, lengths: Lengths): MetadataEntry[] {
  const numbers = {
    "embedding_length": u32(lengths.width),
    "feed_forward_length": u32(lengths.neurons),
    "block_count": u32(kind === "gemma4ua" ? 0 : lengths.blockCount),
    "projection_dim": u32(lengths.outputLength),
    "attention.head_count": u32(lengths.heads),
    "attention.layer_norm_epsilon": f32(lengths.epsilon),
    "num_mel_bins": u32(lengths.melCount * (kind === "granite_speech" ? 2 : 1)),
    ...kind === "granite_speech" && graniteNumbers(),
    ...kind === "parakeet" && { "subsampling_factor": u32(8), "conv_kernel_size": u32(9) },
    ...isPooled(kind) || kind === "qwen3a" || isOfConformer(kind)
      ? {}
      : { "projector.stack_factor": u32(lengths.stack) },
  };
  return [
    ["general.architecture", text("clip")],
    ["clip.has_audio_encoder", bool(true)],
    ["clip.has_vision_encoder", bool(false)],
    ["clip.projector_type", text(kind)],
    ...Object.entries(numbers).map(([key, value]) => [`clip.audio.${key}`, value] as const),
  ];
}

function graniteNumbers() {
  const { blockRows, distances, window, fewer, heads } = TINY_GRANITE;
  return {
    ...{ "chunk_size": u32(blockRows), "max_pos_emb": u32(distances), "conv_kernel_size": u32(5) },
    ...{ "projector.window_size": u32(window), "projector.downsample_rate": u32(fewer) },
    "projector.head_count": u32(heads),
  };
}

/** Means of two rows, and none side by side. */
function isPooled(kind: TinyHearingName): boolean {
  return kind === "qwen2a" || kind === "qwen2.5o" || kind === "musicflamingo";
}

function* planTower(
  { width, neurons, melCount, positions, blockCount, channels }: Lengths,
  isOfPlanes: boolean,
) {
  const norm = function* (name: string): Iterable<Planned> {
    yield { name: `${name}.weight`, dims: [width], role: "norm" };
    yield { name: `${name}.bias`, dims: [width], role: "bias" };
  };
  const matrix = function* (name: string, rows: number, columns: number): Iterable<Planned> {
    yield { name: `${name}.weight`, dims: [columns, rows], role: "matrix" };
    // Keys have none.
    if (!name.endsWith("attn_k")) yield { name: `${name}.bias`, dims: [rows], role: "bias" };
  };
  for (const [i, from] of isOfPlanes ? [] : [melCount, width].entries()) {
    const name = `a.conv1d.${i + 1}`;
    yield { name: `${name}.weight`, dims: [3, from, width], role: "kernel" } as Planned;
    yield { name: `${name}.bias`, dims: [1, width], role: "bias" } as Planned;
  }
  for (const [i, from] of isOfPlanes ? [1, channels, channels].entries() : []) {
    const name = `a.conv2d.${i + 1}`;
    yield { name: `${name}.weight`, dims: [3, 3, from, channels], role: "kernel" } as Planned;
    yield { name: `${name}.bias`, dims: [channels], role: "bias" } as Planned;
  }
  if (isOfPlanes) {
    const columns = channels * Math.ceil(melCount / 8);
    yield { name: "a.conv_out.weight", dims: [columns, width], role: "matrix" } as Planned;
  }
  yield { name: "a.position_embd.weight", dims: [width, positions], role: "table" } as Planned;
  yield* norm("a.post_ln");
  for (let layer = 0; layer < blockCount; layer++) {
    const at = `a.blk.${layer}.`;
    yield* norm(`${at}ln1`);
    for (const name of ["attn_q", "attn_k", "attn_v", "attn_out"]) {
      yield* matrix(`${at}${name}`, width, width);
    }
    yield* norm(`${at}ln2`);
    yield* matrix(`${at}ffn_up`, neurons, width);
    yield* matrix(`${at}ffn_down`, width, neurons);
  }
}

function planProjector(
  kind: Exclude<TinyHearingName, TinyConformerName>,
  { width, stack, hidden, outputLength }: Lengths,
): Planned[] {
  const matrix = (name: string, dims: readonly [columns: number, rows: number]): Planned => (
    { name: `mm.a.${name}.weight`, dims, role: "matrix" }
  );
  const biased = (name: string, dims: readonly [columns: number, rows: number]): Planned[] => [
    matrix(name, dims),
    { name: `mm.a.${name}.bias`, dims: [dims[1]], role: "bias" },
  ];
  const gains = (name: string, length: number): Planned => (
    { name: `mm.a.${name}.weight`, dims: [length], role: "norm" }
  );
  const norm = (name: string, length: number): Planned[] => [
    gains(name, length),
    { name: `mm.a.${name}.bias`, dims: [length], role: "bias" },
  ];
  const stacked = width * stack;
  switch (kind) {
    case "qwen2a":
    case "qwen2.5o":
      return biased("fc", [width, outputLength]);
    case "gemma4ua":
      return [matrix("input_projection", [TINY_SAMPLES, outputLength])];
    case "musicflamingo":
    case "qwen3a":
      return [...biased("mlp.1", [width, hidden]), ...biased("mlp.2", [hidden, outputLength])];
    case "glma":
      return [
        ...[...norm("norm_pre", width), ...biased("mlp.1", [stacked, hidden])],
        ...biased("mlp.2", [hidden, outputLength]),
        ...["v.boi", "v.eoi"].map((name): Planned => (
          { name, dims: [outputLength], role: "table" }
        )),
      ];
    case "meralion":
      return [
        ...[...norm("norm_pre", stacked), ...biased("mlp.0", [stacked, 2 * hidden])],
        ...[...biased("mlp.1", [2 * hidden, hidden]), ...biased("mlp.2", [2 * hidden, hidden])],
        ...biased("mlp.3", [hidden, outputLength]),
      ];
    case "ultravox":
      return [
        ...[matrix("mlp.1", [stacked, 2 * hidden]), matrix("mlp.2", [hidden, outputLength])],
        ...[gains("norm_pre", stacked), gains("norm_mid", hidden)],
      ];
    case "voxtral":
      return [matrix("mlp.1", [stacked, hidden]), matrix("mlp.2", [hidden, outputLength])];
  }
}

/** The file's learned positions; null: it has none. */
export function tinyPositions(bytes: Uint8Array<ArrayBuffer>, sounds: SoundConfig) {
  if (sounds.positions === null) return null;
  const tensor = parseGguf(bytes).tensors.get(sounds.positions.tensor)!;
  return dequantize(tensor.type, TensorReader.ofBytes(bytes).readAll(tensor));
}

/** A random spectrogram, [frames, bands], of numbers as Whisper's are; or samples, [rows, …]. */
export function tinyFrames(
  frames: number,
  { melCount, samplesOfRow }: SoundConfig,
): Float32Array<ArrayBuffer> {
  const rng = new Rng(7);
  return makeFloats(frames * (samplesOfRow ?? melCount), () => 2 * rng.float() - 1);
}

/** Windows of 3 frames, band by band, and positions: [count, d] of the file's table. */
export function tinyHeard(
  frames: number,
  sounds: SoundConfig,
  table: Float32Array | null,
): TowerInput {
  const { melCount: mels, positions, samplesOfRow, framesOfRow } = sounds;
  const values = tinyFrames(frames, sounds);
  if (framesOfRow !== undefined) {
    const count = Math.ceil(frames / framesOfRow);
    return { count, patches: values, added: null, positions: null, kept: count };
  }
  if (samplesOfRow !== undefined) {
    return { count: frames, patches: values, added: null, positions: null, kept: frames };
  }
  const patches = Float32Array.from({ length: frames * mels * 3 }, (_, i) => {
    const [frame, band, tap] = [Math.floor(i / (3 * mels)), Math.floor(i / 3) % mels, i % 3];
    const at = frame + tap - 1;
    return at < 0 || at >= frames ? 0 : values[at * mels + band];
  });
  const d = table!.length / positions!.count;
  if (sounds.pieces !== undefined) return inPieces(values, sounds, table!);
  const count = frames / 2;
  return { count, patches, added: table!.slice(0, count * d), positions: null, kept: count };
}

/** Pieces of 100 frames, each with its own rows and positions: 8 frames of room a row. */
function inPieces(
  values: Float32Array,
  { melCount: mels, positions }: SoundConfig,
  table: Float32Array,
): TowerInput {
  const frames = values.length / mels;
  const d = table.length / positions!.count;
  const rows = Array.from(
    { length: Math.ceil(frames / 100) },
    (_, piece) => Math.ceil(Math.min(100, frames - 100 * piece) / 8),
  );
  const count = rows.reduce((sum, own) => sum + own, 0);
  const patches = new Float32Array(count * 8 * mels), added = new Float32Array(count * d);
  for (let frame = 0; frame < frames; frame++) {
    const to = Math.floor(frame / 100) * 13 * 8 + frame % 100;
    patches.set(values.subarray(frame * mels, (frame + 1) * mels), to * mels);
  }
  for (let row = 0; row < count; row++) {
    added.set(table.subarray(row % 13 * d, (row % 13 + 1) * d), row * d);
  }
  return { count, patches, added, positions: null, kept: count };
}
