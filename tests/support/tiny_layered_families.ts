/** Tiny models whose layers differ, said as in tiny_families.ts, which has them all. */
import { f32, u32 } from "../../src/gguf/mod.ts";
import type { TinyFamily } from "./tiny_family.ts";

const GEMMA4: TinyFamily = {
  architecture: "gemma4",
  headDim: 32,
  tied: true,
  embeddingScale: 8,
  postNorms: true,
  headNorms: "shared",
};

/**
 * Of what a file of Gemma 3n says llama.cpp takes some for granted: lengths of layers' inputs and
 * of what goes around attention, 20 layers with keys, 10 whose gates are cut off.
 */
export const GEMMA3N_OF_LLAMA_CPP: Partial<TinyFamily> = {
  blockCount: 22,
  layered: {
    windowed: Array.from({ length: 22 }, (_, layer) => layer % 5 < 4),
    windowedDim: 32,
    ...{ sharing: 2, keepsKeys: true },
    inputLength: 256,
    altUp: {
      streams: 4,
      rank: 64,
      cutoffs: Array.from(
        { length: 22 },
        (_, layer) => layer < 10 ? 1.6448533535003662 : -Infinity,
      ),
    },
  },
  keys: { "rope.freq_base": f32(1e6), "final_logit_softcapping": f32(30) },
};

/** Families, and after a dash forms of them. */
export const LAYERED_FAMILIES = {
  "gemma4": {
    ...GEMMA4,
    blockCount: 6,
    layered: {
      windowed: [true, true, false, true, true, false],
      windowedDim: 16,
      neurons: [96, 96, 96, 192, 192, 192],
      sharing: 3,
      inputLength: 32,
    },
    keys: { "rope.freq_base": f32(1e6), "final_logit_softcapping": f32(3) },
  },
  "gemma4-moe": {
    ...GEMMA4,
    blockCount: 4,
    experts: {
      count: 6,
      used: 3,
      length: 32,
      shared: 96,
      isPlain: true,
      isApart: true,
      isFused: true,
    },
    layered: {
      windowed: [true, true, false, true],
      windowedDim: 16,
      headsKv: [2, 2, 1, 2],
      valuesAreKeys: true,
    },
    keys: {
      "rope.freq_base": f32(1e6),
      "final_logit_softcapping": f32(3),
      "feed_forward_length": u32(96),
      "expert_feed_forward_length": u32(32),
    },
  },
  "gemma3n": {
    ...GEMMA4,
    architecture: "gemma3n",
    blockCount: 6,
    layered: {
      windowed: [true, true, false, true, true, false],
      windowedDim: 32,
      sharing: 3,
      inputLength: 32,
      altUp: { streams: 4, rank: 10, cutoffs: [1, 0, -Infinity, 0.5, -Infinity, -Infinity] },
    },
    keys: { "rope.freq_base": f32(1e6), "final_logit_softcapping": f32(3) },
  },
} as const satisfies Readonly<Record<string, TinyFamily>>;
