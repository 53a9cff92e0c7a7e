/** States that decay key by key, and what they are made of: a text at once, and in pieces. */
import {
  addedScan,
  keyedBonus,
  keyedScan,
  prepareKeyed,
  shiftRows,
  shiftRowsBy,
} from "../../src/reference/keyed_scan.ts";
import { sigmoid } from "../../src/reference/routing.ts";
import { keyDecays, keyDeltaScan } from "../../src/reference/key_delta_scan.ts";
import { Rng } from "../support/rng.ts";
import type { TestArena } from "./arena.ts";
import type { KernelCase } from "./cases.ts";
import { assertClose, randomFloats, unstride } from "./data.ts";

export const keyedStateCases: readonly KernelCase[] = [
  {
    name: "shift_rows_f32",
    sweep: sweepShifts,
    legalCall: (a) => [
      ...[a.place(256), 16, a.place(32), a.place(32), a.place(256), 12, a.place(256), 16, 3, 8],
    ],
    addresses: [0, 2, 3, 4, 6],
    counts: [1, 5, 7, 8, 9],
  },
  {
    name: "approach_f32",
    sweep: sweepApproach,
    legalCall: (a) => [a.place(256), 16, a.place(256), 12, a.place(256), 8, 3, 8],
    addresses: [0, 2, 4],
    counts: [1, 3, 5, 6, 7],
  },
  {
    name: "prepare_keyed_f32",
    sweep: sweepPrepare,
    legalCall: (a) => [
      ...[a.place(512), a.place(512), a.place(512), a.place(512), 20],
      ...[a.place(64), a.place(64), 3, 2, 8],
    ],
    addresses: [0, 1, 2, 3, 5, 6],
    counts: [4, 7, 8, 9],
  },
  {
    name: "scan_keyed_f32",
    sweep: sweepScan,
    legalCall: (a) => [
      ...[a.place(512), a.place(512), 20, a.place(512), a.place(512), a.place(512), 24],
      ...[a.place(512), 16, a.place(2048), a.place(2048), a.place(512), 32, 3, 2, 4, 8],
    ],
    addresses: [0, 1, 3, 4, 5, 7, 9, 10, 11],
    counts: [2, 6, 8, 12, 13, 14, 15, 16],
  },
  {
    name: "prepare_key_deltas_f32",
    sweep: sweepDeltas,
    legalCall: (a) => [
      ...[a.place(512), a.place(512), a.place(512), 20, a.place(512), a.place(512), a.place(512)],
      ...[a.place(512), 24, a.place(64), 3, 2, 4, 8, 1e-6, -5],
    ],
    addresses: [0, 1, 2, 4, 5, 6, 7, 9],
    counts: [3, 8, 10, 11, 12, 13],
  },
  {
    name: "scan_added_f32",
    sweep: sweepAdded,
    legalCall: (a) => [
      ...[a.place(512), a.place(512), a.place(512), a.place(512), 20, 1],
      ...[a.place(2048), a.place(2048), a.place(512), 32, 3, 2, 4, 8],
    ],
    addresses: [0, 1, 2, 3, 6, 7, 8],
    counts: [4, 9, 10, 11, 12, 13],
  },
  {
    name: "prepare_added_f32",
    sweep: sweepPrepareAdded,
    legalCall: (a) => [a.place(512), a.place(512), 12, 1, 3, 8],
    addresses: [0, 1],
    counts: [2, 4, 5],
  },
  {
    name: "add_bonus_f32",
    sweep: sweepBonus,
    legalCall: (a) => [
      ...[a.place(512), a.place(512), 20, a.place(64), a.place(512), 12, a.place(512), 16],
      ...[3, 2, 4, 8],
    ],
    addresses: [0, 1, 3, 4, 6],
    counts: [2, 5, 7, 8, 9, 10, 11],
  },
];

const ALL = 9;
const PIECES = [[9], [1, 1, 3, 4]] as const;

function sweepShifts(arena: TestArena): void {
  for (const width of [4, 12, 64]) {
    for (const pieces of PIECES) {
      for (const inPlace of [true, false]) {
        arena.reset();
        const rng = new Rng(width);
        const stride = width + 5, weightsStride = inPlace ? 0 : width + 1;
        const x = randomFloats(rng, ALL * stride);
        const weights = randomFloats(rng, ALL * (width + 1));
        const [at, weightsAt] = [x, weights].map((each) => arena.put(each, 4));
        const kept = [0, 1].map(() => arena.place(4 * width, 4));
        const outStride = inPlace ? stride : width + 3;
        const out = inPlace ? at : arena.place(4 * ALL * outStride, 4);
        let row = 0, from = 0;
        pieces.forEach((n, piece) => {
          const to = kept[piece % 2];
          const outAt = out + 4 * row * outStride;
          arena.run(
            () =>
              arena.kernels.shift_rows_f32(
                ...[at + 4 * row * stride, stride, from, to] as const,
                ...[weightsAt + 4 * row * weightsStride, weightsStride] as const,
                ...[outAt, outStride, n, width] as const,
              ),
            [outAt, 4 * n * outStride],
            [to, 4 * width],
          );
          row += n;
          from = to;
        });
        const rows = unstride(x, ALL, stride, width);
        const expected = weightsStride === 0
          ? shiftRows(rows, weights.subarray(0, width))
          : shiftRowsBy(rows, unstride(weights, ALL, weightsStride, width), width);
        const given = arena.floats(out, ALL * outStride);
        const label = `${width}, pieces ${pieces}, in place ${inPlace}`;
        assertClose(unstride(given, ALL, outStride, width), expected, 1e-13, label);
        const rest = Array.from(
          { length: ALL },
          (_, t) =>
            given.subarray(t * outStride + width, (t + 1) * outStride).every((value) =>
              value === 0
            ),
        );
        if (!rest.every(Boolean)) throw new Error(`columns behind the width are zero: ${label}`);
      }
    }
  }
}

function sweepApproach(arena: TestArena): void {
  for (const d of [4, 8, 100]) {
    arena.reset();
    const rng = new Rng(d);
    const strides = [d + 1, d, d + 7];
    const rows = strides.map((stride) => randomFloats(rng, 3 * stride, 3));
    const [x, to, share] = rows.map((each) => arena.put(each, 4));
    arena.run(
      () => arena.kernels.approach_f32(x, strides[0], to, strides[1], share, strides[2], 3, d),
      [x, 4 * (2 * strides[0] + d)],
    );
    const [own, goal, by] = rows.map((each, i) => unstride(each, 3, strides[i], d));
    const expected = Float64Array.from(own, (v, i) => v + (goal[i] - v) * sigmoid(by[i]));
    const given = unstride(arena.floats(x, 3 * strides[0]), 3, strides[0], d);
    assertClose(given, expected, 1e-12, `approach ${d}`);
  }
}

/** A key that is zero has no length. */
function sweepPrepare(arena: TestArena): void {
  for (const [heads, states] of [[1, 4], [3, 8], [2, 64]]) {
    for (const size of [2, 0]) {
      arena.reset();
      const rng = new Rng(heads * states);
      const width = heads * states, stride = width + 3;
      const [k, w, rate] = [size, 4, 2].map((each) => randomFloats(rng, ALL * stride, each));
      const [keyScale, keyRate] = [0, 0].map(() => randomFloats(rng, width));
      const [kAt, wAt, rateAt, scaleAt, keyRateAt] = [k, w, rate, keyScale, keyRate]
        .map((each) => arena.put(each, 4));
      const back = arena.place(4 * ALL * stride, 4);
      const bytes = 4 * ((ALL - 1) * stride + width);
      // deno-fmt-ignore
      arena.run(
        () => arena.kernels.prepare_keyed_f32(
          kAt, wAt, rateAt, back, stride, scaleAt, keyRateAt, ALL, heads, states,
        ),
        [kAt, bytes], [wAt, bytes], [rateAt, bytes], [back, bytes],
      );
      const own = (rows: Float32Array) => unstride(rows, ALL, stride, width);
      const expected = prepareKeyed(
        { k: own(k), w: own(w), rate: own(rate) },
        { keyScale, keyRate, states },
      );
      const given = (at: number) => own(arena.floats(at, ALL * stride));
      const label = `${heads} × ${states} of size ${size}`;
      assertClose(given(kAt), expected.k, 1e-12, `k of ${label}`);
      assertClose(given(wAt), expected.w, 1e-12, `w of ${label}`);
      assertClose(given(back), expected.a, 1e-12, `a of ${label}`);
      assertClose(given(rateAt), expected.b, 1e-12, `b of ${label}`);
    }
  }
}

function sweepScan(arena: TestArena): void {
  for (const [heads, headDim, states] of [[1, 4, 4], [3, 8, 20], [2, 64, 64]]) {
    for (const pieces of PIECES) {
      arena.reset();
      const rng = new Rng(heads * 1000 + states);
      const width = heads * headDim, keys = heads * states;
      const stride = 5 * keys + 3, vStride = width + 5, outStride = width + 7;
      const rows = randomFloats(rng, ALL * stride);
      // Decays are below 1, and what is brought back has a length of 1.
      const part = (first: number) => unstride(rows.subarray(first * keys), ALL, stride, keys);
      for (let i = 0; i < rows.length; i++) {
        const at = Math.floor(i % stride / keys);
        if (at === 1) rows[i] = sigmoid(rows[i]);
        if (at >= 3) rows[i] /= Math.sqrt(states);
      }
      const v = randomFloats(rng, ALL * vStride);
      const [rowsAt, vAt] = [rows, v].map((each) => arena.put(each, 4));
      const places = [0, 1].map(() => arena.put(new Float32Array(width * states).fill(NaN), 4));
      const out = arena.place(4 * ALL * outStride, 4);
      let at = 0, from = 0, to = places[0];
      pieces.forEach((n, piece) => {
        const r = rowsAt + 4 * at * stride, outAt = out + 4 * at * outStride;
        // deno-fmt-ignore
        arena.run(
          () => arena.kernels.scan_keyed_f32(
            r, r + 8 * keys, stride, r + 4 * keys, r + 12 * keys, r + 16 * keys, stride,
            vAt + 4 * at * vStride, vStride, from, to, outAt, outStride, n, heads, headDim, states,
          ),
          [outAt, 4 * ((n - 1) * outStride + width)],
          [to, 4 * width * states],
        );
        at += n;
        from = to;
        if (piece !== 1) to = places[piece % 2 === 0 ? 1 : 0];
      });
      const state = new Float64Array(width * states);
      const expected = keyedScan({
        ...{ r: part(0), w: part(1), k: part(2), a: part(3), b: part(4), state },
        v: unstride(v, ALL, vStride, width),
      }, { heads, headDim, states });
      const label = `${heads} × ${headDim} × ${states} pieces ${pieces}`;
      const given = unstride(arena.floats(out, ALL * outStride), ALL, outStride, width);
      assertClose(given, expected, 1e-11, label);
      assertClose(arena.floats(from, width * states), state, 1e-11, `state of ${label}`);
    }
  }
}

/** What is prepared and scanned is what a state corrected key by key gives. */
function sweepDeltas(arena: TestArena): void {
  for (
    const [heads, headDim, states, floor, sign] of [
      ...[[1, 4, 4, 0, -1], [3, 8, 20, 0, -1], [2, 64, 64, 0, -1]],
      ...[[3, 8, 20, -5, 1], [2, 64, 64, -0.5, -1]],
    ]
  ) {
    arena.reset();
    const rng = new Rng(heads * 7 + states);
    const width = heads * headDim, keys = heads * states;
    const [stride, partStride] = [2 * keys + width + 3, 3 * keys + heads + 5];
    const rows = randomFloats(rng, ALL * stride);
    const parts = randomFloats(rng, ALL * partStride, 2);
    const a = randomFloats(rng, heads).map((value) => sign * Math.exp(value));
    const [q, w, aAt] = [rows, parts, a].map((each) => arena.put(each, 4));
    const [k, v] = [q + 4 * keys, q + 8 * keys];
    const [back, goes, beta] = [1, 2, 3].map((part) => w + 4 * part * keys);
    const place = arena.put(new Float32Array(width * states), 4);
    const out = arena.place(4 * ALL * width, 4);
    const epsilon = 1e-3;
    // deno-fmt-ignore
    arena.run(
      () => arena.kernels.prepare_key_deltas_f32(
        q, k, v, stride, w, back, goes, beta, partStride, aAt, ALL, heads, headDim, states, epsilon,
        floor,
      ),
      [q, 4 * ((ALL - 1) * stride + 2 * keys + width)],
      [w, 4 * ((ALL - 1) * partStride + 3 * keys)],
    );
    // deno-fmt-ignore
    arena.kernels.scan_keyed_f32(
      q, k, stride, w, back, goes, partStride, v, stride, 0, place, out, width,
      ALL, heads, headDim, states,
    );
    const part = (all: Float32Array, by: number, first: number, count: number) =>
      unstride(all.subarray(first), ALL, by, count);
    const state = new Float64Array(width * states);
    const expected = keyDeltaScan({
      ...{ q: part(rows, stride, 0, keys), k: part(rows, stride, keys, keys), state },
      v: part(rows, stride, 2 * keys, width),
      decay: keyDecays(part(parts, partStride, 0, keys), a, {
        states,
        floor: floor === 0 ? undefined : floor,
      }),
      beta: part(parts, partStride, 3 * keys, heads),
    }, { heads, headDim, states, epsilon });
    const label = `deltas of ${heads} × ${headDim} × ${states}, floor ${floor}`;
    assertClose(arena.floats(out, ALL * width), expected, 1e-11, label);
    assertClose(arena.floats(place, width * states), state, 1e-11, `state of ${label}`);
  }
}

function sweepPrepareAdded(arena: TestArena): void {
  for (const d of [4, 60]) {
    for (const dampens of [0, 1]) {
      arena.reset();
      const rng = new Rng(d);
      const stride = d + 3;
      const [w, k] = [2, 1].map((size) => randomFloats(rng, ALL * stride, size));
      const [wAt, kAt] = [w, k].map((each) => arena.put(each, 4));
      const bytes = 4 * ((ALL - 1) * stride + d);
      arena.run(
        () => arena.kernels.prepare_added_f32(wAt, kAt, stride, dampens, ALL, d),
        [wAt, bytes],
        [kAt, dampens * bytes],
      );
      const own = (rows: Float32Array) => Float64Array.from(unstride(rows, ALL, stride, d));
      const stays = own(w).map((value) => Math.exp(-Math.exp(value)));
      const keys = own(k).map((value, i) => dampens ? value * (1 - stays[i]) : value);
      assertClose(own(arena.floats(wAt, ALL * stride)), stays, 1e-12, `decays ${d}`);
      assertClose(own(arena.floats(kAt, ALL * stride)), keys, 1e-12, `keys ${d} ${dampens}`);
    }
  }
}

/** With what goes around the state, and without. */
function sweepAdded(arena: TestArena): void {
  for (const [heads, headDim, states] of [[1, 4, 4], [3, 8, 20], [2, 64, 64]]) {
    for (const pieces of PIECES) {
      for (const readsBefore of [true, false]) {
        arena.reset();
        const rng = new Rng(heads * 100 + states);
        const width = heads * headDim, keys = heads * states;
        const stride = 3 * keys + width + 3, outStride = width + 7;
        const rows = randomFloats(rng, ALL * stride).map((value, i) =>
          Math.floor(i % stride / keys) === 1 ? sigmoid(value) : value
        );
        const part = (first: number, count: number) =>
          unstride(rows.subarray(first * keys), ALL, stride, count);
        const rowsAt = arena.put(rows, 4);
        const places = [0, 1].map(() => arena.put(new Float32Array(width * states).fill(NaN), 4));
        const out = arena.place(4 * ALL * outStride, 4);
        let at = 0, from = 0, to = places[0];
        pieces.forEach((n, piece) => {
          const r = rowsAt + 4 * at * stride, outAt = out + 4 * at * outStride;
          // deno-fmt-ignore
          arena.run(
            () => arena.kernels.scan_added_f32(
              r, r + 4 * keys, r + 8 * keys, r + 12 * keys, stride, readsBefore ? 1 : 0,
              from, to, outAt, outStride, n, heads, headDim, states,
            ),
            [outAt, 4 * ((n - 1) * outStride + width)],
            [to, 4 * width * states],
          );
          at += n;
          from = to;
          if (piece !== 1) to = places[piece % 2 === 0 ? 1 : 0];
        });
        const state = new Float64Array(width * states);
        const expected = addedScan({
          ...{ r: part(0, keys), w: part(1, keys), k: part(2, keys), v: part(3, width), state },
          bonus: readsBefore ? new Float32Array(keys) : null,
        }, { heads, headDim, states })
          .map((value) => readsBefore ? value : value * Math.sqrt(states));
        const label = `${heads} × ${headDim} × ${states} pieces ${pieces}, ${readsBefore}`;
        const given = unstride(arena.floats(out, ALL * outStride), ALL, outStride, width);
        assertClose(given, expected, 1e-11, label);
        assertClose(arena.floats(from, width * states), state, 1e-11, `state of ${label}`);
      }
    }
  }
}

function sweepBonus(arena: TestArena): void {
  for (const [heads, headDim, states] of [[1, 4, 4], [3, 8, 20], [2, 64, 64]]) {
    arena.reset();
    const rng = new Rng(heads * 10 + states);
    const width = heads * headDim, keys = heads * states;
    const [stride, vStride, outStride] = [2 * keys + 3, width + 5, width + 1];
    const rows = randomFloats(rng, ALL * stride), bonus = randomFloats(rng, keys);
    const v = randomFloats(rng, ALL * vStride), before = randomFloats(rng, ALL * outStride);
    const [rowsAt, bonusAt, vAt, out] = [rows, bonus, v, before].map((each) => arena.put(each, 4));
    // deno-fmt-ignore
    arena.run(
      () => arena.kernels.add_bonus_f32(
        rowsAt, rowsAt + 4 * keys, stride, bonusAt, vAt, vStride, out, outStride,
        ALL, heads, headDim, states,
      ),
      [out, 4 * ((ALL - 1) * outStride + width)],
    );
    const of = { heads, headDim, states };
    const added = keyedBonus({
      r: unstride(rows, ALL, stride, keys),
      k: unstride(rows.subarray(keys), ALL, stride, keys),
      v: unstride(v, ALL, vStride, width),
      bonus,
    }, of);
    const expected = unstride(before, ALL, outStride, width).map((value, i) => value + added[i]);
    const given = unstride(arena.floats(out, ALL * outStride), ALL, outStride, width);
    assertClose(given, expected, 1e-11, `bonus of ${heads} × ${headDim} × ${states}`);
  }
}
