import { assert, assertNotEquals } from "@std/assert";
import { KERNEL_LIST, type KernelName } from "../../gpu/kernels.ts";
import { listIdeas } from "./gpu_ideas.ts";

/** Of a product with 4,096 columns and of one with 14,336. */
const PIECES = [128, 448];

Deno.test("listIdeas() are about shaders that there are, and change them", () => {
  for (const { name, kernels, change } of listIdeas()) {
    const changed = PIECES.map((PIECES) => {
      const { text } = KERNEL_LIST[`${kernels}_int8_subgroups` as KernelName];
      const own = change(text, { PIECES, SIDE: 8 });
      if (own !== null) assertNotEquals(own.text, text, name);
      return own;
    });
    assert(changed.some((own) => own !== null), `${name} is for no product`);
  }
});
