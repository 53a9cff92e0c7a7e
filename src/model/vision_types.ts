/**
 * What a model has that looks at images or hears: patches, or frames of a spectrogram, go in
 * instead of ids, and what comes out are rows of a text model's stream. Data only. A file of such a
 * model is what llama.cpp calls an mmproj.
 */
import type { Activation } from "./activation_types.ts";
import type { SubsamplingConfig } from "./conformer_types.ts";
import type { GridConvolution, GridConvolutionTensors } from "./grid_convolutions.ts";
import type { NetworkConfig } from "./network.ts";
import type { PlaneConfig } from "./plane.ts";
import type { ResamplerConfig, ResamplerTensors } from "./resampler_types.ts";
import type { MatrixTensor, ModelDescription, NormTensors, VectorTensor } from "./types.ts";
import type {
  LayerQueriesConfig,
  LayerQueriesTensors,
  PartTensors,
  WindowQueriesConfig,
  WindowQueriesTensors,
} from "./window_queries.ts";

/** What goes in, instead of rows of an embedding table: W · patch + b. */
export interface PatchesConfig {
  /**
   * Numbers of a patch: 3 · side², channel by channel (R, G, B), each row by row, or pixel by pixel
   * (`ImageConfig.hasColoursLast`). Of two
   * convolutions what makes one row: two windows of 3 frames, each channel by channel.
   */
  readonly length: number;
  /**
   * Two convolutions over time make rows, of 3 frames each, the second one every other frame, with
   * gelu behind both: gelu(V · [h(2i - 1), h(2i), h(2i + 1)] + c) of h(t) = gelu(W · window t + b),
   * channel by channel, h(-1) being zeros. Left out: one product does.
   */
  readonly areConvolved?: true;
  /**
   * Rows bring frames of pieces of a spectrogram, frame by frame, which convolutions over both axes
   * make rows of. Left out: they do not.
   */
  readonly plane?: PlaneConfig;
  /**
   * The same of frames of a whole sound, of which a patch is some and the last one may be fewer: by
   * a conformer's convolutions. Left out: they do not.
   */
  readonly subsampling?: SubsamplingConfig;
  /** A network of convolutions makes rows of all patches together. Left out: none does. */
  readonly network?: NetworkConfig;
  /** Patches are rows of the tower themselves, d numbers each. Left out: they are made to be. */
  readonly areRows?: true;
  /**
   * The second half of them ask: they see the first half, whose rows see one another, and of
   * themselves those before, and they alone come out. Left out: all see all.
   */
  readonly areAsked?: true;
  /** Most patches of an image, those beside the image's own (class tokens) included. */
  readonly countMax: number;
}

/**
 * What makes rows of a text model of a tower's rows: second · act(first · x), with a gate second ·
 * (act(gate · x) ⊙ first · x), or first · x.
 */
export interface ProjectorConfig {
  /** Means of so many rows that follow one another go into the model's last norm. Left out: 1. */
  readonly pooledRows?: number;
  /** Learned queries take what they want of rows. Left out: rows are merged. */
  readonly resampler?: ResamplerConfig;
  /**
   * Behind layer `behind` each so many rows that follow one another become one, which the layers
   * behind it go on with: their mean + second · gelu(first · norm(side by side)), the norm as the
   * tower's (`ProjectorTensors.fold`). Softens: second · softmax(first · x), without a norm. Left
   * out: as many come out of layers as go in.
   */
  readonly fold?: { readonly behind: number; readonly rows: number; readonly softens?: true };
  /** Learned queries take what they want of windows of rows. Left out: rows are merged. */
  readonly windowQueries?: WindowQueriesConfig;
  /**
   * Learned queries ask windows of what some layers leave, and nothing else comes out: the parts of
   * a row, in this order. All have windows of as many rows, and as many queries. Left out: none.
   */
  readonly layerQueries?: readonly LayerQueriesConfig[];
  /**
   * Convolutions over the grid of an image's patches, which come line by line, one after the other,
   * make what the matrices read; `mergedRows` is how many become one. Left out: merging does.
   */
  readonly convolutions?: readonly GridConvolution[];
  /** What the matrices read comes out, too, before what they give. Left out: it does not. */
  readonly passesOn?: true;
  /** What a single matrix reads has these of its columns. Left out: all. */
  readonly columns?: { readonly start: number; readonly end: number };
  /** What each row goes through before it is merged, one after the other. Left out: nothing. */
  readonly rowStages?: readonly StageConfig[];
  /** Rows that the last merged one lacks are zeros. Left out: it lacks none. */
  readonly isPadded?: true;
  /** What `second` reads is normalised (RMS) with it and `ProjectorTensors.hiddenNorm`. */
  readonly hiddenEpsilon?: number;
  /** Numbers of that, where its norm has no weights. Left out: it has some, or there is none. */
  readonly hiddenLength?: number;
  /** What the last layer leaves goes in as it is. Left out: the model's last norm of it. */
  readonly lacksLastNorm?: true;
  /**
   * So many rows that follow one another are one: side by side, in turns (the first numbers of all
   * of them, then the second ones, …), or their mean.
   */
  readonly mergedRows: number;
  readonly merge: "concat" | "turns" | "mean";
  /**
   * Three rows come out behind an image's own: what stands at the end of each line of it, before
   * it and behind it; and all are normalised (RMS), as `ProjectorTensors.frame` says. Left out:
   * neither.
   */
  readonly frameEpsilon?: number;
  /** Multiplies what merging gives, before `ProjectorTensors.standard`. Left out: nothing does. */
  readonly mergedScale?: number;
  /** Of each row before it is merged, or of what merging gives; null: there is none. */
  readonly norm: {
    readonly of: "rows" | "merged";
    readonly kind: "rms" | "layer";
    readonly epsilon: number;
  } | null;
  /** What merged rows go through before that, one after the other. Left out: nothing. */
  readonly stages?: readonly StageConfig[];
  /**
   * Rows that come out of a square image, line by line, have what a convolution of 3 · 3 over each
   * of their numbers gives added (`ProjectorTensors.channels`). Left out: they have not.
   */
  readonly convolvesChannels?: true;
  /** Between the two matrices; null: nothing is, or there is one. */
  readonly activation: Activation | null;
  /**
   * Layers whose outcomes are projected, too (`ProjectorTensors.deep`): what comes of each stands
   * behind the row itself, in this order. Left out: none.
   */
  readonly deepLayers?: readonly number[];
  /** Rows that come out are normalised (RMS) with it, without weights. Left out: they are not. */
  readonly outputEpsilon?: number;
  /** Numbers of a row that comes out: the text model's d, as often as there are parts. */
  readonly outputLength: number;
}

/** act(norm(matrix · x)). */
export interface StageConfig {
  /** Of the layer's norm behind the matrix; null: there is none. */
  readonly epsilon: number | null;
  readonly activation: Activation | null;
}

export interface StageTensors {
  /** A convolution's kernels over a whole block of patches are rows, too. */
  readonly matrix: MatrixTensor;
  readonly norm: NormTensors | null;
}

/** second · gelu(first · norm(merged rows)) of what a layer leaves; the norm is as the tower's. */
export interface DeepProjectorTensors {
  readonly norm: NormTensors;
  readonly first: MatrixTensor;
  readonly second: MatrixTensor;
}

/** As `ProjectorConfig.fold` says; norm null: there is none. */
export type FoldTensors =
  & Pick<DeepProjectorTensors, "first" | "second">
  & Pick<StageTensors, "norm">;

export interface ProjectorTensors {
  /**
   * Of `ProjectorConfig.deepLayers`, or of `layerQueries` but the first ones, whose matrix is
   * `first`. Left out: there are none.
   */
  readonly deep?: readonly (DeepProjectorTensors | PartTensors)[];
  /** Of `ProjectorConfig.resampler`. */
  readonly resampler?: ResamplerTensors;
  /** Of `ProjectorConfig.fold`, first [neurons, rows · d], second [d, neurons]. */
  readonly fold?: FoldTensors;
  /** Of `ProjectorConfig.windowQueries`. */
  readonly windowQueries?: WindowQueriesTensors;
  /** Of `ProjectorConfig.layerQueries`. */
  readonly layerQueries?: readonly LayerQueriesTensors[];
  readonly norm: NormTensors | null;
  /** Of `ProjectorConfig.convolutions`. */
  readonly convolutions?: readonly GridConvolutionTensors[];
  /** [merged length] each: (x - mean) · gains, before the norm of merged rows. Left out: x. */
  readonly standard?: { readonly mean: VectorTensor; readonly gains: VectorTensor };
  /** Of `ProjectorConfig.rowStages`. */
  readonly rowStages?: readonly StageTensors[];
  /** Of `ProjectorConfig.stages`. */
  readonly stages?: readonly StageTensors[];
  /**
   * Of `ProjectorConfig.frameEpsilon`: what the last matrix reads of a line's end, [its columns],
   * what comes out before and behind an image, [outputLength] each, and the norm of all.
   */
  readonly frame?: {
    readonly lineEnd: VectorTensor;
    readonly begin: VectorTensor;
    readonly end: VectorTensor;
    readonly norm: NormTensors;
  };
  /** The file has `first` as [merged length, rows], and it says so. Left out: as it is defined. */
  readonly isFirstTransposed?: true;
  /** [neurons, merged length], or [outputLength, merged length] where it is the only one. */
  readonly first: MatrixTensor;
  /** As `first`, of two matrices. Left out: there is none. */
  readonly gate?: MatrixTensor;
  /** Of `ProjectorConfig.convolvesChannels`: [outputLength, 3, 3] and [outputLength]. */
  readonly channels?: { readonly kernels: VectorTensor; readonly bias: VectorTensor };
  /** [neurons], as `ProjectorConfig.hiddenEpsilon` says. Left out: there is no such norm. */
  readonly hiddenNorm?: NormTensors;
  /** [outputLength, neurons]; null: there is one. */
  readonly second: MatrixTensor | null;
}

/** An image or a sound, or a part of it, as it goes into a tower. */
export interface TowerInput {
  /** Rows of the step, n. */
  readonly count: number;
  /**
   * [n, PatchesConfig.length]; zeros where a row is no patch. Of `PatchesConfig.subsampling` there
   * are as many as there are frames, so that the last row may have fewer.
   */
  readonly patches: Float32Array;
  /** [n, d]: added to W · patch + b (positions, class token); null: nothing is. */
  readonly added: Float32Array | null;
  /** [n, 3]: for `RopeAxes`, and for a resampler's keys; null: nobody asks where patches are. */
  readonly positions: Int32Array | null;
  /** The first so many rows, or the last ones, reach the projector; `projectedRows` come out. */
  readonly kept: number;
  /**
   * What a second tower takes beside the rows of the first one, [kept, its d] of its own: what is
   * added to them, and rows of class tokens behind them. Left out: there is no second one.
   */
  readonly second?: Pick<TowerInput, "count" | "kept"> & { readonly added: Float32Array };
}

/**
 * What preparing images takes: part of the file of a projector. Patches are in reading order by
 * blocks of mergeSide · mergeSide (of windows, where there are some, by blocks within each), and in
 * reading order within each.
 */
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
  /** Patches on a side of a block that becomes one row between layers. Left out: none does. */
  readonly foldSide?: number;
  /** Learned positions, [count, d]; null: there are none. */
  readonly positions: {
    readonly tensor: string;
    readonly count: number;
    /** Row of the class token; patches have the others, in order. Null: there is none. */
    readonly classRow: number | null;
    /**
     * How those of the square become those of another grid; null: images are squares. "sum": half
     * of them are columns' and half are rows', and a patch has the sum of both. "spread": each
     * patch has the one of the square's at its share of the way across and down. "bilinearCentres":
     * between four, where pixels' centres meet. "bilinearTenth": the same for grids a tenth of a
     * patch larger, as Hunyuan was trained.
     */
    readonly resize:
      | ("bilinear" | "bilinearCentres" | "bilinearTenth" | "bilinearCorners" | "bicubic")
      | ("sum" | "spread")
      | null;
  } | null;
  /** Tensor of class tokens, [count, d], rows behind the patches; null: there are none. */
  readonly classTokens: string | null;
  readonly classTokenCount: number;
  /** [d]: what the tower adds to all rows, and a class token must do without; null: nothing. */
  readonly patchBias: string | null;
  /**
   * Row and column of the first patch, from which others count, where a tower asks for them
   * (numbers 1 and 2 of each three of `TowerInput.positions`; a class token's are 0); null: it
   * does not.
   */
  readonly firstPosition: 0 | 1 | null;
  /**
   * Patches on a side of a window: images are whole numbers of windows, whose patches follow one
   * another, and so do the rows that come out; null: there are no windows.
   */
  readonly windowSide: number | null;
  /** Tensors of rows before and behind an image's own, [outputLength] each. Left out: none. */
  readonly around?: { readonly begin: string; readonly end: string };
  /** A patch's pixels are in reading order, each with its colours. Left out: colour by colour. */
  readonly hasColoursLast?: true;
  /** [outputLength]: a row between the image's lines; null: there is none. */
  readonly lineBreak: string | null;
  /** Of an image that keeps its shape, pixels; null: its size is fixed. */
  readonly pixelsMin: number | null;
  readonly pixelsMax: number | null;
  /** Longest edge before an image is cut into tiles, pixels; null: the file does not say. */
  readonly longestEdge: number | null;
  /** Tiles of an image; null: the file does not say. */
  readonly tilesMin: number | null;
  readonly tilesMax: number | null;
  /** Rows that come out of a tile, whatever its size. Left out: one of each block of patches. */
  readonly tileRows?: number;
  /** Ends of lines, a begin and an end are rows, too: see `ProjectorConfig.frameEpsilon`. */
  readonly isFramed?: true;
  /** Marks around parts are those of MiniCPM-V 2.5. Left out: those of its kind. */
  readonly hasOldMarks?: true;
  /** Side of a tile, where it is another than the whole image's, pixels. Left out: the same. */
  readonly tileSize?: number;
  /** Convolutions make one row of so many rows and columns. Left out: there are none. */
  readonly convolvedSide?: number;
  /**
   * Tensor of what is behind each line of an image's parts, all of whose parts of a row are that:
   * the whole image comes first, without; lines that only have what was added around the image are
   * left out. Left out: there is none.
   */
  readonly behindParts?: string;
  /** Tensors of a row behind each line, and behind a whole image. Left out: none. */
  readonly behindLines?: { readonly line: string; readonly image: string };
  /** Tensor of a row behind a whole image. Left out: there is none. */
  readonly behindWhole?: string;
  /**
   * What a second tower is given, as of the first one; queries: [count, d] each, which ask as many
   * rows of the first tower. Left out: there is none.
   */
  readonly second?: Pick<ImageConfig, "positions" | "classTokens" | "classTokenCount"> & {
    readonly queries?: readonly { readonly tensor: string; readonly count: number }[];
  };
  /** Sizes of which the best is chosen (LLaVA 1.6), pixels; mostly none. */
  readonly gridSizes: readonly (readonly [width: number, height: number])[];
}

/** The file of a projector, read. */
export interface VisionModel {
  /** `config.patches` and `config.projector` are set. */
  readonly description: ModelDescription;
  /**
   * A tower that looks at the first numbers of the first one's rows, as many as its patches have;
   * its rows and the other numbers of these add up. Left out: there is one.
   */
  readonly second?: ModelDescription;
  readonly images: ImageConfig;
}

/** What preparing sounds takes: part of the file of a projector that hears. */
export interface SoundConfig {
  /** `clip.projector_type`: "ultravox", "qwen2a", "voxtral", … */
  readonly projector: string;
  /** Bands of a spectrogram's frame, of which there are 100 a second; 0: there is none. */
  readonly melCount: number;
  /** Samples that are a row, where there is no spectrogram. */
  readonly samplesOfRow?: number;
  /**
   * Pieces of so many frames become so many rows each, each row of `framesOfRow`, the last one of
   * what is left. Left out: two frames become one.
   */
  readonly pieces?: Pick<PlaneConfig, "frames" | "rows"> & { readonly framesOfRow: number };
  /**
   * So many frames become a row, the last one of those that are left. Left out: as `pieces` says.
   */
  readonly framesOfRow?: number;
  /**
   * Of these, each band of a whole sound is made even, by what is known or what the file has
   * (`filters`), or all are within 80 dB of its loudest. Left out: they are Gemma's.
   */
  readonly spectrum?: "even" | "given" | "loudest";
  /** Tensors [400] and [bands, 257]: a window, and what its frequencies count for in each band. */
  readonly filters?: { readonly window: string; readonly bands: string };
  /** Rows of a part: a longer sound is cut. */
  readonly rowsMax: number;
  /** Learned positions, [count, d], of a part's rows, or of a piece's; null: there are none. */
  readonly positions: { readonly tensor: string; readonly count: number } | null;
  /** Rows of the tower that become one of the text model. */
  readonly rowsOfOne: number;
  /** Queries of windows of rows come out instead. Left out: rows do. */
  readonly windows?: Pick<WindowQueriesConfig, "rows" | "queryCount">;
  /** The last row may be of fewer; otherwise what is missing at a sound's end is silence. */
  readonly isPadded: boolean;
  /** Every part is as long as there are positions, with silence behind it. */
  readonly isWhole: boolean;
  /** Tensors [outputLength]: rows before each part and behind it. Left out: none. */
  readonly around?: { readonly begin: string; readonly end: string };
}

/** The file of a projector that hears, read. */
export interface HearingModel {
  /** `config.patches` and `config.projector` are set. */
  readonly description: ModelDescription;
  readonly sounds: SoundConfig;
}
