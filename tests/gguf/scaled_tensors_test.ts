import { assertEquals } from "@std/assert";
import { encodeGguf, parseGguf, TensorReader, u32 } from "../../src/gguf/mod.ts";
import { describeGguf } from "../../src/gguf/describe.ts";
import { dequantize } from "../../src/model/mod.ts";
import { Rng } from "../support/rng.ts";

const ROW_BYTES = 72;

/** A file with a matrix [2, 128] and experts [3, 2, 128] of NVFP4, and tensors beside them. */
function file(beside: Readonly<Record<string, number[]>>): Uint8Array {
  const rng = new Rng(1);
  const blocks = (rows: number) =>
    Uint8Array.from({ length: rows * ROW_BYTES }, () => rng.int(120));
  const [matrix, experts] = [blocks(2), blocks(6)];
  return encodeGguf({
    metadata: [["general.alignment", u32(32)]],
    tensors: [
      { name: "a.weight", type: "NVFP4", dims: [128, 2], pieces: () => [matrix] },
      { name: "b.weight", type: "NVFP4", dims: [128, 2, 3], pieces: () => [experts] },
      ...Object.entries(beside).map(([name, values]) => ({
        ...{ name, type: "F32", dims: [values.length] },
        pieces: () => [new Uint8Array(Float32Array.from(values).buffer)],
      })),
    ],
  });
}

Deno.test("parseGguf() has NVFP4 with the factors that lie beside it, read as one tensor", () => {
  const bytes = file({ "a.scale": [0.5], "b.scale": [2, -4, 8], "a.input_scale": [3] });
  const { tensors } = parseGguf(bytes);
  assertEquals([...tensors.keys()], ["a.weight", "b.weight"]);
  using reader = TensorReader.ofBytes(bytes);
  for (const [name, factors] of [["a.weight", [0.5]], ["b.weight", [2, -4, 8]]] as const) {
    const tensor = tensors.get(name)!;
    const plain = dequantize("NVFP4", reader.readAll(tensor.scaled!.base));
    const own = plain.length / factors.length;
    const expected = plain.map((x, i) => factors[Math.floor(i / own)] * x);
    const all = reader.readAll(tensor);
    assertEquals(dequantize(tensor.type, all), expected, name);
    // From within a block to within another one.
    const piece = new Uint8Array(all.length - 50);
    reader.read(tensor, 39, piece);
    assertEquals(piece, all.slice(39, all.length - 11), name);
  }
});

Deno.test("parseGguf() leaves factors that are for something else", () => {
  const { tensors } = parseGguf(file({ "a.scale": [1, 2], "b.scale": [1, 2], "c.scale": [1] }));
  assertEquals([...tensors.keys()], ["a.weight", "b.weight", "a.scale", "b.scale", "c.scale"]);
  assertEquals(tensors.get("a.weight")?.type, "NVFP4");
});

Deno.test("describeGguf() calls NVFP4 with factors by its name", () => {
  const { quant } = describeGguf(parseGguf(file({ "a.scale": [0.5], "b.scale": [1] })));
  assertEquals(quant, "NVFP4");
});
