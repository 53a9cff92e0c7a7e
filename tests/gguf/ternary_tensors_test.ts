import { assertEquals, assertThrows } from "@std/assert";
import { ModelFormatError } from "../../src/base/errors.ts";
import { describeGguf } from "../../src/gguf/describe.ts";
import { parseGguf, TensorReader } from "../../src/gguf/mod.ts";
import { dequantize } from "../../src/model/mod.ts";
import { ternaryTwins } from "../support/ternary_model.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { entry, rawGguf, tensor, TYPE, u32 } from "./raw_gguf.ts";

/** By the type that they are read as: rows of 256 and 512, and rows of 192 and 320. */
const WIDTHS = {
  TQ2_0: { embeddingLength: 256, feedForwardLength: 512 },
  Q2_0: { embeddingLength: 192, feedForwardLength: 320 },
};

for (const [type, widths] of Object.entries(WIDTHS)) {
  Deno.test(`parseGguf() has I2_S as tensors of ${type} with the floats' weights`, () => {
    const { i2s, floats } = ternaryTwins(
      tinyModel({ architecture: "bitnet", ...widths, vocabSize: 384 }),
    );
    const file = parseGguf(i2s), expected = parseGguf(floats);
    using reader = TensorReader.ofBytes(i2s);
    using expectedReader = TensorReader.ofBytes(floats);
    let count = 0;
    for (const [name, own] of file.tensors) {
      const bytes = reader.readAll(own);
      const twin = expectedReader.readAll(expected.tensors.get(name)!);
      assertEquals(dequantize(own.type, bytes), dequantize("F32", twin), name);
      if (own.ternary === undefined) continue;
      count++;
      assertEquals([own.type, own.ternary.type], [type, "I2_S"], name);
      // From within a block to within another one, and within one.
      for (const [begin, end] of [[39, bytes.length - 11], [67, 70], [bytes.length - 2]]) {
        const piece = new Uint8Array((end ?? bytes.length) - begin);
        reader.read(own, begin, piece);
        assertEquals(piece, bytes.slice(begin, end), `${name} from ${begin}`);
      }
    }
    assertEquals(count, 14);
    const { quant, tensor_types } = describeGguf(file);
    assertEquals([quant, tensor_types.I2_S], ["I2_S", 14]);
  });
}

Deno.test("a tensor of I2_S is read beyond what is read of a file at once", () => {
  const widths = { embeddingLength: 1024, feedForwardLength: 1280, blockCount: 1 };
  const { i2s, floats } = ternaryTwins(
    tinyModel({ architecture: "bitnet", ...widths, vocabSize: 384 }),
  );
  const name = "blk.0.ffn_up.weight";
  const weightsOf = (bytes: Uint8Array) => {
    using reader = TensorReader.ofBytes(bytes);
    const own = parseGguf(bytes).tensors.get(name)!;
    return dequantize(own.type, reader.readAll(own));
  };
  assertEquals(weightsOf(i2s), weightsOf(floats));
});

for (const [type, widths] of Object.entries(WIDTHS)) {
  Deno.test(`a code of 3 is a weight of 0, as ${type}`, () => {
    const { i2s, floats } = ternaryTwins(tinyModel({ architecture: "bitnet", ...widths }));
    const name = "blk.0.ffn_up.weight";
    const own = parseGguf(i2s).tensors.get(name)!, twin = parseGguf(floats).tensors.get(name)!;
    // Byte 0: of weights 0 and 64; byte 1: of weights 33 and 97.
    i2s[own.ternary!.offsetBytes] |= 0xcc;
    i2s[own.ternary!.offsetBytes + 1] |= 0x33;
    using reader = TensorReader.ofBytes(i2s);
    using floatReader = TensorReader.ofBytes(floats);
    const expected = dequantize("F32", floatReader.readAll(twin)).slice();
    for (const at of [0, 64, 33, 97]) expected[at] = 0;
    assertEquals(dequantize(own.type, reader.readAll(own)), expected);
  });
}

/** Halfway between two numbers of 16 bits, as far from either as no larger one is. */
const BETWEEN = 700.5 * 2 ** -24;

for (
  const [what, factor] of [
    ...[["NaN", NaN], ["too large", 1e6], ["too small", 1e-8], ["rounded", BETWEEN]] as const,
  ]
) {
  Deno.test(`reading a tensor of I2_S refuses a factor that is ${what}`, () => {
    const { i2s } = ternaryTwins(tinyModel({ architecture: "bitnet", ...WIDTHS.TQ2_0 }));
    const own = parseGguf(i2s).tensors.get("blk.0.ffn_up.weight")!;
    const { offsetBytes, sizeBytes } = own.ternary!;
    new DataView(i2s.buffer).setFloat32(offsetBytes + sizeBytes - 32, factor, true);
    using reader = TensorReader.ofBytes(i2s);
    const error = assertThrows(() => reader.readAll(own), ModelFormatError, "its factor is");
    assertEquals(error.offsetBytes, offsetBytes + sizeBytes - 32);
  });
}

const I2_S = 36;
// Of 256 weights: 64 bytes and a tail of 32.
for (
  const [what, tensors, dataBytes, says] of [
    ["rows that end within a block", [{ dims: [96, 4], type: I2_S }], 128, "96 elements, blocks"],
    ["half a group", [{ dims: [64, 3], type: I2_S }], 96, "192 weights are no multiple of 128"],
    ["a tail that is missing", [{ dims: [128, 2], type: I2_S }], 64, "it ends at byte"],
    // IQ4_NL_4_4 of 2024: 18 bytes for 32 weights.
    ["a size of IQ4_NL_4_4", [{ dims: [128, 2], type: I2_S }], 144, "its size that of IQ4_NL_4_4"],
    [
      "a size of IQ4_NL_4_4 in front of another tensor",
      [{ dims: [128, 2], type: I2_S }, { name: "b", offset: 160 }],
      192,
      "its size that of IQ4_NL_4_4: convert the model",
    ],
  ] as const
) {
  Deno.test(`parseGguf() refuses a tensor of I2_S with ${what}`, () => {
    const bytes = rawGguf({ tensors: tensors.map(tensor), dataBytes });
    assertThrows(() => parseGguf(bytes), ModelFormatError, says);
  });
}

for (const alignment of [32, 64]) {
  Deno.test(`parseGguf() takes I2_S by ${alignment} bytes, the last one not padded`, () => {
    const own = { dims: [128, 2], type: I2_S };
    const offset = Math.ceil(96 / alignment) * alignment;
    const bytes = rawGguf({
      entries: [entry("general.alignment", TYPE.u32, u32(alignment))],
      tensors: [tensor(own), tensor({ ...own, name: "b", offset })],
      ...{ dataBytes: offset + 96, alignment },
    });
    assertEquals([...parseGguf(bytes).tensors.values()].map((of) => [of.type, of.sizeBytes]), [
      ["Q2_0", 72],
      ["Q2_0", 72],
    ]);
  });
}
