/**
 * What a packed file (.ganglion) holds, as its readers see it. A unit is a block of neurons that
 * are packed together: a feed-forward block, an expert or a shared expert. A bundle is one neuron
 * of a unit in the bytes that kernels read:
 *
 *   ├─ gate row ──┬───┼─ up row ─ what down has of the neuron ─ pad ─┤
 *   0             restOffsetBytes                                    bundleBytes
 *
 * A bundle begins at a multiple of the file's alignment, and so does the rest, which can be read
 * without the gate: where that is a disk's sectors, reads go straight into an arena.
 * Positions are places of bundles in their unit: neurons by descending frequency of firing, stripe
 * by stripe (PowerInfer-2).
 */
import type { GgufFile } from "../gguf/types.ts";

/** One matrix's share of a bundle. */
export interface BundlePart {
  /** GGUF type name of the matrix. */
  readonly type: string;
  /** Name of the tensor it was packed from. */
  readonly tensor: string;
  /** Where it begins in a bundle. */
  readonly offsetBytes: number;
  /** Bytes that kernels read of it. */
  readonly sizeBytes: number;
}

export interface BundleUnit {
  readonly layer: number;
  /** Number of the expert; null: the layer's only block. "shared": the expert of all tokens. */
  readonly expert: number | "shared" | null;
  /** Neurons of the unit. */
  readonly neurons: number;
  /** Equal parts of the neurons, each ordered by itself. */
  readonly stripes: number;
  /** Null where neurons have no gate. */
  readonly gate: BundlePart | null;
  readonly up: BundlePart;
  readonly down: BundlePart;
  /** How down lies: a column's quants, whose factors are resident, or a packed row of its own. */
  readonly downLayout: "columns" | "neurons";
  /** The aligned place at or before that of up: reads of all but the gate begin there. */
  readonly restOffsetBytes: number;
  /** Bytes of a bundle with padding: a multiple of the file's alignment. */
  readonly bundleBytes: number;
  /** Where the unit's first bundle is in the file. */
  readonly offsetBytes: number;
  /** Where down's factors of the whole unit are in the file; size 0 where there are none. */
  readonly factorsOffsetBytes: number;
  readonly factorsSizeBytes: number;
  /** Neuron at each position, u32 [neurons]. */
  readonly order: Uint32Array;
  /** Share of tokens for which it fires, f32 [neurons], by position; null: nobody counted. */
  readonly rates: Float32Array | null;
}

/** What identifies the state of a file. */
export interface FileStamp {
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  /** Null where the platform has none. */
  readonly inode: number | null;
}

/** A packed model, opened and checked. */
export interface PackedModel {
  readonly path: string;
  readonly stamp: FileStamp;
  /** Bundles begin at multiples of it. */
  readonly alignBytes: number;
  /**
   * The model's metadata and tensors, as its GGUF file had them. Tensors of units have their types
   * and shapes, but no bytes of their own: only `units` has these.
   */
  readonly file: GgufFile;
  /** By layer, then by expert, the shared one last. */
  readonly units: readonly BundleUnit[];
  /** Of the model that it was packed from (src/gguf/fingerprint.ts): statistics name it. */
  readonly sourceFingerprint: string;
}
