/** Shaders that do the same, of which one adapter does the one faster and one the other. */
import { type Feature, needsOf, type ProductName } from "./kernels.ts";

/** All shaders for a job; the first one runs everywhere. */
export const VARIANTS = {
  matmul_byte: ["matmul_byte", "matmul_int8"],
  matmul_float: ["matmul_float", "matmul_float_wide"],
  matmul_nibble: ["matmul_nibble", "matmul_nibble_f16", "matmul_int8"],
  matvec_byte: ["matvec_byte", "matvec_byte_subgroups", "matvec_int8", "matvec_int8_subgroups"],
  matvec_float: ["matvec_float", "matvec_float_rows"],
  matvec_nibble: [
    "matvec_nibble",
    "matvec_nibble_subgroups",
    "matvec_int8",
    "matvec_int8_subgroups",
  ],
} as const satisfies Readonly<Record<string, readonly ProductName[]>>;

/** A job with several shaders. */
export type TunedKernel = keyof typeof VARIANTS;

/** The shader for each job. */
export type KernelVariants = Readonly<Record<TunedKernel, ProductName>>;

/** What runs everywhere. */
export const PLAIN_VARIANTS: KernelVariants = {
  matmul_byte: "matmul_byte",
  matmul_float: "matmul_float",
  matmul_nibble: "matmul_nibble",
  matvec_byte: "matvec_byte",
  matvec_float: "matvec_float",
  matvec_nibble: "matvec_nibble",
};

/** Those shaders for a job that an adapter with these features can run. */
export function usableVariants(
  kernel: TunedKernel,
  has: ReadonlySet<Feature>,
): readonly ProductName[] {
  return VARIANTS[kernel].filter((name) => {
    return needsOf(name).every((feature) => has.has(feature));
  });
}
