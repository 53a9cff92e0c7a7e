/**
 * Still more of what tests make tiny models of, said as in tiny_families.ts, which has them all:
 * families that have something of their own, which few others need.
 */
import type { TinyFamily } from "./tiny_family.ts";

/** Families, and after a dash forms of them. */
export const RARER_FAMILIES = {
  "bitnet": { tied: true, innerNorms: true },
  "bitnet-b1.58": { innerNorms: true },
} as const satisfies Readonly<Record<string, TinyFamily>>;
