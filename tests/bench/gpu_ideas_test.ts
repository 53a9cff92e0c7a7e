import { assert, assertEquals } from "@std/assert";
import { KERNEL_LIST, type KernelName } from "../../gpu/kernels.ts";
import { listIdeas, workgroupBytesOf } from "./gpu_ideas.ts";

/** Of a product with 4,096 columns and of one with 14,336. */
const PIECES = [128, 448];
/** Shaders that a card takes for one token. */
const TAKEN = /_int8_subgroups$|^attention_/;

Deno.test("listIdeas() are about shaders that there are, and change them", () => {
  for (const { name, kernels, change } of listIdeas()) {
    const changed = PIECES.map((PIECES) => {
      const constants = { PIECES, SIDE: 8, CHUNK: 32, CHUNKS: 64 };
      const all = (Object.keys(KERNEL_LIST) as KernelName[])
        .filter((kernel) => kernel.startsWith(kernels) && TAKEN.test(kernel));
      assert(all.length > 0, `${name}: there is no ${kernels}`);
      return all.map((kernel) => {
        const { text } = KERNEL_LIST[kernel];
        const own = change(text, constants, kernel);
        if (own !== null) assert(own.text !== text || own.constants !== undefined, name);
        return own;
      });
    });
    assert(changed.flat().some((own) => own !== null), `${name} is for no product`);
  }
});

Deno.test("workgroupBytesOf() counts what a shader has, by its constants", () => {
  const text = `override ROOM: u32 = 1;
const LANES = 64u;
var<workgroup> a: array<vec4<f32>, ROOM>;
var<workgroup> b: array<f32, LANES>;
var<workgroup> c: array<vec2<u32>, 3>;
var<workgroup> d: atomic<u32>;
`;
  assertEquals(workgroupBytesOf(text, {}), 16 + 256 + 24 + 4);
  assertEquals(workgroupBytesOf(text, { ROOM: 5 }), 80 + 256 + 24 + 4);
});
