import { assert, assertLess } from "@std/assert";
import { errorOf, prepareWays } from "./e0m4_floats.ts";

Deno.test("prepareWays() has ways that all compute the product that they are timed for", async () => {
  const { ways, exact } = await prepareWays(128, 768);
  const computing = ways.filter((way) => way.out().length > 0);
  assert(computing.length > 1, `${computing.length} ways compute`);
  for (const { name, run, out } of computing) {
    out().fill(NaN);
    run();
    // Of int8 products, activations are rounded.
    assertLess(errorOf(out(), exact), name.startsWith("int8") ? 1e-4 : 1e-8, name);
  }
});
