/**
 * Small projector files (mmproj) of every kind that is read, with random weights made from a seed:
 * two layers of 96, images of 6 · 6 patches, rows of 64 as tiny text models have.
 */
import {
  bool,
  encodeGguf,
  f32,
  list,
  type MetadataEntry,
  type StoredValue,
  text,
  u32,
} from "../../src/gguf/mod.ts";
import { encodeWeights } from "../../src/quantize/mod.ts";
import { Rng } from "./rng.ts";
import { TINY_KINDS, type TinyVisionKind, type TinyVisionName } from "./tiny_vision_kinds.ts";

export { TINY_KINDS, type TinyVisionKind, type TinyVisionName };

/** Lengths of all kinds; of patches on a side, where images are squares. */
export const TINY_TOWER = {
  blockCount: 2,
  width: 96,
  heads: 6,
  neurons: 160,
  outputLength: 64,
  patchSize: 4,
  side: 6,
  /** So large that another one makes other rows. */
  epsilon: 0.05,
} as const;

/** What may be chosen; the rest is the kind's. */
export interface TinyVisionOptions {
  /** Default "gemma3". */
  readonly kind?: TinyVisionName;
  readonly seed?: number;
  /** Of matrices of layers and projectors, and F16 of patches'; default F32. */
  readonly type?: "F32" | "F16" | "Q8_0";
  /** What the kind's files have otherwise. */
  readonly changes?: Partial<TinyVisionKind>;
  /** Entries that replace or add to the file's metadata. */
  readonly metadata?: readonly MetadataEntry[];
  /** Of rows that come out; left out: `TINY_TOWER`'s. */
  readonly outputLength?: number;
}

interface Planned {
  readonly name: string;
  readonly dims: readonly number[];
  readonly role: "matrix" | "norm" | "bias" | "table" | "kernel" | number;
}

/** The bytes of a GGUF file. Same options, same bytes. */
export function tinyVision(options: TinyVisionOptions = {}): Uint8Array<ArrayBuffer> {
  const name = options.kind ?? "gemma3";
  const kind: TinyVisionKind = { ...TINY_KINDS[name], ...options.changes };
  const { seed = 1, type = "F32", outputLength = TINY_TOWER.outputLength } = options;
  const rng = new Rng(seed);
  const tensors = planTensors(kind, outputLength).map(({ name, dims, role }) => {
    const length = dims.reduce((product, dimension) => product * dimension);
    const values = randomWeights({ name, dims, role }, length, rng);
    // What blocks of Q8_0 do not fit is F16, as in other files.
    const fits = type !== "Q8_0" || dims[0] % 32 === 0;
    const isF16 = role === "matrix" && !fits || role === "kernel" && type === "F16";
    const own = isF16 ? "F16" : role === "matrix" ? type : "F32";
    const bytes = encodeWeights(own, values);
    return { name, dims, type: own, pieces: () => [bytes] };
  });
  const metadata = new Map([...planMetadata(kind, name), ...options.metadata ?? []]);
  return encodeGguf({ metadata: [...metadata], tensors });
}

function planMetadata(kind: TinyVisionKind, name: string): MetadataEntry[] {
  const { patchSize, width, heads, neurons, side, blockCount } = { ...TINY_TOWER, ...kind };
  const vision: Record<string, StoredValue> = {
    "image_size": u32(side * patchSize),
    "patch_size": u32(patchSize),
    "embedding_length": u32(width),
    "feed_forward_length": u32(neurons),
    "block_count": u32(blockCount),
    "projection_dim": u32(TINY_TOWER.outputLength),
    "attention.head_count": u32(heads),
    "attention.layer_norm_epsilon": f32(TINY_TOWER.epsilon),
    "image_mean": list(Float32Array.of(0.5, 0.5, 0.5)),
    "image_std": list(Float32Array.of(0.5, 0.5, 0.5)),
    ...kind.keys,
  };
  return [
    ["general.architecture", text("clip")],
    ["clip.has_vision_encoder", bool(true)],
    ["clip.projector_type", text(kind.projector ?? name)],
    ...kind.activation === "quickGelu" ? [] : [
      [`clip.use_${kind.activation ?? "gelu"}`, bool(true)] as const,
    ],
    ...Object.entries(kind.fileKeys ?? {}).map(([key, value]) => [`clip.${key}`, value] as const),
    ...Object.entries(vision).map(([key, value]) => [`clip.vision.${key}`, value] as const),
  ];
}

function* planAll(kind: TinyVisionKind, outputLength: number): Iterable<Planned> {
  const { width, side, blockCount, patchSize } = { ...TINY_TOWER, ...kind };
  const patch = 3 * (kind.patchNorms ? 2 * patchSize : patchSize) ** 2;
  const kernel = kind.flatPatches ? [patch, width] : [patchSize, patchSize, 3, width];
  yield { name: "v.patch_embd.weight", dims: kernel, role: "kernel" };
  if (kind.twoFrames) yield { name: "v.patch_embd.weight.1", dims: kernel, role: "kernel" };
  if (kind.patchBias) yield { name: "v.patch_embd.bias", dims: [width], role: "bias" };
  const rows = (kind.positionSide ?? side) ** 2 + (kind.classToken ? 1 : 0);
  if (kind.positions ?? true) {
    const square = kind.positionsByRows ? [side, side] : [rows];
    const places = kind.positionTables === undefined ? square : [kind.positionTables, 2];
    yield { name: "v.position_embd.weight", dims: [width, ...places], role: "table" };
  }
  if (kind.classToken) yield { name: "v.class_embd", dims: [width], role: "bias" };
  if (kind.classTokens) {
    yield { name: "v.class_embd", dims: [width, kind.classTokens], role: "table" };
  }
  if (kind.patchNorms) {
    for (const [at, length] of [patch, width, width].entries()) {
      yield* planNorm(`v.patch_norm.${at + 1}`, length, kind);
    }
  }
  if (kind.patchNorm) yield* planNorm("v.norm_embd", width, kind);
  if (kind.preNorm) yield* planNorm("v.pre_ln", width, kind);
  if (kind.postNorm) yield* planNorm("v.post_ln", width, kind);
  for (let layer = 0; layer < blockCount; layer++) yield* planLayer(kind, layer);
  for (const { name, dims, role } of kind.tensors({ width, outputLength })) {
    const own = dims.length === 1 ? "bias" : dims.length === 4 ? "kernel" : "matrix";
    yield { name, dims, role: role ?? own };
  }
}

function planTensors(kind: TinyVisionKind, outputLength: number): Planned[] {
  return [...planAll(kind, outputLength)];
}

function* planLayer(kind: TinyVisionKind, layer: number): Iterable<Planned> {
  const at = `v.blk.${layer}.`;
  const { width, heads, neurons } = { ...TINY_TOWER, ...kind };
  const matrix = function* (name: string, rows: number, columns: number): Iterable<Planned> {
    yield { name: `${at}${name}.weight`, dims: [columns, rows], role: "matrix" };
    if (kind.biases ?? true) yield { name: `${at}${name}.bias`, dims: [rows], role: "bias" };
    if (kind.limited?.includes(name)) yield* planLimits(`${at}${name}`);
  };
  yield* planNorm(`${at}ln1`, width, kind);
  const ownWidth = heads * (kind.ownHeadDim ?? width / heads);
  const kvWidth = (kind.kvHeads ?? heads) * ownWidth / heads;
  if (kind.fusedQkv) yield* matrix("attn_qkv", ownWidth + 2 * kvWidth, width);
  else for (const name of ["attn_q", "attn_k", "attn_v"]) yield* matrix(name, width, width);
  for (const name of kind.headNorms ?? []) {
    yield { name: `${at}${name}.weight`, dims: [kind.headDim ?? width], role: "norm" };
  }
  yield* matrix("attn_out", width, ownWidth);
  if (kind.sinks?.includes(layer)) yield { name: `${at}attn_sinks`, dims: [heads], role: "table" };
  if (kind.postNorms) yield* planNorm(`${at}attn_post_norm`, width, kind);
  yield* planNorm(`${at}ln2`, width, kind);
  const [up, down] = kind.swapped ? ["ffn_down", "ffn_up"] : ["ffn_up", "ffn_down"];
  if (kind.gated) yield* matrix("ffn_gate", neurons, width);
  yield* matrix(up, neurons, width);
  yield* matrix(down, width, neurons);
  if (kind.postNorms) yield* planNorm(`${at}ffn_post_norm`, width, kind);
  for (const name of kind.gains ? ["ls1", "ls2"] : []) {
    yield { name: `${at}${name}.weight`, dims: [width], role: "bias" };
  }
}

/**
 * Of a file that says three of four. Matrices that read the same have the same limits of it:
 * llama.cpp limits what they read in its place, so that all of them get the limits of all.
 */
function* planLimits(name: string): Iterable<Planned> {
  const reads = /attn_[qkv]$/.test(name)
    ? 0
    : /attn_out$/.test(name)
    ? 1
    : /down$/.test(name)
    ? 2
    : 3;
  yield { name: `${name}.input_min`, dims: [1], role: -0.5 - reads / 8 };
  yield { name: `${name}.input_max`, dims: [1], role: 0.6 + reads / 8 };
  yield { name: `${name}.output_max`, dims: [1], role: 0.3 + name.length / 50 };
}

function* planNorm(name: string, length: number, kind: TinyVisionKind): Iterable<Planned> {
  yield { name: `${name}.weight`, dims: [length], role: "norm" };
  if (!kind.rms) yield { name: `${name}.bias`, dims: [length], role: "bias" };
}

function randomWeights({ dims, role }: Planned, length: number, rng: Rng): Float32Array {
  if (typeof role === "number") return Float32Array.of(role);
  const fan = role === "kernel" && dims.length === 4 ? dims[0] * dims[1] * dims[2] : dims[0];
  const [mean, deviation] = role === "norm"
    ? [1, 0.2]
    : role === "bias"
    ? [0, 0.3]
    : role === "table"
    ? [0, 0.5]
    : [0, 1.5 / Math.sqrt(fan)];
  return rng.normals(length, (normal) => mean + deviation * normal);
}
