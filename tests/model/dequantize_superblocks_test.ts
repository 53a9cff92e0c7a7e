/** Superblocks of 256, done by hand. */
import { assertEquals } from "@std/assert";
import { openGguf, TensorReader } from "../../src/gguf/mod.ts";
import { dequantize } from "../../src/model/quants/dequantize.ts";
import { sharedPath, sharedTest } from "../support/shared.ts";

type Bytes = Readonly<Record<number, number | readonly number[]>>;

/** A superblock of zeros but for `parts`: offset → byte or bytes. */
function superblock(sizeBytes: number, parts: Bytes): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  for (const [at, value] of Object.entries(parts)) bytes.set([value].flat(), Number(at));
  return bytes;
}

/** 256 weights: `values` by index, `ranges` of equal ones before, 0 elsewhere. */
function weights(
  values: Readonly<Record<number, number>>,
  ranges: readonly (readonly [begin: number, end: number, value: number])[] = [],
): Float32Array {
  const all = new Float32Array(256);
  for (const [begin, end, value] of ranges) all.fill(value, begin, end);
  for (const [index, value] of Object.entries(values)) all[Number(index)] = value;
  return all;
}

const ONE = [0x00, 0x3c];
const HALF = [0x00, 0x38];
const MINUS_TWO = [0x00, 0xc0];

Deno.test("dequantize() reads Q2_K: four weights a byte, 32 apart; scale · q − minimum", () => {
  const bytes = superblock(84, {
    0: 0x01, // weights 0 .. 15: scale 1, minimum 0
    2: 0x02, // 32 .. 47: scale 2
    5: 0xf0, // 80 .. 95: scale 0, minimum 15
    15: 0x3f, // 240 .. 255: scale 15, minimum 3
    16: 0b11_10_01_11, // weights 0, 32, 64, 96
    [16 + 63]: 0b10_00_00_00, // weight 255
    80: ONE,
    82: HALF,
  });
  const expected = weights({ 0: 3, 32: 2, 255: 28.5 }, [[80, 96, -7.5], [240, 256, -1.5]]);
  assertEquals(dequantize("Q2_K", bytes), expected);
});

Deno.test("dequantize() reads Q3_K: six-bit scales minus 32, third bits that add 4", () => {
  const bytes = superblock(110, {
    // Third bits: byte i % 32, bit i / 32; weights 0 and 255.
    0: 0b0000_0001,
    31: 0b1000_0000,
    32: 0b00_00_11_10, // weights 0 (q 2), 32 (q 3)
    [32 + 63]: 0b01_00_00_00, // weight 255 (q 1)
    // Scales: low nibbles of block 0 (1) and 8 (2) in byte 0; of 2 (3) in byte 2; of 15 (15).
    96: [0x21, 0, 0x03, 0, 0, 0, 0, 0xf0],
    // High pairs: block 0 = 2 and block 8 = 3 in byte 8; block 2 = 1 in byte 10; block 15 = 3.
    104: [0b00_11_00_10, 0, 0b00_00_00_01, 0b11_00_00_00],
    108: ONE,
  });
  // Scales: block 0: 33 − 32 = 1; 2: 19 − 32 = −13; 8: 50 − 32 = 18; 15: 63 − 32 = 31; else −32.
  const ranges: [number, number, number][] = [
    [0, 256, 128],
    [0, 16, -4],
    [32, 48, 52],
    [128, 144, -72],
    [240, 256, -124],
  ];
  const expected = weights({ 0: 2, 32: 13, 255: 31 }, ranges);
  assertEquals(dequantize("Q3_K", bytes), expected);
});

/** Scales 1, 2, 3, 63, 4, 20, 5, 63 and minima 0, 1, 0, 63, 2, 0, 33, 63 of blocks 0 to 7. */
const SCALES_AND_MINIMA = [
  0b00_000001, // block 0; block 4's scale is 0b00_0100
  0b01_000010, // block 1; block 5's is 0b01_0100
  0b00_000011, // block 2; block 6's is 0b00_0101
  0b11_111111, // block 3; block 7's is 0b11_1111
  0b00_000000, // minima: block 0; block 4's is 0b00_0010
  0b00_000001, // block 1; block 5's is 0b00_0000
  0b10_000000, // block 2; block 6's is 0b10_0001
  0b11_111111, // block 3; block 7's is 0b11_1111
  0x24,
  0x04,
  0x15,
  0xff,
];
const SCALES = [1, 2, 3, 63, 4, 20, 5, 63];
const MINIMA = [0, 1, 0, 63, 2, 0, 33, 63];

Deno.test("dequantize() reads Q4_K: block pairs share bytes, scales and minima of six bits", () => {
  // Byte j of a pair of blocks is weight j of the first (low) and of the second (high).
  const nibbles = Array.from({ length: 128 }, (_, i) => (i % 16) | (15 - i % 16) << 4);
  const bytes = superblock(144, { 0: HALF, 2: MINUS_TWO, 4: SCALES_AND_MINIMA, 16: nibbles });
  const expected = Float32Array.from({ length: 256 }, (_, i) => {
    const block = i >> 5;
    const q = block % 2 === 0 ? i % 16 : 15 - i % 16;
    return 0.5 * SCALES[block] * q + 2 * MINIMA[block];
  });
  assertEquals(dequantize("Q4_K", bytes), expected);
});

Deno.test("dequantize() reads Q5_K: bit `block` of byte j is a fifth bit", () => {
  const fifths = Array.from({ length: 32 }, (_, j) => j % 2 === 0 ? 0b1010_0001 : 0b0000_0110);
  const nibbles = Array.from({ length: 128 }, (_, i) => (i % 16) | (15 - i % 16) << 4);
  const bytes = superblock(176, {
    0: HALF,
    2: MINUS_TWO,
    4: SCALES_AND_MINIMA,
    16: fifths,
    48: nibbles,
  });
  const expected = Float32Array.from({ length: 256 }, (_, i) => {
    const block = i >> 5;
    const low = block % 2 === 0 ? i % 16 : 15 - i % 16;
    const blocksWithFifth = i % 2 === 0 ? [0, 5, 7] : [1, 2];
    const q = low + (blocksWithFifth.includes(block) ? 16 : 0);
    return 0.5 * SCALES[block] * q + 2 * MINIMA[block];
  });
  assertEquals(dequantize("Q5_K", bytes), expected);
});

Deno.test("dequantize() reads Q6_K: nibbles 64 apart, bit pairs 32 apart, signed scales", () => {
  const bytes = superblock(210, {
    0: 0x5f, // low nibbles of weights 0 (15) and 64 (5)
    32: 0x10, // of weights 32 (0) and 96 (1)
    127: 0xf0, // of weights 191 (0) and 255 (15)
    128: 0b01_10_00_11, // high pairs of weights 0, 32, 64, 96
    191: 0b11_00_00_00, // of weight 255
    192: [1, 0, 0x80, 0, 2, 0, 0x7f],
    207: 0xff, // block 15: -1
    208: HALF,
  });
  const expected = weights({
    0: 0.5 * (63 - 32),
    32: 0.5 * -128 * (0 - 32),
    64: 0.5 * 2 * (32 + 5 - 32),
    96: 0.5 * 127 * (16 + 1 - 32),
    255: 0.5 * -1 * (63 - 32),
  }, [
    [0, 16, 0.5 * -32],
    [32, 48, 0.5 * -128 * -32],
    [64, 80, 0.5 * 2 * -32],
    [96, 112, 0.5 * 127 * -32],
    [240, 256, 0.5 * 32],
  ]);
  const actual = dequantize("Q6_K", bytes);
  assertEquals(actual.map((x) => x + 0), expected);
});

Deno.test("dequantize() reads IQ4_XS: levels times six-bit scales minus 32", () => {
  const bytes = superblock(136, {
    0: MINUS_TWO,
    2: [0b01_00_00_10, 0b11_00_00_00], // high pairs: block 0 = 2, block 3 = 1, block 7 = 3
    4: [0x01, 0x50, 0, 0xf0], // low nibbles: block 0 = 1, block 3 = 5, block 7 = 15
    8: 0xf8, // block 0: weight 0 level 1, weight 16 level 113
    [8 + 16 * 7 + 15]: 0x80, // block 7: weight 15 of it level -127, weight 31 of it level 1
  });
  // Scales: 33 − 32, 21 − 32, 63 − 32, −32 elsewhere; quants 0 are level -127.
  const expected = weights({ 0: -2, 16: -226, 255: -62 }, [
    [0, 256, -2 * -32 * -127],
    [0, 32, -2 * -127],
    [96, 128, -2 * -11 * -127],
    [224, 256, -2 * 31 * -127],
  ]);
  assertEquals(dequantize("IQ4_XS", bytes), expected);
});

Deno.test("dequantize() reads the extreme scales of superblocks without loss", () => {
  // 65504 and the largest integers everywhere: every product must be exact, in f32.
  const most = [0xff, 0x7b];
  const full = (sizeBytes: number, scaleAt: readonly number[]) => {
    const bytes = new Uint8Array(sizeBytes).fill(0xff);
    for (const at of scaleAt) bytes.set(most, at);
    return bytes;
  };
  const cases: [type: string, bytes: Uint8Array, weight: number][] = [
    ["Q2_K", full(84, [80, 82]), 65504 * 15 * 3 - 65504 * 15],
    ["Q3_K", full(110, [108]), 65504 * 31 * 3],
    ["Q4_K", full(144, [0, 2]), 65504 * 63 * 15 - 65504 * 63],
    ["Q5_K", full(176, [0, 2]), 65504 * 63 * 31 - 65504 * 63],
    ["Q6_K", full(210, [208]), 65504 * -1 * 31],
    ["IQ4_XS", full(136, [0]), 65504 * 31 * 113],
  ];
  for (const [type, bytes, weight] of cases) {
    assertEquals(Math.fround(weight), weight, `${type}: the test's weight is a float`);
    assertEquals(dequantize(type, bytes), new Float32Array(256).fill(weight), type);
  }
});

Deno.test("dequantize() makes NaN of superblocks whose scale is NaN, and nothing worse", () => {
  const scaleAt: Readonly<Record<string, [sizeBytes: number, at: number]>> = {
    Q2_K: [84, 80],
    Q3_K: [110, 108],
    Q4_K: [144, 0],
    Q5_K: [176, 0],
    Q6_K: [210, 208],
    IQ4_XS: [136, 0],
  };
  for (const [type, [sizeBytes, at]] of Object.entries(scaleAt)) {
    const bytes = superblock(sizeBytes, { [at]: [0x00, 0x7e] });
    assertEquals(dequantize(type, bytes), new Float32Array(256).fill(NaN), type);
  }
});

for (const folder of ["q8_0", "q4_0", "q2_k", "q4_k", "q4_k_m", "q6_k", "iq4_nl"]) {
  const model = `golden/llama-${folder}/model.gguf`;
  sharedTest(
    model,
    `dequantize() reads llama.cpp's ${folder} near the weights it was made of`,
    () => {
      const base = openGguf(sharedPath("golden/quant-base/model.gguf"));
      const made = openGguf(sharedPath(model));
      using weights = TensorReader.open(base);
      using blocks = TensorReader.open(made);
      let count = 0;
      for (const tensor of made.tensors.values()) {
        if (tensor.dims.length < 2) continue;
        count++;
        const exact = new Float32Array(weights.readAll(base.tensors.get(tensor.name)!).buffer);
        const read = dequantize(tensor.type, blocks.readAll(tensor));
        // A wrong bit order would give an error as large as the weights; 2 bits give a third.
        assertEquals(relativeError(read, exact) < 0.35, true, `${tensor.name} ${tensor.type}`);
      }
      assertEquals(count, 16);
    },
  );
}

/** Root of the squared error by the squared weights. */
function relativeError(read: Float32Array, exact: Float32Array): number {
  const square = (values: Float32Array) => values.reduce((sum, x) => sum + x * x, 0);
  return Math.sqrt(square(read.map((x, i) => x - exact[i])) / square(exact));
}
