/** A layer's share as it is laid, before there are places for what it keeps. */
import type { LayerPlan } from "./plan_types.ts";

/** The weights of a layer's share. */
export interface LayerWeights
  extends Omit<LayerPlan, "arena" | CacheName | StateName>, StatePlans {}

/** Places of what a layer keeps of tokens. */
export type CacheName = "keysOffsetBytes" | "valuesOffsetBytes" | "indexedKeysOffsetBytes";

/** What may keep states, without the places of these. */
type StateName = "stateSpace" | "timeMix" | "finch" | "keyDeltas" | "lightning";
export type StatePlans = {
  readonly [Name in StateName]: Omit<NonNullable<LayerPlan[Name]>, "placesOffsetBytes"> | null;
};
