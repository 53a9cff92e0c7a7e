/** Activations, sums, scales, caps. */
import {
  activate,
  type ActivationArgs,
  addRows,
  createRoutes,
  scaleRows,
  weighRows,
} from "../../../gpu/mod.ts";
import {
  activateMul,
  activation,
  clamp,
  cutBelow,
  xielu,
} from "../../../src/reference/activation_ops.ts";
import { check } from "../../../src/base/check.ts";
import { sigmoid } from "../../../src/reference/routing.ts";
import { softplus } from "../../../src/reference/state_space.ts";
import { runStep } from "../../support/gpu.ts";
import { assertNear, normals } from "./compare.ts";
import type { GpuCase } from "./types.ts";

const N = 3;

/** What a neuron gives on; without a gate that is its up. */
export function neuronOf(shape: ActivationArgs, gate: number, up: number): number {
  const { isGated, activatesUp = false, firingThreshold = 0, limit } = shape;
  const act = (value: number) =>
    shape.activation === "xielu" ? xielu(value, shape.curve!) : activation(shape.activation, value);
  const decides = firingThreshold > 0 ? cutBelow([gate], firingThreshold)[0] : gate;
  if (!isGated) return act(decides);
  if (limit) return Math.min(act(decides), limit.gate) * clamp([up], limit.up)[0];
  check(shape.activation !== "xielu", "no family gates xielu");
  return activateMul(shape.activation, [decides], [activatesUp ? act(up) : up])[0];
}

const checkActivate = (shape: ActivationArgs, neurons: number): GpuCase["run"] => async (gpu) => {
  const columns = shape.isGated ? 2 * neurons : neurons;
  const x = normals(1, N * columns, 4);
  x.set([-200, 200, -0, 0, -88.5], 0);
  const actual = await runStep(gpu, {
    n: N,
    rows: {
      x: { values: x, width: columns },
      to: { values: new Float32Array(N * neurons), width: neurons },
    },
    build: (builder, { x, to }) => activate(builder, { x, to, neurons, ...shape }),
    read: "to",
  });
  const expected = Float64Array.from({ length: N * neurons }, (_, i) => {
    const row = Math.floor(i / neurons) * columns + i % neurons;
    return neuronOf(shape, x[row], x[row + neurons]);
  });
  const bound = (i: number) => 1e-6 * (20 + Math.abs(expected[i]) * 4);
  assertNear(JSON.stringify(shape), actual, expected, bound);
};

export const elementwiseCases: readonly GpuCase[] = [
  ...(["silu", "gelu", "quickGelu", "relu", "relu2"] as const).map((activation): GpuCase => ({
    kernels: ["activate"],
    name: `activate() makes ${activation} of gates and ups, with a threshold`,
    run: async (gpu) => {
      for (const neurons of [5, 64, 132]) {
        await checkActivate({ activation, isGated: true }, neurons)(gpu);
        await checkActivate({ activation, isGated: false }, neurons)(gpu);
      }
      await checkActivate({ activation, isGated: true, activatesUp: true }, 68)(gpu);
      await checkActivate({ activation, isGated: true, firingThreshold: 0.7 }, 68)(gpu);
      await checkActivate({ activation, isGated: false, firingThreshold: 0.7 }, 68)(gpu);
    },
  })),
  {
    kernels: ["activate"],
    name: "activate() makes swiglu7 of gates and ups, and cuts off what has a limit",
    run: async (gpu) => {
      const shape = { activation: "swiglu7", isGated: true } as const;
      for (const neurons of [5, 132]) await checkActivate(shape, neurons)(gpu);
      const limit = { gate: 0.4, up: 1.5 };
      await checkActivate({ activation: "silu", isGated: true, limit }, 68)(gpu);
    },
  },
  {
    kernels: ["activate"],
    name: "activate() makes xielu of ups, by a layer's curve",
    run: async (gpu) => {
      const curve = { negative: 1.7, positive: 0.8, linear: 0.5, least: -1e-6 };
      const shape = { activation: "xielu", isGated: false } as const;
      for (const neurons of [5, 132]) await checkActivate({ ...shape, curve }, neurons)(gpu);
      await checkActivate({ ...shape, curve: { ...curve, least: 0.4 } }, 68)(gpu);
    },
  },
  {
    kernels: ["add_rows"],
    name: "addRows() adds scaled rows",
    run: async (gpu) => {
      for (const width of [3, 64, 130]) {
        const x = normals(2, N * width);
        const to = normals(3, N * width);
        const actual = await runStep(gpu, {
          n: N,
          rows: { x: { values: x, width }, to: { values: to, width } },
          build: (builder, { x, to }) => addRows(builder, { x, to, width, scale: 0.25 }),
          read: "to",
        });
        assertNear("add", actual, to.map((value, i) => value + 0.25 * x[i]), 1e-6);
      }
    },
  },
  {
    kernels: ["scale_rows"],
    name: "scaleRows() scales and caps all rows, or the scored ones, and cuts them off",
    run: async (gpu) => {
      for (const width of [3, 64, 130]) {
        const x = normals(4, N * width, 30);
        const scale = (value: number, cap: number) =>
          cap === 0 ? 2 * value : cap * Math.tanh(2 * value / cap);
        for (const [cap, limit] of [[0, 0], [30, 0], [0, 20], [30, 25]]) {
          const actual = await runStep(gpu, {
            n: N,
            m: 1,
            rows: { x: { values: x, width } },
            build: (builder, { x }) =>
              scaleRows(builder, { x, width, scale: 2, cap, limit, count: "scored" }),
            read: "x",
          });
          const most = limit === 0 ? Infinity : limit;
          const expected = x.map((value, i) =>
            i < width ? Math.max(-most, Math.min(most, scale(value, cap))) : value
          );
          assertNear(`cap ${cap}, limit ${limit}`, actual, expected, 1e-4);
        }
      }
    },
  },
  {
    kernels: ["weigh_rows"],
    name: "weighRows() multiplies columns by weights that some share, or what becomes of these",
    run: async (gpu) => {
      const width = 70;
      const x = normals(5, N * width);
      const weights = normals(6, N * 80, 9);
      weights.set([-200, 200, 0], 4);
      const gelu = (w: number) => activation("gelu", w);
      const acts = { none: (w: number) => w, sigmoid, softplus, gelu };
      for (const columnsPerWeight of [undefined, 1, 35]) {
        for (const activation of ["none", "sigmoid", "softplus", "gelu"] as const) {
          const actual = await runStep(gpu, {
            n: N,
            rows: { x: { values: x, width }, weights: { values: weights, width: 80 } },
            build: (builder, { x, weights }) => {
              const picked = { ...weights, column: 4 };
              weighRows(builder, { x, width, weights: picked, columnsPerWeight, activation });
            },
            read: "x",
          });
          const expected = x.map((value, i) => {
            const column = Math.floor(i % width / (columnsPerWeight ?? width));
            return value * acts[activation](weights[Math.floor(i / width) * 80 + 4 + column]);
          });
          const bound = (i: number) => 1e-5 * Math.max(1, Math.abs(expected[i]));
          assertNear(`${activation} ${columnsPerWeight}`, actual, expected, bound);
        }
      }
    },
  },
  {
    kernels: ["weigh_rows"],
    name: "weighRows() multiplies all rows by one number, or each route's by what it counts",
    run: async (gpu) => {
      const [width, used] = [70, 2];
      const x = normals(5, N * used * width);
      const routes = await createRoutes(gpu, { experts: 4, used, maxTokens: N });
      const counts = normals(7, N * used);
      // Each route's expert, and how much it counts.
      const words = Float32Array.from({ length: 2 * N * used }, (_, i) => i % 2 && counts[i >> 1]);
      gpu.device.queue.writeBuffer(routes.buffer, 0, words);
      const one = await gpu.createVector("one", Float32Array.of(0.75));
      for (const weights of [one, routes]) {
        const actual = await runStep(gpu, {
          n: N,
          rows: { x: { values: x, width, perToken: used } },
          build: (builder, { x }) => weighRows(builder, { x, width, weights }),
          read: "x",
        });
        const expected = x.map((value, i) =>
          value * (weights === one ? 0.75 : counts[Math.floor(i / width)])
        );
        assertNear(weights === one ? "one" : "routes", actual, expected, 1e-6);
      }
    },
  },
];
