/** How layers with windows take turns with others, as a family says: part of family.ts. */
import type { RopeConfig } from "./types.ts";

/** Layers with and without a window, in turns. */
export interface AlternatingWindows {
  /** Of so many layers in a row one sees everything, where the file does not say. */
  readonly period: number;
  /** Which of them. */
  readonly globalLayer: "first" | "last";
  /** Tokens that the others see, where the file does not say; 0: then all layers see everything. */
  readonly defaultLength: number;
  /** Base of the windowed layers where the file names none; null: that of the others. */
  readonly localRopeBase: number | null;
  /** Stretching the context stretches the windowed layers, too. */
  readonly scalesLocalRope: boolean;
  /** Layers that see everything know no positions. */
  readonly globalIsUnrotated: boolean;
  /** Windows do not slide: tokens see those of their own chunk. Left out: they do. */
  readonly areChunks?: boolean;
  /** Of queries of layers that know no positions. Left out: they are as long as ever. */
  readonly temperature?: NonNullable<RopeConfig["temperature"]>;
  /** But those before mixtures do. Left out: they do not. */
  readonly rotatesLeading?: boolean;
  /** Layers that see everything turn half of the dimensions that the file says. Left out: all. */
  readonly globalTurnsHalf?: true;
  /** Windowed layers turn so many dimensions as a key "…_swa" says. Left out: as many as others. */
  readonly haveOwnRotation?: true;
  /**
   * Heads of windowed layers have a width of their own, keys "…_swa", and no rotary factors. Left
   * out: they are like the others.
   */
  readonly haveOwnHeads?: boolean;
}
