/** What goes into preparing images, and what comes out. Data only. */
import type { TowerInput } from "../model/vision_types.ts";

/** Pixels of an image or of a part of it, in memory that it may share with others. */
export interface Raster {
  readonly width: number;
  readonly height: number;
  readonly bytes: Uint8Array;
  /** Where the first pixel of the uppermost row is. */
  readonly start: number;
  /** From a row to the one below; below 0 where they are stored from the bottom up. */
  readonly rowStride: number;
  readonly pixelStride: number;
  /**
   * [height, width, 3]: colours that are normalised already, R, G and B, in the place of what
   * `bytes` has. Left out: the bytes are the colours.
   */
  readonly values?: Float32Array;
  /** Where R, G and B are in a pixel; of grey ones in the same place. */
  readonly channels: readonly [red: number, green: number, blue: number];
}

/** Tensors of a projector's file that `ImageConfig` names, in floats; null where it names none. */
export interface ImageTables {
  /** [count, d] */
  readonly positions: Float32Array | null;
  /** [count, d] */
  readonly classTokens: Float32Array | null;
  /** [d] */
  readonly patchBias: Float32Array | null;
  /** Of `SoundConfig.filters`. Left out: there are none. */
  readonly filters?: { readonly window: Float32Array; readonly bands: Float32Array };
  /** Of `ImageConfig.second`. Left out: there is none. */
  readonly second?: Pick<ImageTables, "positions" | "classTokens"> & {
    readonly queries?: readonly Float32Array[];
  };
}

/** Rows of a text model's stream, in the order they stand in a prompt. */
export interface PreparedRows {
  readonly first: number;
  readonly count: number;
  /** Of rows that a text model places in two dimensions; null: as text has them. */
  readonly grid: {
    readonly rows: number;
    readonly columns: number;
    /** See `RowGrid`. */
    readonly isFramed?: true;
  } | null;
}

/** A part of what an image is in a prompt. */
export type LayoutPart =
  /** Special tokens in it are meant. */
  | { readonly text: string }
  /** Rows that the tower makes of a tile: row i is its `order[i]`; left out: its i. */
  | PreparedRows & { readonly tile: number; readonly order?: Int32Array }
  /** Rows that a tensor of the file has. */
  | PreparedRows & {
    readonly tensor: string;
    /** All parts of a row are that. Left out: the tensor has rows whole. */
    readonly isRepeated?: true;
  };

/** An image, ready for a tower. */
export interface PreparedImage {
  /** What the tower is to look at, one after the other. */
  readonly tiles: readonly TowerInput[];
  /** Its rows attend to each other both ways. */
  readonly seesAll: boolean;
  readonly layout: readonly LayoutPart[];
}
