/** What is special about families whose states are corrected key by key. Data only. */
import { type Differences, leading } from "./expected_parts.ts";
import { FLOORED_DELTAS, HALF_WHOLE_DELTAS, KEY_DELTAS } from "./expected_states.ts";

const KIMI_HEADS: Differences = {
  ...{ headCountKv: 1, headDim: 48, attentionScale: 1 / Math.sqrt(32) },
  latent: { length: 32, queryLength: 0, turnedDim: 16, plainDim: 16, valueDim: 16 },
};
export const KEY_DELTA_FAMILIES = {
  "bailingmoe3": {
    ...leading({ sharedFeedForwardLength: 32, gating: "sigmoid", weightScale: 2.5 }),
    ...{ ...KIMI_HEADS, attentionScale: 1 / Math.sqrt(48), gatesAttention: true },
    latent: { length: 32, queryLength: 48, turnedDim: 16, plainDim: 32, valueDim: 16 },
    blockCount: 4,
    ropes: [["norm", 16, 10000, 1]],
    stateSpace: FLOORED_DELTAS,
    layers: "s<0.5 s<0.5 0:0<0.7,0.4 s<0.6",
  },
  "kimi-k3": {
    ...leading({
      ...{ sharedFeedForwardLength: 64, gating: "sigmoid", weightScale: 2.5, latentLength: 32 },
    }),
    ...{ ...KIMI_HEADS, attentionScale: 1 / Math.sqrt(48), gatesAttention: true },
    latent: { length: 32, queryLength: 48, turnedDim: 16, plainDim: 32, valueDim: 16 },
    blockCount: 5,
    ropes: [],
    hyper: { streamCount: 4, keepsEvery: 2, rounds: 0, epsilon: 0, magnitude: 0, least: 0 },
    feedForward: {
      ...{ activation: "silu", isGated: true, activatesUp: false, firingThreshold: 0 },
      softCaps: { gate: Math.fround(0.7), up: Math.fround(1.2) },
    },
    stateSpace: HALF_WHOLE_DELTAS,
    layers: "s s 0:- s 0:-",
  },
  "kimi-linear": {
    ...leading({ sharedFeedForwardLength: 32, gating: "sigmoid", weightScale: Math.fround(2.446) }),
    ...KIMI_HEADS,
    blockCount: 4,
    ropes: [],
    stateSpace: KEY_DELTAS,
    layers: "s s 0:- s",
  },
} as const satisfies Readonly<Record<string, Differences>>;
