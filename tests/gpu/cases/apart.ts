/** Products with tokens of a sequence each: as each would be alone, to the bit. */
import { assertEquals } from "@std/assert";
import { fireNeurons, type Gpu, joinResidual, matmul, multiplyOne } from "../../../gpu/mod.ts";
import { runStepFor } from "../../support/gpu.ts";
import { normals } from "./compare.ts";
import { byReading, makeMatrix, type Reading } from "./readings.ts";
import type { GpuCase } from "./types.ts";

/** Rows of what is computed on the way, and of what comes out. */
const WIDTH = 64;
const OUTPUTS = ["one", "many", "half", "stream"] as const;

type Weights = Record<"all" | "up" | "down" | "next", Awaited<ReturnType<typeof makeMatrix>>>;

/** A step with `n` tokens: what its outputs are, [n, WIDTH] each. */
async function outputsOf(
  gpu: Gpu,
  { weights: { all, up, down, next }, x, columns }: {
    weights: Weights;
    x: Float32Array;
    columns: number;
  },
): Promise<Float32Array[]> {
  const n = x.length / columns;
  const weight = await gpu.createVector("norm", normals(5, WIDTH));
  const empty = (width: number) => ({ values: new Float32Array(n * width), width });
  const out = await runStepFor(gpu, {
    n,
    sequences: Array.from({ length: n }, () => ({ position: 0, blocks: [] })),
    rows: {
      x: { values: x, width: columns },
      ...{ one: empty(WIDTH), many: empty(WIDTH), half: empty(WIDTH), stream: empty(WIDTH) },
      ...{ hidden: empty(WIDTH), normed: empty(WIDTH + WIDTH / 32) },
    },
    build: (builder, { x, one, many, half, stream, hidden, normed }) => {
      multiplyOne(builder, { matrix: all.matrix, bias: null, x, to: one });
      matmul(builder, { matrix: all.matrix, x, to: many });
      const act = { activation: "silu", isGated: true, down: down.matrix } as const;
      fireNeurons(builder, { matrix: up.matrix, bias: null, x, to: hidden, ...act });
      const left = joinResidual(builder, {
        ...{ matrix: down.matrix, bias: null, x: hidden, to: stream, scale: 1 },
        ...{ weight, epsilon: 1e-5, normed, readers: [next.matrix] },
      });
      multiplyOne(builder, { matrix: next.matrix, bias: null, x: left!, to: half });
    },
    reads: OUTPUTS,
  });
  gpu.destroyBuffer(weight);
  return out;
}

/** Tokens that are computed again, alone or with some of the others. */
const SPANS = [[0, 1], [8, 9], [1, 3], [2, 5]];
/** With subgroups a row is summed up otherwise; tokens share it as they do without. */
const FEW_SPANS = SPANS.slice(0, 2);

/** By up to nine tokens: eight go through the weights at once. */
async function checkBits(
  gpu: Gpu,
  { type, way, columns }: { type: string; way: Reading; columns: number },
): Promise<void> {
  const weights: Weights = {
    all: await makeMatrix(gpu, { type, rows: WIDTH, columns }, 1),
    up: await makeMatrix(gpu, { type, rows: 2 * WIDTH, columns }, 2),
    down: await makeMatrix(gpu, { type: "F16", rows: WIDTH, columns: WIDTH }, 3),
    next: await makeMatrix(gpu, { type: "F16", rows: WIDTH, columns: WIDTH }, 4),
  };
  const x = normals(6, 9 * columns, 0.3);
  const run = (first: number, end: number) =>
    outputsOf(gpu, { weights, columns, x: x.slice(first * columns, end * columns) });
  const together = await run(0, 9);
  for (const [first, end] of way === "int8_subgroups" ? FEW_SPANS : SPANS) {
    const found = await run(first, end);
    OUTPUTS.forEach((name, i) => {
      const expected = together[i].slice(first * WIDTH, end * WIDTH);
      assertEquals(found[i], expected, `${type} ${name}: ${first} to ${end}`);
    });
  }
  for (const { matrix } of Object.values(weights)) matrix.destroy();
}

export const apartCases: readonly GpuCase[] = byReading(
  "gated",
  "products of tokens of a sequence each give each the bits that it has alone",
  async (gpu, { type, way, isFloat, isShort }) => {
    // More than a turn of the invocations of a row.
    if (!isShort) await checkBits(gpu, { type, way, columns: isFloat ? 516 : 4352 });
  },
);
