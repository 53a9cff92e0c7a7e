/**
 * What sets one kind of projector files apart from the next, as data: towers are encoders that
 * differ in little, projectors in a few choices. Knows no files.
 */
import type { NormConfig } from "../types.ts";
import type { Activation } from "../activation_types.ts";
import type { ImageConfig, ProjectorConfig } from "../vision_types.ts";

/** What some kinds' files are told apart by. */
export interface TowerShape {
  readonly embeddingLength: number;
  /** As the file counts them. */
  readonly blockCount: number;
}

/** How a kind turns queries and keys by a patch's row and column. */
export interface TowerRope {
  /** As `RopeConfig.kind`. */
  readonly pairs: "norm" | "neox";
  /** What turns the first half of a head's pairs; the other one turns the second half. */
  readonly first: "row" | "column";
  /**
   * Frequencies fall from pair to pair through both halves in turns, the first half having the
   * even ones. False: in each half by itself.
   */
  readonly isInterleaved: boolean;
  /** Of the first patch. */
  readonly from: 0 | 1;
  /** Both of a pair are in the same half of a head. Left out: halves are of pairs. */
  readonly isByHalves?: true;
  /**
   * Heads are thirds, as nearly as pairs allow: nothing turns the first one, rows turn the second
   * one, columns the third one, and nothing what is left. Left out: they are halves.
   */
  readonly isByThirds?: true;
  /** Left out: 10000. */
  readonly base?: number;
}

/** The norm of a projector's input. */
export interface ProjectorNorm {
  readonly of: "rows" | "merged";
  readonly kind: "rms" | "layer";
  /** Null: as the tower's. */
  readonly epsilon: number | null;
  /** Its tensors, without ".weight" and ".bias"; null: all weights are 1. */
  readonly tensor: string | null;
  /** Files may have none. */
  readonly isOptional: boolean;
}

/** act(norm(matrix · x)). */
export interface ProjectorStage {
  /** Tensors without ".weight" and ".bias". */
  readonly matrix: string;
  /** Files may have none, and nothing is in its place. */
  readonly isOptional: boolean;
  /**
   * The file has it as a convolution's kernels: [d, mergeSide, mergeSide] each, or, where another
   * stage is before it, [columns, 1, 1].
   */
  readonly isKernel: boolean;
  /** Epsilon null: as the tower's. */
  readonly norm: { readonly tensor: string; readonly epsilon: number | null } | null;
  readonly activation: Activation | null;
}

/** A kind of projector files. */
export interface VisionKind {
  /** `clip.projector_type`. */
  readonly name: string;
  readonly norm: NormConfig["kind"] | ((shape: TowerShape) => NormConfig["kind"]);
  /** What the last norm is called, without ".weight"; files may have none. */
  readonly lastNorm: string;
  /** Of patches' own numbers; null: there is none. */
  readonly pixelNorm: string | null;
  /** Of what patches give, before positions are added; null: there is none. */
  readonly patchNorm: string | null;
  /** Of what positions were added to; files may have none. */
  readonly embeddingNorm: string;
  /** False: rows are projected as they go in. */
  readonly hasLayers: boolean;
  /** Of the tower's norms; null: as the file says. */
  readonly epsilon: number | null;
  /** Of layers; null: as the file says. */
  readonly activation: Activation | null;
  /** Files of 2024 call up down, and down up. */
  readonly mayBeSwapped: boolean;
  /** The matrix of patches is there twice, for two frames. */
  readonly hasTwoFrames: boolean;
  /** The matrix of patches is one in the file, too: no convolution's kernels. */
  readonly hasFlatPatches: boolean;
  /** Its columns are a patch's pixels in reading order, each with its three colours. */
  readonly hasColoursLast: boolean;
  /**
   * "ifThere", "required": a class token's position is the first one; "last": it is the last one;
   * "many": class tokens have none.
   */
  readonly classToken: "none" | "required" | "ifThere" | "last" | "many";
  readonly positions:
    | "none"
    | "required"
    | "ifThere"
    /** As [rows, columns, d], of a square that the file's images need not have. */
    | "byRows";
  /** Images, or parts of them, are cut to about the square's size, in their own shapes. */
  readonly isLikeSquare: boolean;
  /** Learned queries make rows of patches. */
  readonly isResampled: boolean;
  /** Learned queries ask windows of what some layers leave, which a list names. */
  readonly asksLayers: boolean;
  /** Of blocks of four patches on a side those of two become rows between layers. */
  readonly foldsRows: boolean;
  /** Of positions, where images keep their shapes. */
  readonly resize: NonNullable<ImageConfig["positions"]>["resize"];
  readonly rope: TowerRope | null;
  /** Rows that come out of an image that keeps its shape, where the file does not say; or null. */
  readonly rows: { readonly min: number; readonly max: number } | null;
  /** Images keep their shapes, and their longest edge is what the file says. */
  readonly isOfLongestEdge: boolean;
  /** A list says which layers' outputs are wanted: of one, those behind it are left out. */
  readonly namesLayers: boolean;
  /** Side of a block of patches that is one row: the file's key, and what it is without. */
  readonly side: { readonly key: string; readonly absent: number } | null;
  /** What the file calls a block of patches is one patch. */
  readonly hasBlocksAsPatches: boolean;
  readonly merge: ProjectorConfig["merge"];
  readonly projector: {
    readonly norm: ProjectorNorm | null;
    /** What merging gives is multiplied by √d, and made standard where the file has that. */
    readonly isStandardized?: true;
    /** Rows around those of an image, and the norm of all: what their tensors are called. */
    readonly frame?: Readonly<Record<"lineEnd" | "begin" | "end" | "norm", string>>;
    /** What rows go through before they are merged. Left out: nothing. */
    readonly rowStages?: readonly ProjectorStage[];
    /**
     * Convolutions of 3 · 3 over the grid of patches, each of which keeps every other row and
     * column, in the place of merging: what their tensors are called, without ".weight" and
     * ".bias". Left out: there are none.
     */
    readonly convolutions?: readonly string[];
    /** What convolves each number of what comes out; left out: nothing does. */
    readonly channels?: string;
    /** What merged rows go through first. */
    readonly stages: readonly ProjectorStage[];
    readonly first: string;
    /** Left out: there is none. */
    readonly gate?: string;
    readonly isFirstTransposed: boolean;
    readonly second: string | null;
    readonly biases: "none" | "required" | "ifThere";
    /** Null: there is one matrix; "own": the tower's. */
    readonly activation: Activation | "own" | null;
  };
  /** A row between the image's lines. */
  readonly lineBreak: string | null;
  /** Rows before and behind an image's own; null: there are none. */
  readonly around: ImageConfig["around"] | null;
  /** Most layers attend within windows of so many pixels on a side; null: none does. */
  readonly windowPixels: number | null;
  /**
   * The file says how many pixels, and which layers see all; images need not be whole numbers of
   * windows.
   */
  readonly namesWindows: boolean;
  /**
   * Windows are as large as the square that has positions, every fourth layer and the last one see
   * all, and images need not be whole numbers of windows.
   */
  readonly hasWindowsOfPositions: boolean;
  /**
   * Layers attend along lines or columns of an image, or to all of it, as a list says; heads are
   * as long as the matrix of queries, keys and values says, and have sinks where a layer does not
   * see all.
   */
  readonly hasBands: boolean;
  /** Files may say that there are no windows, by not saying which layers see all. */
  readonly mayLackWindows: boolean;
  /** Outcomes of some layers are projected, too: what their tensors are called before a number. */
  readonly deep: string | null;
  /** Heads' values are normalised, too, and scores are not scaled. */
  readonly normalizesValues: boolean;
  /** What products read and give may have limits: Gemma 4's small ones. */
  readonly mayLimitProducts: boolean;
  /** A colour that the file's mean and deviation leave from 0 to 1 is one from -1 to 1. */
  readonly hasSignedColours: boolean;
  /** Tensors that the text's side of other programs uses, which is not used here. */
  readonly unused: readonly string[];
}

/** What most kinds do. */
export const COMMON: Omit<VisionKind, "name" | "projector"> = {
  norm: "layer",
  lastNorm: "v.post_ln",
  pixelNorm: null,
  patchNorm: null,
  embeddingNorm: "v.pre_ln",
  hasLayers: true,
  epsilon: null,
  activation: null,
  mayBeSwapped: false,
  hasTwoFrames: false,
  hasFlatPatches: false,
  hasColoursLast: false,
  classToken: "none",
  positions: "required",
  resize: null,
  isLikeSquare: false,
  isResampled: false,
  asksLayers: false,
  foldsRows: false,
  rope: null,
  rows: null,
  isOfLongestEdge: false,
  namesLayers: false,
  side: null,
  hasBlocksAsPatches: false,
  merge: "concat",
  lineBreak: null,
  around: null,
  windowPixels: null,
  namesWindows: false,
  hasWindowsOfPositions: false,
  hasBands: false,
  mayLackWindows: false,
  deep: null,
  normalizesValues: false,
  mayLimitProducts: false,
  hasSignedColours: false,
  unused: [],
};

/** A stage of a matrix alone. */
export const PLAIN_STAGE = {
  ...{ isOptional: false, isKernel: false, norm: null, activation: null },
} as const satisfies Partial<ProjectorStage>;
