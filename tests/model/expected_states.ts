/** Shapes of the states of tiny families. Data only. */
import type { StateSpaceConfig } from "../../src/model/mod.ts";
import { type Differences, WIDE_NEOX } from "./expected_parts.ts";

export const CHANNELS: StateSpaceConfig = {
  kind: "channels",
  taps: 4,
  innerLength: 128,
  stateLength: 16,
  headCount: 128,
  groupCount: 1,
  headsTakeTurns: false,
  stepRank: 32,
  normalizesInputs: false,
};
export const HEADS: StateSpaceConfig = {
  ...CHANNELS,
  kind: "heads",
  headCount: 8,
  groupCount: 2,
  stepRank: 0,
};
/** PLaMo 2's. */
export const PLAMO2: Differences = {
  ...{ ...WIDE_NEOX, blockCount: 4 },
  stateSpace: {
    ...{ ...CHANNELS, kind: "channelHeads" },
    ...{ innerLength: 96, headCount: 6, stepRank: 64 },
  },
  layers: "0:0 s 0:0 s",
};
export const DELTAS: StateSpaceConfig = {
  ...HEADS,
  kind: "deltas",
  innerLength: 192,
  stateLength: 32,
  headCount: 6,
  headsTakeTurns: true,
};

/** RWKV-7's, and what ARWKV has otherwise. */
export const KEYED: StateSpaceConfig = {
  ...CHANNELS,
  kind: "keyed",
  taps: 2,
  stateLength: 64,
  headCount: 2,
  groupCount: 2,
  stepRank: 24,
  timeMix: {
    width: 128,
    shiftsNeurons: true,
    ranks: { decay: 8, rate: 12, value: 20, gate: 24 },
  },
};

export const KEY_DELTAS: StateSpaceConfig = {
  ...CHANNELS,
  kind: "keyDeltas",
  innerLength: 96,
  stateLength: 24,
  headCount: 4,
  groupCount: 4,
  stepRank: 24,
};

/** Ling 3's. */
export const FLOORED_DELTAS: StateSpaceConfig = { ...KEY_DELTAS, stepRank: 0, decayFloor: -5 };

/** Kimi K3's. */
export const HALF_WHOLE_DELTAS: StateSpaceConfig = { ...KEY_DELTAS, decayFloor: -5 };

/** RWKV-6's. */
export const ADDED: StateSpaceConfig = {
  ...KEYED,
  kind: "added",
  stepRank: 60,
  timeMix: {
    width: 128,
    shiftsNeurons: true,
    ranks: { decay: 20, rate: 0, value: 0, gate: 0 },
    moved: { rank: 12, keyHeads: 2, readsBefore: true },
  },
};
