import { describeModel } from "../../src/model/mod.ts";
import { parseGguf } from "../../src/gguf/mod.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { ModelFormatError } from "../../src/base/errors.ts";
import { fillRopeTable, fillRopeTableByAxes, ropeFrequencies } from "../../src/model/rope.ts";
import type { RopeConfig, RopeScaling } from "../../src/model/types.ts";

const NO_SCALING: RopeScaling = {
  type: "none",
  factor: 1,
  originalContextLength: 4096,
  attentionFactor: 1,
  extrapolation: 0,
  betaFast: 32,
  betaSlow: 1,
};

/** Frequencies 1, 0.1, 0.01, 0.001 before scaling. */
function config(scaling: Partial<RopeScaling> = {}): RopeConfig {
  return {
    kind: "norm",
    dimensionCount: 8,
    frequencyBase: 10000,
    scaling: { ...NO_SCALING, ...scaling },
    factors: null,
  };
}

function assertFrequencies(actual: Float64Array, expected: number[]): void {
  assertEquals(actual.length, expected.length);
  expected.forEach((value, i) => assertAlmostEquals(actual[i] / value, 1, 1e-12, `pair ${i}`));
}

Deno.test("ropeFrequencies() falls by powers of the base", () => {
  const { inverseFrequencies, magnitude } = ropeFrequencies(config(), null);
  assertFrequencies(inverseFrequencies, [1, 0.1, 0.01, 0.001]);
  assertEquals(magnitude, 1);
});

Deno.test("ropeFrequencies() divides by the model's factors", () => {
  const factors = Float32Array.of(1, 1, 2, 8);
  const { inverseFrequencies } = ropeFrequencies(config(), factors);
  assertFrequencies(inverseFrequencies, [1, 0.1, 0.005, 0.000125]);
});

Deno.test("ropeFrequencies() divides all by the factor of linear scaling", () => {
  const { inverseFrequencies, magnitude } = ropeFrequencies(
    config({ type: "linear", factor: 4, attentionFactor: 0.5 }),
    null,
  );
  assertFrequencies(inverseFrequencies, [0.25, 0.025, 0.0025, 0.00025]);
  assertEquals(magnitude, 0.5);
});

Deno.test("ropeFrequencies() keeps fast pairs and divides slow ones under YaRN", () => {
  // Pairs turn 652, 65, 6.5 and 0.65 times in 4096 tokens. 32 turns fall to pair 1.3 and 1 turn to
  // pair 2.8, so the ramp goes from pair 1 to pair 3: pair 2 is half way.
  const { inverseFrequencies, magnitude } = ropeFrequencies(
    config({ type: "yarn", factor: 4, extrapolation: 1 }),
    null,
  );
  assertFrequencies(inverseFrequencies, [1, 0.1, 0.01 * (0.5 + 0.5 / 4), 0.001 / 4]);
  assertAlmostEquals(magnitude, 1 + 0.1 * Math.log(4), 1e-12);
});

Deno.test("ropeFrequencies() applies YaRN's extrapolation and attention factor", () => {
  const half = ropeFrequencies(
    config({ type: "yarn", factor: 4, extrapolation: 0.5, attentionFactor: 2 }),
    null,
  );
  assertFrequencies(half.inverseFrequencies.slice(0, 1), [0.5 + 0.5 / 4]);
  assertAlmostEquals(half.magnitude, 2 * (1 + 0.1 * Math.log(4)), 1e-12);
  const none = ropeFrequencies(config({ type: "yarn", factor: 4, extrapolation: 0 }), null);
  assertFrequencies(none.inverseFrequencies, [0.25, 0.025, 0.0025, 0.00025]);
  assertEquals(none.magnitude, 1);
});

Deno.test("ropeFrequencies() does not let a YaRN factor below 1 shrink the magnitude", () => {
  const scaling = { type: "yarn", factor: 0.5, extrapolation: 1 } as const;
  assertEquals(ropeFrequencies(config(scaling), null).magnitude, 1);
});

Deno.test("ropeFrequencies() refuses factors that are too few, zero, NaN or infinite", () => {
  const message = "rotary frequency factors";
  for (
    const factors of [[1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 0, 1], [1, NaN, 1, 1], [
      1,
      1,
      1,
      Infinity,
    ]]
  ) {
    const run = () => ropeFrequencies(config(), Float32Array.from(factors));
    assertThrows(run, ModelFormatError, message, `${factors}`);
  }
});

Deno.test("fillRopeTable() writes cosines, then sines, at the offset and nowhere else", () => {
  const frequencies = { inverseFrequencies: Float64Array.of(1, 0.01), magnitude: 2 };
  const out = new Float32Array(7).fill(9);
  fillRopeTable(frequencies, 3, out, 2);
  const expected = [Math.cos(3), Math.cos(0.03), Math.sin(3), Math.sin(0.03)].map((v) => 2 * v);
  assertEquals([...out], [9, 9, ...expected.map(Math.fround), 9]);
});

Deno.test("fillRopeTable() is exact at positions where f32 angles would not be", () => {
  const frequencies = { inverseFrequencies: Float64Array.of(1 / 3), magnitude: 1 };
  const out = new Float64Array(2);
  fillRopeTable(frequencies, 1_000_003, out, 0);
  // 1000003 / 3 is 53051 turns and this rest, by 50 digits of π.
  const rest = 5.069602149091146;
  assertAlmostEquals(out[0], Math.cos(rest), 1e-9);
  assertAlmostEquals(out[1], Math.sin(rest), 1e-9);
});

Deno.test("fillRopeTable() lengthens what it does not turn, from the position that it is told", () => {
  const { ropes: [, still] } =
    describeModel(parseGguf(tinyModel({ architecture: "llama4" }))).config;
  const at = (position: number) => {
    const table = new Float64Array(still.dimensionCount);
    fillRopeTable(ropeFrequencies(still, null), position, table, 0);
    return table;
  };
  const longer = (times: number) => 1 + 0.1 * Math.log(times);
  // Positions are counted from 1: the last one of a chunk is longer already.
  for (const [position, times] of [[0, 1], [8190, 1], [8191, 2], [16383, 3]]) {
    const half = still.dimensionCount / 2;
    const expected = [...Array(half).fill(longer(times)), ...Array(half).fill(0)];
    assertEquals([...at(position)], expected);
  }
});

Deno.test("fillRopeTableByAxes() turns each pair by its axis, as that position turns it", () => {
  const axes = { axisOf: [0, 1, 2, 1] } as const;
  const frequencies = ropeFrequencies({ ...config(), axes }, null);
  const table = new Float32Array(8);
  fillRopeTableByAxes(frequencies, Int32Array.of(9, 3, 50, 7), 1, table, 0);
  [3, 50, 7, 50].forEach((position, pair) => {
    const alone = new Float32Array(8);
    fillRopeTable(ropeFrequencies(config(), null), position, alone, 0);
    assertEquals([table[pair], table[4 + pair]], [alone[pair], alone[4 + pair]]);
  });
});

Deno.test("ropeFrequencies() takes the powers of its axes", () => {
  const axes = { axisOf: [1, 1, 2, 2], powerOf: [0, 2, 0, 2] } as const;
  const { inverseFrequencies } = ropeFrequencies({ ...config(), axes }, null);
  assertFrequencies(inverseFrequencies, [1, 0.01, 1, 0.01]);
});
