/** Neurons of a packed file on a GPU: which numbers of down are kept in 16 bits. */
import { assertThrows } from "@std/assert";
import { UnsupportedModelError } from "../../src/base/errors.ts";
import { checkHalves } from "../../src/rank/gpu/unit_weights.ts";

Deno.test("checkHalves() refuses what halves cannot hold, and what they would round away", () => {
  const check = (from: string, ...values: number[]) =>
    checkHalves(Float32Array.from(values), { tensor: "blk.3.ffn_down_exps.weight", from });
  check("Q4_0", 65504, -65504, 0);
  check("MXFP4", 0, 0);
  check("MXFP4", -(2 ** -10), 2 ** -40);
  // Scales of other types are halves themselves.
  check("Q4_0", 2 ** -24);
  assertThrows(() => check("Q8_0", 1, -65536), UnsupportedModelError, "beyond 65504: load");
  assertThrows(() => check("MXFP4", 2 ** 17, 0), UnsupportedModelError, "beyond 65504");
  assertThrows(() => check("MXFP4", 0, 2 ** -11), UnsupportedModelError, '"blk.3.ffn_down_exps');
});
