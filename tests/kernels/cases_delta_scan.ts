/** Scans that correct their state: a text at once, and in pieces. */
import { deltaScan, type DeltaShape } from "../../src/reference/delta_scan.ts";
import { softplus } from "../../src/reference/state_space.ts";
import { makeFloats, Rng } from "../support/rng.ts";
import type { TestArena } from "./arena.ts";
import type { KernelCase } from "./cases.ts";
import { assertClose, randomFloats, unstride } from "./data.ts";

export const deltaScanCases: readonly KernelCase[] = [
  {
    name: "scan_deltas_f32",
    sweep: sweepDeltas,
    legalCall: (a) => [
      ...[a.place(512), a.place(512), a.place(512), 40, a.place(64), 4, a.place(64)],
      ...[a.place(64), 4, a.place(2048), a.place(2048), a.place(512), 32, 2, 4, 8, 8, 2, 0, 1e-6],
    ],
    addresses: [0, 1, 2, 4, 6, 7, 9, 10, 11],
    counts: [3, 5, 8, 12, 13, 14, 15, 16, 17],
  },
];

function sweepDeltas(arena: TestArena): void {
  for (const [heads, groups] of [[1, 1], [4, 2], [6, 2], [4, 4]]) {
    for (const [headDim, states] of [[4, 4], [8, 20], [64, 128]]) {
      for (const inTurns of [true, false]) {
        sweepScan(arena, { heads, groups, headDim, states, inTurns, epsilon: 1e-3 });
      }
    }
  }
}

function sweepScan(arena: TestArena, shape: DeltaShape): void {
  const { heads, headDim, states, groups, inTurns, epsilon } = shape;
  const width = heads * headDim, keys = groups * states, all = 9;
  for (const pieces of [[9], [1, 1, 3, 4]]) {
    arena.reset();
    const rng = new Rng(heads * 1000 + states + headDim);
    const stride = 2 * keys + width + 5, rateStride = heads + 3, outStride = width + 7;
    const rows = randomFloats(rng, all * stride);
    const dt = makeFloats(all * rateStride, () => softplus(2 * rng.normal() - 1));
    const beta = randomFloats(rng, all * rateStride, 2);
    const a = makeFloats(heads, () => -Math.exp(rng.normal()));
    const [rowsAt, dtAt, betaAt, aAt] = [rows, dt, beta, a].map((each) => arena.put(each, 4));
    const places = [0, 1].map(() => arena.put(new Float32Array(width * states).fill(NaN), 4));
    const out = arena.place(4 * all * outStride, 4);
    let at = 0, from = 0, to = places[0];
    pieces.forEach((n, piece) => {
      const q = rowsAt + 4 * at * stride;
      const outAt = out + 4 * at * outStride;
      const rateAt = 4 * at * rateStride;
      // deno-fmt-ignore
      arena.run(
        () => arena.kernels.scan_deltas_f32(
          q, q + 4 * keys, q + 8 * keys, stride, dtAt + rateAt, rateStride, aAt, betaAt + rateAt,
          rateStride, from, to, outAt, outStride, n, heads, headDim, states, groups,
          inTurns ? 1 : 0, epsilon,
        ),
        [outAt, 4 * ((n - 1) * outStride + width)],
        [to, 4 * width * states],
        [q, 4 * ((n - 1) * stride + 2 * keys)],
      );
      at += n;
      from = to;
      if (piece !== 1) to = places[piece % 2 === 0 ? 1 : 0];
    });
    const part = (first: number, count: number) =>
      unstride(rows.subarray(first), all, stride, count);
    const state = new Float64Array(width * states);
    const expected = deltaScan({
      ...{ q: part(0, keys), k: part(keys, keys), v: part(2 * keys, width), state, a },
      dt: unstride(dt, all, rateStride, heads),
      beta: unstride(beta, all, rateStride, heads),
    }, shape);
    const label = `${heads} of ${groups} × ${headDim}, ${states}, ${inTurns} pieces ${pieces}`;
    const given = unstride(arena.floats(out, all * outStride), all, outStride, width);
    assertClose(given, expected, 1e-11, label);
    assertClose(arena.floats(from, width * states), state, 1e-11, `state of ${label}`);
  }
}
