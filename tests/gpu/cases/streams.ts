/** Several residual streams, and gates that are cut off. */
import {
  correctStreams,
  cutGates,
  type Gpu,
  guessStreams,
  matchLengths,
  type ProgramBuilder,
  type Rows,
} from "../../../gpu/mod.ts";
import { cutOffRows } from "../../../src/reference/activation_ops.ts";
import { runStep } from "../../support/gpu.ts";
import { assertNear, normals } from "./compare.ts";
import type { GpuCase } from "./types.ts";

const N = 3;
const STREAMS = 4;
const WIDTH = 70;

const X = normals(1, N * STREAMS * WIDTH);
const MADE = normals(2, N * WIDTH);
/** Some are far out. */
const MODES = normals(3, N * STREAMS, 2);
MODES.set([-100, 100]);
const SCALE = normals(4, WIDTH);
const GUESS = normals(5, STREAMS ** 3, 0.3);
const CORRECTION = normals(6, STREAMS ** 2, 0.3);

/** Value i of stream j of token t. */
const at = (t: number, j: number, i: number) => X[(t * STREAMS + j) * WIDTH + i];

/** Σ_m factors[start + m] · tanh(mode m of token t). */
function factorOf(factors: Float32Array, start: number, t: number): number {
  let sum = 0;
  for (let m = 0; m < STREAMS; m++) {
    sum += factors[start + m] * Math.tanh(MODES[t * STREAMS + m]);
  }
  return sum;
}

/** All streams, [N, STREAMS, WIDTH], by a formula for each value. */
function streamsBy(formula: (t: number, j: number, i: number) => number): Float64Array {
  return Float64Array.from({ length: X.length }, (_, k) => {
    const row = Math.floor(k / WIDTH);
    return formula(Math.floor(row / STREAMS), row % STREAMS, k % WIDTH);
  });
}

const guessed = streamsBy((t, j, i) => {
  let sum = at(t, j, i);
  for (let k = 0; k < STREAMS; k++) {
    sum += factorOf(GUESS, (j * STREAMS + k) * STREAMS, t) * at(t, k, i);
  }
  return sum;
});

const corrected = streamsBy((t, j, i) =>
  at(t, j, i) +
  (1 + factorOf(CORRECTION, j * STREAMS, t)) * (MADE[t * WIDTH + i] - at(t, 0, i))
);

/** The first stream of all tokens, times what is given for its columns. */
function firstOf(streams: Float64Array, scale: (i: number) => number): Float64Array {
  return Float64Array.from({ length: N * WIDTH }, (_, k) => {
    const [t, i] = [Math.floor(k / WIDTH), k % WIDTH];
    return streams[t * STREAMS * WIDTH + i] * scale(i);
  });
}

/** Runs what `build` adds to streams that lie side by side, each padded as rows of tests are. */
async function mix(
  gpu: Gpu,
  read: "streams" | "first",
  build: (
    builder: ProgramBuilder,
    rows: { streams: Rows; first: Rows; modes: Rows; count: number; width: number },
  ) => void,
): Promise<Float32Array> {
  return await runStep(gpu, {
    n: N,
    rows: {
      streams: { values: X, width: WIDTH, perToken: STREAMS },
      first: { values: MADE, width: WIDTH },
      modes: { values: MODES, width: STREAMS },
    },
    build: (builder, { streams, ...rows }) => {
      const whole = { ...streams, perToken: 1, stride: STREAMS * streams.stride };
      build(builder, { ...rows, streams: whole, count: STREAMS, width: WIDTH });
    },
    read,
  });
}

const mixCase: GpuCase = {
  kernels: ["guess_streams", "correct_streams"],
  name: "guessStreams() and correctStreams() mix streams as much as modes say",
  run: async (gpu) => {
    const [guess, correction, scale] = await Promise.all(
      [GUESS, CORRECTION, SCALE].map((values) => gpu.createVector("factors", values)),
    );
    for (const read of ["streams", "first"] as const) {
      const found = await mix(gpu, read, (builder, rows) => {
        guessStreams(builder, { ...rows, factors: guess });
      });
      assertNear(read, found, read === "first" ? firstOf(guessed, () => 1) : guessed, 1e-4);
      const right = await mix(gpu, read, (builder, { first: made, ...rows }) => {
        correctStreams(builder, { ...rows, factors: correction, made, scale });
      });
      const expected = read === "first" ? firstOf(corrected, (i) => SCALE[i]) : corrected;
      assertNear(read, right, expected, 1e-4);
    }
  },
};

const matchCase: GpuCase = {
  kernels: ["match_lengths"],
  name: "matchLengths() makes rows as long as others, and leaves zeros",
  run: async (gpu) => {
    for (const width of [3, 64, 130]) {
      const x = normals(7, N * width);
      x.fill(0, 0, width);
      const other = normals(8, N * width, 5);
      const actual = await runStep(gpu, {
        n: N,
        rows: {
          x: { values: x, width },
          other: { values: other, width },
          to: { values: new Float32Array(N * width), width },
        },
        build: (builder, { x, other, to }) => matchLengths(builder, { x, other, to, width }),
        read: "to",
      });
      const lengthOf = (rows: Float32Array, t: number) =>
        Math.hypot(...rows.subarray(t * width, (t + 1) * width));
      const expected = x.map((value, i) => {
        const t = Math.floor(i / width);
        return value === 0 ? 0 : value * lengthOf(other, t) / lengthOf(x, t);
      });
      assertNear(`as long, ${width}`, actual, expected, 1e-4);
    }
  },
};

const cutCase: GpuCase = {
  kernels: ["cut_gates"],
  name: "cutGates() leaves what is above a row's mean and some deviations",
  run: async (gpu) => {
    for (const [width, deviations] of [[2, 0], [65, 0.5], [200, -1], [200, 1.6448533535]]) {
      const x = normals(9, N * width).map((value) => value + 3);
      const actual = await runStep(gpu, {
        n: N,
        rows: { x: { values: x, width } },
        build: (builder, { x }) => cutGates(builder, { x, width, deviations }),
        read: "x",
      });
      assertNear(`${width} by ${deviations}`, actual, cutOffRows(x, width, deviations), 1e-5);
    }
  },
};

export const streamCases: readonly GpuCase[] = [mixCase, matchCase, cutCase];
