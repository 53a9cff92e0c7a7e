/** How a model answers a source (an encoder and a decoder, as T5 is): part of types.ts. */

/** Its first layers read the source; of the others two in a row are a block that writes. */
export interface SourceConfig {
  readonly readingLayers: number;
  /** What an answer begins with, and no source has a use for. */
  readonly startId: number;
}
