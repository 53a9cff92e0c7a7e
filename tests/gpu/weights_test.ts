/** Re-encoded weights, without a GPU: they are the file's, to the last bit. */
import { assertEquals, assertThrows } from "@std/assert";
import {
  GPU_TYPES,
  GpuOutOfMemoryError,
  matrixBuffers,
  matrixBytes,
  weightFormat,
} from "../../gpu/mod.ts";
import { encodeBlocks, type Encoded } from "../../gpu/weights/encode.ts";
import {
  type CodeFormat,
  pieceColumns,
  rowBytes,
  type WeightFormat,
} from "../../gpu/weights/formats.ts";
import { dequantize } from "../../src/model/mod.ts";
import { encodeWeights } from "../../src/quantize/mod.ts";
import { FLAVOURS, randomBlocks } from "../kernels/data.ts";
import { Rng } from "../support/rng.ts";
import { normals } from "./cases/compare.ts";
import { weightsOf } from "./cases/weights.ts";
import { isQuantType, isWeightType } from "../../src/rank/plan/weight_types.ts";

const COLUMNS = 512;
const ROWS = 3;

/** By the codes of kernels/parts/levels.wgsl; no FP4 number has code 2. */
const LEVELS_OF = {
  counted: Array.from({ length: 16 }, (_, code) => code),
  fp4: [0, 16, NaN, 18, 4, 20, 6, 24, 8, 9, 10, 11, 12, 13, 14, 15],
  iq4: [1, 25, 38, 53, 69, 89, 13, 113, -127, -104, -83, -65, -49, -35, -22, -10],
  iq3: [0, 5, 9, 13, 17, 21, 25, 29, 33, 37, 41, 45, 49, 53, 57, 62],
  iq2: [0, 17, 18, 35, 51, 68, 69, 86],
  iq1: [0, 2, 8, 10, 16, 18],
};

/** What a shader makes of codes and factors, in f64 and rounded once. */
function decode({ codes, factors }: Encoded, format: WeightFormat, count: number): Float32Array {
  if (format.family === "float") {
    const { buffer } = codes;
    if (format.kind === "f32") return new Float32Array(buffer);
    if (format.kind === "f16") return Float32Array.from(new Float16Array(buffer));
    return new Float32Array(Uint32Array.from(new Uint16Array(buffer), (w) => w << 16).buffer);
  }
  const { family, group, middle } = format;
  const factorsOf = format.factors.startsWith("super")
    ? superFactors(factors, format)
    : ownFactors(factors, format);
  return Float32Array.from({ length: count }, (_, i) => {
    const [scale, offset = -middle * scale] = factorsOf(Math.floor(i / group));
    if (family === "byte") return scale * (codes[i] << 24 >> 24) + offset;
    const byte = codes[(i & ~31) / 2 + (i & 15)];
    return scale * LEVELS_OF[format.levels][i & 16 ? byte >> 4 : byte & 15] + offset;
  });
}

type FactorsOf = (group: number) => [scale: number, offset?: number];

/** Of groups that have their own. */
function ownFactors({ buffer }: Encoded["factors"], { factors }: CodeFormat): FactorsOf {
  const numbers = factors.endsWith("16") ? new Float16Array(buffer) : new Float32Array(buffer);
  return factors.startsWith("pair")
    ? (group) => [numbers[2 * group], numbers[2 * group + 1]]
    : (group) => [numbers[group]];
}

/** Of superblocks: both f16s, then of each of 8 or 16 groups a byte, or two, or halves of one. */
function superFactors({ buffer }: Encoded["factors"], of: CodeFormat): FactorsOf {
  const view = new DataView(buffer);
  const groups = 256 / of.group;
  const isPair = of.factors === "superPair";
  const bytes = 4 + (isPair ? 16 : groups);
  return (group) => {
    const at = Math.floor(group / groups) * bytes;
    const i = group % groups;
    const scale = view.getFloat16(at, true);
    if (!isPair) return [scale * of.unit * view.getInt8(at + 4 + i)];
    const offset = view.getFloat16(at + 2, true);
    if (groups === 8) {
      return [scale * view.getUint8(at + 4 + 2 * i), offset * view.getUint8(at + 5 + 2 * i)];
    }
    const both = view.getUint8(at + 4 + i);
    return [scale * (both & 15), offset * (both >> 4)];
  };
}

Deno.test("encodeBlocks() keeps every weight of every type to the last bit", () => {
  for (const type of GPU_TYPES) {
    const { bytes } = weightsOf(type, ROWS, COLUMNS, 1);
    const format = weightFormat(type, COLUMNS);
    if (!format) throw new Error(`no format for ${type}`);
    const encoded = encodeBlocks(type, bytes, format);
    const expected = dequantize(type, bytes);
    const zeros = (value: number) => value === 0 ? 0 : value; // −0 and 0 are the same weight
    assertEquals(decode(encoded, format, expected.length).map(zeros), expected.map(zeros), type);
    const { length } = encoded.codes;
    assertEquals(length + encoded.factors.length, matrixBytes(type, ROWS, COLUMNS), type);
  }
});

Deno.test("encodeBlocks() keeps every weight of blocks at the edges of what they hold", () => {
  const rng = new Rng(11);
  for (const type of GPU_TYPES) {
    if (!isWeightType(type) || !isQuantType(type)) continue;
    for (const flavour of FLAVOURS) {
      const { bytes, weights } = randomBlocks(rng, type, COLUMNS, flavour);
      const format = weightFormat(type, COLUMNS)!;
      const decoded = decode(encodeBlocks(type, bytes, format), format, weights.length);
      const zeros = (value: number) => value === 0 ? 0 : value;
      assertEquals(decoded.map(zeros), weights.map(zeros), `${type} ${flavour}`);
    }
  }
});

Deno.test("encodeBlocks() keeps all numbers of MXFP4 and IQ4, at either half of a byte", () => {
  const pairs = Array.from({ length: 16 }, (_, code) => code | (15 - code) << 4);
  for (
    const [type, ...scales] of [["MXFP4", [100], [128]], ["IQ4_NL", [0, 60], [1, 190]]] as const
  ) {
    const bytes = Uint8Array.from(scales.flatMap((scale) => [...scale, ...pairs]));
    const format = weightFormat(type, 64)!;
    const decoded = decode(encodeBlocks(type, bytes, format), format, 64);
    const positive = (value: number) => value === 0 ? 0 : value;
    assertEquals(decoded.map(positive), dequantize(type, bytes).map(positive), type);
  }
});

Deno.test("encodeBlocks() keeps the weights of blocks that do not begin at an even byte", () => {
  const bytes = encodeWeights("Q4_0", normals(2, 64));
  const moved = new Uint8Array(bytes.length + 1);
  moved.set(bytes, 1);
  const format = weightFormat("Q4_0", 64)!;
  assertEquals(
    encodeBlocks("Q4_0", moved.subarray(1), format),
    encodeBlocks("Q4_0", bytes, format),
  );
});

Deno.test("weightFormat() has f32 scales where a row's f16 scales are no whole words", () => {
  const even = weightFormat("Q8_0", 64);
  const odd = weightFormat("Q8_0", 96);
  assertEquals(even?.family === "byte" && even.factors, "scale16");
  assertEquals(odd?.family === "byte" && odd.factors, "scale32");
  assertEquals(rowBytes(odd!, 96), { codes: 96, factors: 12 });
});

Deno.test("weightFormat() has superblocks' own factors, multiplied out where rows are no whole ones", () => {
  for (
    const [type, bits, more] of [
      ...[["Q2_K", 4.625, 8], ["Q3_K", 4.625, 6], ["Q4_K", 4.625, 6]] as const,
      ...[["Q5_K", 8.625, 10], ["Q6_K", 8.625, 10], ["IQ4_XS", 4.375, 5]] as const,
    ]
  ) {
    assertEquals(matrixBytes(type, 1, 512) * 8 / 512, bits, type);
    assertEquals(matrixBytes(type, 1, 96) * 8 / 96, more, type);
  }
  // The same weights, either way.
  for (const type of ["Q2_K", "Q5_K", "Q6_K", "IQ4_XS"] as const) {
    const bytes = encodeWeights(type, normals(3, 256));
    const format = weightFormat(type, 96)!;
    assertEquals(decode(encodeBlocks(type, bytes, format), format, 256), dequantize(type, bytes));
  }
});

Deno.test("weightFormat() knows no types and widths that kernels do not", () => {
  assertEquals(weightFormat("I2_S", 256), undefined);
  assertEquals(weightFormat("toString", 256), undefined);
  assertEquals(weightFormat("Q8_0", 48), undefined);
  assertEquals(weightFormat("F16", 6), undefined);
  assertEquals(pieceColumns(weightFormat("F16", 8)!), 4);
});

Deno.test("matrixBuffers() cuts where a grid or a buffer ends, and where an expert does", () => {
  const cut = (expertRows: number, rowsMax = 1e9) => {
    const limits = { maxBufferSize: 1e12, maxStorageBufferBindingSize: 16 * rowsMax };
    const shape = { type: "F32", rows: 600_000, columns: 4, expertRows };
    return matrixBuffers(limits, shape).map((bytes) => bytes / 16);
  };
  assertEquals(cut(1), [262_140, 262_140, 75_720]);
  assertEquals(cut(300_000), [600_000], "a grid has one expert's rows");
  assertEquals(cut(100_000, 250_000), [200_000, 200_000, 200_000]);
  assertThrows(() => cut(100_000, 99_999), GpuOutOfMemoryError, "100000 rows of 4 weights");
});
