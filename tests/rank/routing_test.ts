/** The arithmetic that sends tokens to experts. */
import { assertAlmostEquals, assertEquals } from "@std/assert";
import type { ExpertsConfig } from "../../src/model/types.ts";
import { chooseExperts } from "../../src/reference/routing.ts";
import type { Chooser, Experts } from "../../src/rank/bound/bound_blocks.ts";
import type { Activations } from "../../src/rank/bound/matrix.ts";
import { ExpertRoutes } from "../../src/rank/neurons/expert_routes.ts";
import type { StepState } from "../../src/rank/step/step_state.ts";
import { Routing } from "../../src/rank/neurons/routing.ts";
import { Rng } from "../support/rng.ts";

const CONFIG: ExpertsConfig = {
  count: 4,
  usedCount: 2,
  feedForwardLength: 32,
  gating: "softmax",
  normalizesWeights: false,
  weightScale: 1,
  routerInput: "feedForward",
  sharedFeedForwardLength: 0,
  leadingDenseCount: 0,
};

/** Indices of nine experts. */
const NINE = [0, 1, 2, 3, 4, 5, 6, 7, 8];

const PLAIN = { choiceBias: null, scales: null };

Deno.test("Routing.route() chooses the highest logits, the lower index among equals", () => {
  assertEquals(route([[1, 5, 5, 5]]).experts, [[1, 2]]);
  assertEquals(route([[0, 0, 0, 0]]).experts, [[0, 1]]);
  assertEquals(route([[9, -1, 3, 2], [-1, -2, -3, -2]]).experts, [[0, 2], [0, 1]]);
});

Deno.test("Routing.route() chooses what sorting would", () => {
  const rng = new Rng(9);
  for (let round = 0; round < 200; round++) {
    const logits = NINE.map(() => rng.int(6)); // many equals
    const sorted = NINE.toSorted((a, b) => logits[b] - logits[a] || a - b);
    const usedCount = 1 + rng.int(NINE.length);
    const { experts } = route([logits], { count: NINE.length, usedCount });
    assertEquals(experts, [sorted.slice(0, usedCount).toSorted((a, b) => a - b)], `${logits}`);
  }
});

Deno.test("Routing.route() weighs by softmax over all, over the chosen, or by sigmoid", () => {
  const logits = [[1, 3, 2, 0]];
  const all = [1, 3, 2, 0].map(Math.exp).reduce((sum, value) => sum + value);
  assertWeights(route(logits), [[Math.exp(3) / all, Math.exp(2) / all]]);
  const share = 1 / (1 + Math.exp(-1));
  assertWeights(route(logits, { normalizesWeights: true }), [[share, 1 - share]]);
  assertWeights(route(logits, { gating: "softmaxOfChosen" }), [[share, 1 - share]]);
  const sigmoids = [3, 2].map((logit) => 1 / (1 + Math.exp(-logit)));
  assertWeights(route(logits, { gating: "sigmoid" }), [sigmoids]);
  const tiny = [Math.exp(-20), Math.exp(-30)]; // their sum is below 2^-14, which counts then
  const small = route([[-20, -40, -30, -50]], { gating: "sigmoid", normalizesWeights: true });
  assertWeights(small, [tiny.map((weight) => weight * 2 ** 14)]);
  assertWeights(route(logits, { gating: "sigmoid", weightScale: 2.5 }), [
    sigmoids.map((weight) => 2.5 * weight),
  ]);
});

Deno.test("Routing.route() takes the experts that a table has for a token, and weighs them", () => {
  const config = { ...CONFIG, gating: "rootSoftplus", normalizesWeights: true } as const;
  const routes = { rows: new Uint32Array(4), weights: new Float32Array(4) };
  const expertsOfTokens = Float32Array.of(0, 1, 3, 0, 2, 1);
  // The second row is no token's: it chooses.
  const routing = new Routing(config, 2, Int32Array.of(1, -1));
  const logits = Float32Array.of(1, 3, 2, -30, 1, 3, 2, -30);
  routing.route(logits, 2, { ...PLAIN, expertsOfTokens }, routes);
  assertEquals([...routing.starts], [0, 1, 2, 3, 4]);
  assertEquals([...routes.rows], [0, 1, 1, 0]);
  const root = (x: number) => Math.sqrt(Math.log1p(Math.exp(x)));
  const listed = root(1) + root(-30), chosen = root(3) + root(2);
  const expected = [root(1) / listed, root(3) / chosen, root(2) / chosen, root(-30) / listed];
  expected.forEach((weight, i) => assertAlmostEquals(routes.weights[i], weight, 1e-6));
});

Deno.test("Routing.route() adds the bias for the choice only", () => {
  const { experts, weights } = route([[1, 3, 2, 0]], { gating: "sigmoid" }, [0, 0, 0, 9]);
  assertEquals(experts, [[1, 3]]);
  assertAlmostEquals(weights[0][1], 0.5, 1e-6);
});

Deno.test("Routing.route() chooses within groups as the reference does, also among equals", () => {
  const rng = new Rng(12);
  for (let round = 0; round < 300; round++) {
    const [size, count] = [2 + rng.int(3), 2 + rng.int(4)];
    const groups = { count, usedCount: 1 + rng.int(count - 1) };
    const usedCount = 1 + rng.int(size * groups.usedCount);
    const config: ExpertsConfig = { ...CONFIG, count: size * count, usedCount, groups };
    const random = () => Array.from({ length: config.count }, () => rng.int(5) / 4);
    const [logits, bias] = [random(), rng.int(2) === 0 ? null : random()];
    const shares = chooseExperts(logits, bias, config).toSorted((a, b) => a.expert - b.expert);
    const found = route([logits], config, bias);
    assertEquals(found.experts, [shares.map(({ expert }) => expert)], JSON.stringify(groups));
    assertWeights(found, [shares.map(({ weight }) => weight)]);
  }
});

Deno.test("Routing.route() sorts by expert, and tokens within one", () => {
  const routing = new Routing(CONFIG, 8);
  const routes = { rows: new Uint32Array(16), weights: new Float32Array(16) };
  // Twice, because what is left of the first time must not count.
  for (const logits of [[[4, 3, 2, 1]], [[0, 9, 8, 0], [9, 0, 8, 0], [0, 0, 8, 9]]]) {
    routing.route(Float32Array.from(logits.flat()), logits.length, PLAIN, routes);
  }
  assertEquals([...routing.starts], [0, 1, 2, 5, 6]);
  assertEquals([...routes.rows.subarray(0, 6)], [1, 0, 0, 1, 2, 2]);
});

Deno.test("Routing.writeByToken() has the same routes by token, best first, as a GPU reads them", () => {
  const routing = new Routing(CONFIG, 4);
  const routes = { rows: new Uint32Array(8), weights: new Float32Array(8) };
  const scales = Float32Array.of(1, 2, 4, 8);
  const logits = Float32Array.of(0, 3, 1, 9, 9, 0, 5, 1);
  routing.route(logits, 2, { choiceBias: null, scales }, routes);
  const experts = new Uint32Array(16).fill(77);
  const weights = new Float32Array(experts.buffer);
  routing.writeByToken(2, scales, experts, weights);
  const found = [0, 1, 2, 3].map((route) => [experts[2 * route], weights[2 * route + 1]]);
  assertEquals(found.map(([expert]) => expert), [3, 1, 0, 2]);
  // By expert they lie so: token 1 to 0, token 0 to 1, token 1 to 2, token 0 to 3.
  const [first, second, third, fourth] = routes.weights;
  assertEquals(found.map(([, weight]) => weight), [fourth, second, first, third]);
  assertEquals([...experts.subarray(8)], Array(8).fill(77), "nothing behind the step's tokens");
  routing.writeByToken(2, null, experts, weights);
  assertEquals(weights[1], fourth / 8);
});

Deno.test("Routing.route() keeps weights finite for any logits", () => {
  const rng = new Rng(4);
  for (const gating of ["softmax", "softmaxOfChosen", "sigmoid"] as const) {
    for (const size of [1, 100, 1e30]) {
      const logits = [[0, 0, 0, 0].map(() => rng.normal() * size)];
      const { weights } = route(logits, { gating });
      assertEquals(weights.flat().every(Number.isFinite), true, `${gating} ${logits}`);
    }
  }
});

/** Experts and weights of each token, by expert. */
function route(
  logits: number[][],
  config: Partial<ExpertsConfig> = {},
  bias: number[] | null = null,
): { experts: number[][]; weights: number[][] } {
  const n = logits.length;
  const all = { ...CONFIG, ...config };
  const routing = new Routing(all, n);
  const length = n * all.usedCount;
  const routes = { rows: new Uint32Array(length), weights: new Float32Array(length) };
  const choiceBias = bias && Float32Array.from(bias);
  routing.route(Float32Array.from(logits.flat()), n, { choiceBias, scales: null }, routes);
  const experts: number[][] = logits.map(() => []);
  const weights: number[][] = logits.map(() => []);
  for (let expert = 0; expert < all.count; expert++) {
    for (let j = routing.starts[expert]; j < routing.starts[expert + 1]; j++) {
      experts[routes.rows[j]].push(expert);
      weights[routes.rows[j]].push(routes.weights[j]);
    }
  }
  return { experts, weights };
}

function assertWeights(found: { weights: number[][] }, expected: number[][]): void {
  found.weights.flat().forEach((weight, i) =>
    assertAlmostEquals(weight, expected.flat()[i], 1e-6 * expected.flat()[i])
  );
}

Deno.test("ExpertRoutes.unitAfter() is what comes from the disk next, nothing that is in memory", () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const routing = { logits: 0, rows: 1024, weights: 2048, sharedWeights: 3072 };
  const after = (n: number, index: number, shared: unknown, apart: unknown = null) => {
    const state = {
      ...{ n, arena: 0, config: { experts: CONFIG }, kernels: { matmul_f32_f32: () => {} } },
      plan: { chunkTokens: 4, strides: { embedding: 0 }, workspaces: [{ routing }] },
    };
    const routes = new ExpertRoutes(state as unknown as StepState, [memory], null);
    const router = { type: "F32", scratch: 0, sums: 0, limits: null, bias: 0, rowCount: 4 };
    // Equal logits: all tokens choose experts 0 and 1.
    routes.choose({ router, ...PLAIN } as unknown as Chooser, {} as Activations);
    const experts = [10, 11, 12, 13].map((unit) => ({ kind: "streamed", unit, count: 1 }));
    return routes.unitAfter({ experts, shared, apart } as unknown as Experts, index);
  };
  const [onDisk, inMemory] = [{ kind: "streamed", unit: 14 }, { kind: "dense" }];
  assertEquals([after(1, 0, null), after(1, 0, onDisk)], [11, 11], "chosen, too");
  assertEquals([after(1, 1, null), after(1, 1, inMemory)], [-1, -1]);
  assertEquals([after(1, 1, onDisk), after(2, 1, onDisk)], [14, 14]);
  // Nearly all are needed: the next layer's first.
  assertEquals([after(2, 1, null), after(2, 1, inMemory)], [14, 15]);
  assertEquals([after(2, 1, onDisk, {}), after(2, 1, inMemory, {})], [-1, 15]);
});
