/** How tiny projector files are told apart, and what several kinds of them have. */
import { type StoredValue, u32 } from "../../src/gguf/mod.ts";

/** How the files of a kind differ from SigLIP's towers with biases everywhere. */
export interface TinyVisionKind {
  /** `clip.projector_type`; left out: the name of the kind. */
  readonly projector?: string;
  /** Left out: gelu. */
  readonly activation?: "gelu" | "silu" | "quickGelu";
  /** Norms are RMS and have no biases. */
  readonly rms?: boolean;
  /** Left out: `TINY_TOWER`'s. */
  readonly width?: number;
  readonly heads?: number;
  /** Left out: as many as heads. */
  readonly kvHeads?: number;
  readonly neurons?: number;
  readonly blockCount?: number;
  /** Pixels on a side. */
  readonly patchSize?: number;
  /** Patches on a side. */
  readonly side?: number;
  readonly twoFrames?: boolean;
  /** What patches are multiplied by is a matrix. */
  readonly flatPatches?: boolean;
  readonly patchBias?: boolean;
  /** Learned; left out: there are. */
  readonly positions?: boolean;
  readonly classToken?: boolean;
  /** So many, without positions. */
  readonly classTokens?: number;
  readonly preNorm?: boolean;
  /** Of what patches give. */
  readonly patchNorm?: boolean;
  /** Three: of patches, of what they give, and of that with positions; blocks are patches. */
  readonly patchNorms?: boolean;
  readonly postNorm?: boolean;
  readonly fusedQkv?: boolean;
  /** Of all heads together or, where `headDim` is there, of each, by name. */
  readonly headNorms?: readonly string[];
  readonly headDim?: number;
  /** Heads are so long, whatever the width is; queries, keys and values are one matrix. */
  readonly ownHeadDim?: number;
  /** Layers that have sinks of heads. */
  readonly sinks?: readonly number[];
  readonly gated?: boolean;
  /** Of layers; left out: there are. */
  readonly biases?: boolean;
  /** Up is called down, and down up. */
  readonly swapped?: boolean;
  /** What blocks give is multiplied number by number. */
  readonly gains?: boolean;
  /** Norms behind blocks. */
  readonly postNorms?: boolean;
  /** Products of these matrices of layers have limits. */
  readonly limited?: readonly string[];
  /** Positions are [rows, columns, d]. */
  readonly positionsByRows?: boolean;
  /** Positions of so many columns, and as many of rows, instead of those of a square. */
  readonly positionTables?: number;
  /** Positions of a square of so many on a side, whatever images are. */
  readonly positionSide?: number;
  /** Keys without "clip.". */
  readonly fileKeys?: Readonly<Record<string, StoredValue>>;
  /** Keys without "clip.vision.". */
  readonly keys?: Readonly<Record<string, StoredValue>>;
  /** Tensors of the projector, in ggml's order of dimensions. */
  readonly tensors: (of: TinyLengths) => readonly TinyTensor[];
}

/** What tensors are made for. */
export interface TinyLengths {
  readonly width: number;
  readonly outputLength: number;
}

/** In ggml's order of dimensions. */
export interface TinyTensor {
  readonly name: string;
  readonly dims: readonly number[];
  /** Left out: vectors are biases, others matrices. */
  readonly role?: "norm" | "table";
}

/** What SigLIP's towers have. */
export const SIGLIP = { patchBias: true, postNorm: true } as const;
/** Neurons of projectors of two matrices. */
export const NEURONS = 128;

/** Of images that keep their shapes. */
export const PIXELS = { "image_min_pixels": u32(256), "image_max_pixels": u32(16384) };
/** Blocks of 2 · 2 patches are rows. */
export const SIDE_2 = { "projector.scale_factor": u32(2) };

/** Two matrices with biases, of rows of `columns`. */
export function twoMatrices(
  [first, second]: readonly [string, string],
  { columns, rows }: { columns: number; rows: number },
) {
  return [
    { name: `${first}.weight`, dims: [columns, NEURONS] },
    { name: `${first}.bias`, dims: [NEURONS] },
    { name: `${second}.weight`, dims: [NEURONS, rows] },
    { name: `${second}.bias`, dims: [rows] },
  ];
}
