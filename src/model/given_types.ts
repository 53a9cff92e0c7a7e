/** What a model does with rows that a prompt brings along. Data only. */

/** Of images, sounds: rows in the places of embeddings. */
export interface GivenConfig {
  /** One part of a row goes in, others are added behind some layers. Left out: 1, the whole row. */
  readonly givenParts?: number;
  /** By layer: which part is added behind it; 0: none. Left out: one behind each of the first. */
  readonly partsBehind?: readonly number[];
  /** They are scaled as embeddings are. Left out: they go in as they are. */
  readonly scalesGiven?: true;
}
