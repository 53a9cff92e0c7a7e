/** What the autotune would have kept of an adapter that does best what real GPUs do best. */
import { adapterKey, TUNING_VERSION } from "../../gpu/mod.ts";

const VARIANTS = {
  ...{ matmul_byte: "matmul_int8", matmul_nibble: "matmul_int8" },
  ...{ matvec_byte: "matvec_int8", matvec_nibble: "matvec_int8" },
  ...{ matmul_float: "matmul_float_wide", matvec_float: "matvec_float_rows" },
};

/** Other numbers than the usual ones. */
const ROW_LANES = { heads: 16, gated: 8, joined: 8 };

/** Text for `tuneKernels`: inputs in 8 bits and integer products, larger tiles of floats. */
export function tunedAsReal(adapter: Parameters<typeof adapterKey>[0]): string {
  const kept = {
    adapter: adapterKey(adapter),
    version: TUNING_VERSION,
    variants: VARIANTS,
    rowLanes: ROW_LANES,
    endsByLast: false,
  };
  return JSON.stringify(kept);
}
