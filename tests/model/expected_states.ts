/** Shapes of the states of tiny families. Data only. */
import type { StateSpaceConfig } from "../../src/model/mod.ts";
import { type Differences, experts, WIDE_NEOX } from "./expected_parts.ts";

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
const PLAMO2: Differences = {
  ...{ ...WIDE_NEOX, blockCount: 4 },
  stateSpace: {
    ...{ ...CHANNELS, kind: "channelHeads" },
    ...{ innerLength: 96, headCount: 6, stepRank: 64 },
  },
  layers: "0:0 s 0:0 s",
};
const BARBET: Differences = {
  ...{ ...WIDE_NEOX, blockCount: 4 },
  stateSpace: HEADS,
  layers: "0:0 s 0:0 s",
};
/** Sums whose stream counts 2.5 times as much are normalised as 2/5 of them are. */
const MINIMAX_01: Differences = {
  ...{ ...WIDE_NEOX, ...experts({}), blockCount: 4 },
  ropes: [["neox", 12, 10000, 1]],
  residualScale: 0.4,
  norm: { kind: "rms", epsilon: Math.fround(0.2), postEpsilon: Math.fround(0.2) / 2.5 ** 2 },
  normalizesSums: true,
  stateSpace: {
    ...{ ...HEADS, kind: "lightning", taps: 1 },
    ...{ innerLength: 96, stateLength: 24, headCount: 4, groupCount: 4 },
  },
  layers: "s s 0:0 s",
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
export const QWEN35: Differences = {
  blockCount: 4,
  headDim: 32,
  attentionScale: 1 / Math.sqrt(32),
  gatesAttention: true,
  ropes: [["neox", 16, 10000, 1]],
  stateSpace: DELTAS,
  layers: "s 0:0 s 0:0",
};
/** What Qwen 4 has beside Qwen 3.5, but for experts; multipliers by 16 bits, the lowest first. */
export const QWEN4: Differences = {
  ...{ ...QWEN35, stateSpace: { ...DELTAS, gatesBySigmoid: true } },
  gatedStreams: { streamCount: 3, rank: 24 },
  groupIndexer: { headCount: 8, headDim: 32, keyCount: 8 },
  ngrams: {
    ...{ layer: 0, length: 3, rowLength: 16, endToken: 72, givenToken: 72, taps: 3 },
    multipliers: Float64Array.of(
      ...[0x7c15, 0x7f4a, 0x79b9, 0x9e37, 0xeb4f, 0x27d4, 0xae3d, 0xc2b2],
      ...[0x79f9, 0x9e37, 0x67b1, 0x1656],
    ),
    heads: [0, 1, 2, 3].map((head) => ({ start: 40 * head, count: 61 - head })),
    tableRows: 178,
  },
};

const MAMBA: Differences = {
  ...{ headCount: 0, headCountKv: 0, headDim: 0, feedForwardLength: 0 },
  attentionScale: 1,
  ropes: [],
  layers: "s- s-",
};

/** Of some families. */
export const EXPECTED_STATES = {
  "mamba": { ...MAMBA, tiedEmbeddings: true, stateSpace: CHANNELS },
  "mamba-falcon": { ...MAMBA, stateSpace: { ...CHANNELS, normalizesInputs: true } },
  "mamba2": { ...MAMBA, stateSpace: HEADS },
  "plamo2": PLAMO2,
  "barbet": BARBET,
  "minimax-01": MINIMAX_01,
};
