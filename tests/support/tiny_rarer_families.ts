/**
 * Still more of what tests make tiny models of, said as in tiny_families.ts, which has them all:
 * families that have something of their own, which few others need.
 */
import { bool, u32 } from "../../src/gguf/mod.ts";
import type { TinyFamily } from "./tiny_family.ts";
import { LEADING, LEADING_KEYS } from "./tiny_family_parts.ts";

/** Families, and after a dash forms of them. */
export const RARER_FAMILIES = {
  "afmoe": {
    blockCount: 5,
    headDim: 24,
    headNorms: "shared",
    postNorms: true,
    gates: "apart",
    experts: { ...LEADING, hasChoiceBias: true },
    keys: {
      ...LEADING_KEYS,
      "attention.sliding_window": u32(8),
      "expert_weights_norm": bool(true),
    },
  },
  "bitnet": { tied: true, innerNorms: true },
  "bitnet-b1.58": { innerNorms: true },
} as const satisfies Readonly<Record<string, TinyFamily>>;
