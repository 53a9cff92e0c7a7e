import { assertEquals } from "@std/assert";
import { describeGguf, encodeGguf, parseGguf, text, u32 } from "../../src/gguf/mod.ts";
import { tinyModel } from "../support/tiny_model.ts";

function file(
  types: readonly string[],
  options: { fileType?: number; magic?: "PWRI"; name?: string; rows?: Record<string, number> } = {},
) {
  return parseGguf(encodeGguf({
    magic: options.magic,
    metadata: options.fileType === undefined ? [] : [["general.file_type", u32(options.fileType)]],
    tensors: types.map((type, index) => ({
      name: options.name ?? `t${index}`,
      type,
      dims: [256, options.rows?.[type] ?? 1],
      pieces: function* () {
        const bytes = { F32: 1024, Q4_K: 144, Q6_K: 210, Q8_0: 272 }[type]!;
        yield new Uint8Array(bytes * (options.rows?.[type] ?? 1));
      },
    })),
  }));
}

Deno.test("describeGguf() summarises a model", () => {
  const bytes = tinyModel({ type: "Q8_0" });
  assertEquals(describeGguf(parseGguf(bytes)), {
    arch: "llama",
    parameters: 2 * 512 * 64 + 2 * (64 * 64 * 2 + 64 * 32 * 2 + 3 * 64 * 96 + 2 * 64) + 64,
    quant: "Q8_0",
    context: 256,
    layers: 2,
    sparse: false,
    file_bytes: bytes.length,
    tensor_types: { Q8_0: 16, F32: 5 },
  });
});

Deno.test("describeGguf() names a mixture, and does not believe a wrong file type", () => {
  const mixture = ["Q4_K", "Q4_K", "Q6_K"];
  assertEquals(describeGguf(file(mixture, { fileType: 15 })).quant, "Q4_K_M");
  assertEquals(describeGguf(file(mixture, { fileType: 7 })).quant, "Q4_K");
  assertEquals(describeGguf(file(mixture)).quant, "Q4_K");
  assertEquals(describeGguf(file(["Q8_0"], { fileType: 15 })).quant, "Q8_0");
  assertEquals(describeGguf(file([])).quant, "none");
  // Neither most bytes nor most tensors.
  assertEquals(describeGguf(file(["F32", "F32", "Q8_0"], { rows: { Q8_0: 3 } })).quant, "Q8_0");
});

Deno.test("describeGguf() knows sparse models by their magic and by their predictors", () => {
  assertEquals(describeGguf(file(["F32"])).sparse, false);
  assertEquals(describeGguf(file(["F32"], { magic: "PWRI" })).sparse, true);
  assertEquals(describeGguf(file(["F32"], { name: "blk.0.fc1.weight" })).sparse, true);
});

Deno.test("describeGguf() takes keys of a wrong type as unsaid", () => {
  const metadata = [["general.architecture", u32(1)], ["unknown.block_count", text("2")]] as const;
  const summary = describeGguf(parseGguf(encodeGguf({ metadata, tensors: [] })));
  assertEquals([summary.arch, summary.layers, summary.context], ["unknown", null, null]);
});
