/** What keeps a state: convolutions with their last rows, scans of both kinds, softplus. */
import { assert, assertEquals } from "@std/assert";
import { selectiveScan, softplus, stateConvolution } from "../../src/reference/state_space.ts";
import type { Kernels } from "../../wasm/mod.ts";
import { makeFloats, Rng } from "../support/rng.ts";
import type { TestArena } from "./arena.ts";
import type { KernelCase } from "./cases.ts";
import { assertClose, randomFloats, unstride } from "./data.ts";

export const stateSpaceCases: readonly KernelCase[] = [
  {
    name: "state_convolution_f32",
    sweep: sweepConvolution,
    legalCall: (a) => [
      ...[a.place(512), 12, a.place(256), a.place(256), 4, a.place(256), a.place(64)],
      ...[a.place(512), 16, 3, 12],
    ],
    addresses: [0, 2, 3, 5, 6, 7],
    counts: [1, 4, 8, 9, 10],
  },
  {
    name: "scan_channels_f32",
    sweep: sweepChannels,
    legalCall: (a) => [
      ...[a.place(512), 12, a.place(512), 12, a.place(512), a.place(512), a.place(512), 8],
      ...[a.place(64), a.place(512), a.place(512), a.place(512), 12, 2, 12, 8],
    ],
    addresses: [0, 2, 4, 5, 6, 8, 9, 10, 11],
    counts: [1, 3, 7, 12, 13, 14, 15],
  },
  {
    name: "scan_heads_f32",
    sweep: sweepHeads,
    legalCall: (a) => [
      ...[a.place(512), 24, a.place(512), 3, a.place(64), a.place(512), a.place(512), 16],
      ...[a.place(64), a.place(1024), a.place(1024), a.place(512), 24, 2, 3, 8, 8, 1, 2],
    ],
    addresses: [0, 2, 4, 5, 6, 8, 9, 10, 11],
    counts: [1, 3, 7, 12, 13, 14, 15, 16, 17],
  },
  {
    name: "softplus_f32",
    sweep: sweepSoftplus,
    legalCall: (arena) => [arena.place(512), 64, arena.place(512), 64, 2, 60],
    addresses: [0, 2],
    counts: [1, 3, 4, 5],
  },
];

/** A sequence in pieces: from nothing, from what was kept elsewhere, and in place. */
function sweepConvolution(arena: TestArena): void {
  for (const width of [4, 12, 68]) {
    for (const taps of [2, 4, 5, 32]) {
      for (const pieces of [[1, 1, 1, 1, 5], [2, 1, 3], [40, 1], [3, 33, 4]]) {
        for (const hasBias of [true, false]) {
          arena.reset();
          const rng = new Rng(width * 100 + taps + pieces.length);
          const all = pieces.reduce((sum, n) => sum + n);
          const stride = width + 3, outStride = width + 5, kept = (taps - 1) * width;
          const x = randomFloats(rng, all * stride);
          const weights = randomFloats(rng, taps * width);
          const bias = hasBias ? randomFloats(rng, width) : null;
          const xAt = arena.put(x, 4), weightsAt = arena.put(weights, 4);
          const biasAt = bias === null ? 0 : arena.put(bias, 4);
          const rows = [0, 1].map(() => arena.put(new Float32Array(kept).fill(NaN), 4));
          const out = arena.place(4 * all * outStride, 4);
          const label = `width ${width} taps ${taps} pieces ${pieces}`;
          let p0 = 0, from = 0, to = rows[0];
          pieces.forEach((n, piece) => {
            const at = out + 4 * p0 * outStride;
            // deno-fmt-ignore
            arena.run(
              () => arena.kernels.state_convolution_f32(
                xAt + 4 * p0 * stride, stride, from, to, taps, weightsAt, biasAt, at, outStride, n,
                width,
              ),
              [at, 4 * ((n - 1) * outStride + width)],
              [to, 4 * kept],
            );
            p0 += n;
            from = to;
            if (piece !== 1) to = rows[piece % 2 === 0 ? 1 : 0];
          });
          const byChannel = Float32Array.from(
            weights,
            (_, i) => weights[i % taps * width + Math.floor(i / taps)],
          );
          const dense = unstride(x, all, stride, width);
          const expected = stateConvolution({ x: dense, weights: byChannel, bias }, {
            p0: 0,
            channels: width,
          });
          const given = unstride(arena.floats(out, all * outStride), all, outStride, width);
          assertClose(given, expected, 1e-11, label);
          const last = Float32Array.from({ length: kept }, (_, i) => {
            const position = all - taps + 1 + Math.floor(i / width);
            return position < 0 ? 0 : dense[position * width + i % width];
          });
          assertEquals(arena.floats(from, kept).slice(), last, label);
        }
      }
    }
  }
}

interface Scan {
  readonly heads: number;
  readonly headDim: number;
  readonly states: number;
  /** Heads of a group, and of the first group those that are somebody else's. */
  readonly groupSize: number;
  readonly headOffset: number;
}

function sweepChannels(arena: TestArena): void {
  for (const heads of [4, 12, 64]) {
    for (const states of [4, 16, 20]) {
      sweepScan(arena, { heads, headDim: 1, states, groupSize: heads, headOffset: 0 });
    }
  }
}

function sweepHeads(arena: TestArena): void {
  for (const [heads, groupSize, headOffset] of [[1, 1, 0], [3, 2, 1], [4, 4, 0], [5, 8, 3]]) {
    for (const [headDim, states] of [[4, 4], [8, 20], [64, 128]]) {
      sweepScan(arena, { heads, headDim, states, groupSize, headOffset });
    }
  }
}

/** What both scans take first. */
type ScanCall = Parameters<Kernels["scan_channels_f32"]> extends [...infer First, number, number]
  ? First
  : never;

/** A text at once, and in pieces whose state goes from one place to another or stays. */
function sweepScan(arena: TestArena, scan: Scan): void {
  const { heads, headDim, states, groupSize, headOffset } = scan;
  const width = heads * headDim, all = 9;
  const groups = Math.ceil((headOffset + heads) / groupSize);
  const ofChannels = headDim === 1;
  for (const pieces of [[9], [1, 1, 3, 4]]) {
    arena.reset();
    const rng = new Rng(heads * 1000 + states + headDim);
    const stride = width + 5, dtStride = heads + 3, bcStride = groups * states + 2;
    const x = randomFloats(rng, all * stride);
    const dt = makeFloats(all * dtStride, () => softplus(2 * rng.normal() - 1));
    const a = makeFloats(ofChannels ? heads * states : heads, () => -Math.exp(rng.normal()));
    const [b, c] = [0, 1].map(() => randomFloats(rng, all * bcStride));
    const d = randomFloats(rng, heads);
    const [xAt, dtAt, aAt, bAt, cAt, dAt] = [x, dt, a, b, c, d].map((each) => arena.put(each, 4));
    const stateBytes = 4 * width * states;
    const places = [0, 1].map(() => arena.put(new Float32Array(width * states).fill(NaN), 4));
    const outStride = width + 7;
    const out = arena.place(4 * all * outStride, 4);
    let at = 0, from = 0, to = places[0];
    pieces.forEach((n, piece) => {
      const step = [
        ...[xAt + 4 * at * stride, stride, dtAt + 4 * at * dtStride, dtStride, aAt],
        ...[bAt + 4 * at * bcStride, cAt + 4 * at * bcStride, bcStride, dAt, from, to],
        ...[out + 4 * at * outStride, outStride, n],
      ] as unknown as ScanCall;
      arena.run(
        () =>
          ofChannels ? arena.kernels.scan_channels_f32(...step, heads, states) : arena.kernels
            .scan_heads_f32(...step, heads, headDim, states, headOffset, groupSize),
        [out + 4 * at * outStride, 4 * ((n - 1) * outStride + width)],
        [to, stateBytes],
      );
      at += n;
      from = to;
      if (piece !== 1) to = places[piece % 2 === 0 ? 1 : 0];
    });
    // As if whole groups were there: those of other heads have nothing of it.
    const whole = (rows: Float32Array, before: number, own: number, total: number, per: number) =>
      Float64Array.from({ length: all * total * per }, (_, i) => {
        const t = Math.floor(i / (total * per)), j = i % (total * per) - before * per;
        return j < 0 || j >= own * per ? 0 : rows[t * own * per + j];
      });
    const total = groups * groupSize;
    const padded = (values: Float32Array, per: number) => {
      const full = new Float64Array(total * per);
      full.set(values, headOffset * per);
      return full;
    };
    const state = new Float64Array(total * headDim * states);
    const expected = selectiveScan({
      x: whole(unstride(x, all, stride, width), headOffset, heads, total, headDim),
      dt: whole(unstride(dt, all, dtStride, heads), headOffset, heads, total, 1),
      a: padded(a, ofChannels ? states : 1),
      b: unstride(b, all, bcStride, groups * states),
      c: unstride(c, all, bcStride, groups * states),
      d: padded(d, 1),
      state,
    }, { heads: total, headDim, groups, states });
    const own = Float64Array.from(
      { length: all * width },
      (_, i) => expected[(Math.floor(i / width) * total + headOffset) * headDim + i % width],
    );
    const label = `heads ${heads} × ${headDim} states ${states} pieces ${pieces}`;
    const given = unstride(arena.floats(out, all * outStride), all, outStride, width);
    assertClose(given, own, 1e-11, label);
    const ownState = state.subarray(headOffset * headDim * states).subarray(0, width * states);
    assertClose(arena.floats(from, width * states), ownState, 1e-11, `state of ${label}`);
  }
}

/** Each value within a few places of its own, from results that vanish to those that are x. */
function sweepSoftplus(arena: TestArena): void {
  for (const d of [1, 3, 4, 7, 8, 9, 172]) {
    for (const [n, size] of [[1, 1e-3], [3, 1], [2, 10], [2, 60]]) {
      arena.reset();
      const stride = d + 2, outStride = d + 3;
      const x = randomFloats(new Rng(d + n), n * stride, size);
      const at = arena.put(x, 4), out = arena.place(4 * n * outStride, 4);
      arena.run(
        () => arena.kernels.softplus_f32(at, stride, out, outStride, n, d),
        [out, 4 * n * outStride],
      );
      const given = arena.floats(out, n * outStride);
      for (let t = 0; t < n; t++) {
        for (let i = 0; i < d; i++) {
          const input = x[t * stride + i];
          if (input < -87) continue; // what exp takes for nothing
          const expected = softplus(input), y = given[t * outStride + i];
          assert(Math.abs(y / expected - 1) < 1e-6, `softplus(${input}) = ${expected}, not ${y}`);
        }
        for (let i = d; i < outStride; i++) assertEquals(given[t * outStride + i], 0);
      }
    }
  }
}
