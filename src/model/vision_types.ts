/**
 * What a model has that looks at images: patches go in instead of ids, and what comes out are rows
 * of a text model's stream. Data only. A file of such a model is what llama.cpp calls an mmproj.
 */
import type { Activation } from "./activation_types.ts";
import type { MatrixTensor, ModelDescription, NormTensors } from "./types.ts";

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

/** What preparing images takes: part of the file of a projector. */
export interface ImageConfig {
  /** `clip.projector_type`: "gemma3", "mlp", "idefics3", … */
  readonly projector: string;
  /** Side of the square that positions were learned for, pixels. */
  readonly imageSize: number;
  /** Side of a patch, pixels. */
  readonly patchSize: number;
  /** Of R, G and B: a colour c of 0 … 1 becomes (c - mean) / deviation. */
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
  /** A row that comes out is made of so many times so many patches; 1: of one. */
  readonly mergeSide: number;
  /**
   * Those of a block, which follow one another: "rows" as in reading; "columns" from top to bottom
   * first.
   */
  readonly mergeOrder: "rows" | "columns";
  /** Learned positions, [count, d]; null: there are none. */
  readonly positions: {
    readonly tensor: string;
    readonly count: number;
    /** Row of the class token; patches have the others in order. Null: there is no class token. */
    readonly classRow: number | null;
    /** How the square grid becomes an image's, where that is another one; null: it never is. */
    readonly resize: "bilinear" | "bicubic" | null;
  } | null;
  /** Tensor of the class token, [d]; null: there is none. */
  readonly classTokens: string | null;
  /** Rows have two positions each, which turn queries and keys; what the first ones are. */
  readonly firstPosition: 0 | 1 | null;
  /** [outputLength]: a row between the image's lines, and behind the last one; null: none is. */
  readonly lineEnd: { readonly tensor: string; readonly isBehindLast: boolean } | null;
  /** What the file says of sizes; null: nothing. */
  readonly pixelsMin: number | null;
  readonly pixelsMax: number | null;
  /** Longest edge before an image is cut into tiles, pixels. */
  readonly longestEdge: number | null;
  readonly tilesMin: number | null;
  readonly tilesMax: number | null;
  /** Sizes [width, height] of which the best is chosen (LLaVA 1.6), pixels. */
  readonly gridSizes: readonly (readonly [width: number, height: number])[];
}

/** The file of a projector, read. */
export interface VisionModel {
  /** `config.patches` and `config.projector` are set. */
  readonly description: ModelDescription;
  readonly images: ImageConfig;
}
