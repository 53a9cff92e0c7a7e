/**
 * What a model has that looks at images: patches go in instead of ids, and what comes out are rows
 * of a text model's stream. Data only. A file of such a model is what llama.cpp calls an mmproj.
 */
import type { Activation } from "./activation_types.ts";
import type { MatrixTensor, NormTensors } from "./types.ts";

/** What goes in, instead of rows of an embedding table: W · patch + b. */
export interface PatchesConfig {
  /** Numbers of a patch: 3 · side², channel by channel (R, G, B), each row by row. */
  readonly length: number;
  /** Most patches of an image, those beside the image's own (class tokens) included. */
  readonly countMax: number;
}

/** What makes rows of a text model of a tower's rows: second · act(first · x), or first · x. */
export interface ProjectorConfig {
  /** So many rows that follow one another are one: side by side, or their mean. */
  readonly mergedRows: number;
  readonly merge: "concat" | "mean";
  /** Of each row before it is merged, or of what merging gives; null: there is none. */
  readonly norm: {
    readonly of: "rows" | "merged";
    readonly kind: "rms" | "layer";
    readonly epsilon: number;
  } | null;
  /** Between the two matrices; null: there is one. */
  readonly activation: Activation | null;
  /** Numbers of a row that comes out: the text model's d. */
  readonly outputLength: number;
}

export interface ProjectorTensors {
  readonly norm: NormTensors | null;
  /** [neurons, merged length], or [outputLength, merged length] where it is the only one. */
  readonly first: MatrixTensor;
  /** [outputLength, neurons]; null: there is one. */
  readonly second: MatrixTensor | null;
}

/** What a tower computes in one step: an image, or a tile of one. */
export interface TowerInput {
  /** Rows of the step, n. */
  readonly count: number;
  /** [n, PatchesConfig.length]; zeros where a row is no patch. */
  readonly patches: Float32Array;
  /** [n, d], added to W · patch + b: positions, a class token; null: nothing is. */
  readonly added: Float32Array | null;
  /** [n, 3], for `RopeAxes`; null: nothing is turned. */
  readonly positions: Int32Array | null;
  /** So many of the first rows reach the projector: a multiple of `mergedRows`. */
  readonly kept: number;
}
