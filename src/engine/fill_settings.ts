/** How the answers of a model that fills in come to be. Data only. */

/** What places of a block are filled in by, the surest one first. */
export type FillOrder = "confidence" | "entropy" | "margin" | "random";

export const FILL_ORDERS: readonly FillOrder[] = ["confidence", "entropy", "margin", "random"];

export interface FillSettings {
  /** Ids of a block; at most FILL_BLOCK_MAX. */
  readonly blockTokens: number;
  /** Ids that a step puts in the place of masks. */
  readonly stepTokens: number;
  readonly order: FillOrder;
}

/**
 * A block as LLaDA's authors have it, and an id a step, by which they measure it: more are as many
 * times as fast, and chosen without a look at each other.
 */
export const FILL_DEFAULTS: FillSettings = { blockTokens: 32, stepTokens: 1, order: "confidence" };
