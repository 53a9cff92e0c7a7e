/** Who is chosen of experts, how routes are sorted, and steps in which it matters. */
import {
  chooseExperts,
  combineRoutes,
  createMatrix,
  createRoutes,
  type Gpu,
  matmul,
  type ProgramBuilder,
  type Routes,
  type Rows,
} from "../../../gpu/mod.ts";
import type { ExpertsConfig } from "../../../src/model/mod.ts";
import {
  chooseExperts as referenceChoice,
  type ExpertShare,
} from "../../../src/reference/routing.ts";
import { runStep, type TestStep } from "../../support/gpu.ts";
import { Rng } from "../../support/rng.ts";
import { assertNear, normals } from "./compare.ts";
import type { GpuCase } from "./types.ts";

export const CONFIG: ExpertsConfig = {
  count: 5,
  usedCount: 3,
  feedForwardLength: 64,
  gating: "softmax",
  normalizesWeights: true,
  weightScale: 1.5,
  routerInput: "feedForward",
  sharedFeedForwardLength: 0,
  leadingDenseCount: 0,
};

/** A step's tokens, and what their router says. */
export interface Mixed {
  readonly config: ExpertsConfig;
  readonly n: number;
  /** [n, experts]. */
  readonly logits: Float32Array;
  readonly bias?: Float32Array;
  readonly scales?: Float32Array;
  /** Tokens of a sequence each. */
  readonly isApart?: boolean;
}

/** Runs `build` behind the choice of experts. */
export async function runMixed<Name extends string>(
  gpu: Gpu,
  { config, n, logits, bias, scales, isApart = false }: Mixed,
  { rows, build, read }: Pick<TestStep<Name>, "rows" | "read"> & {
    build: (
      builder: ProgramBuilder,
      routes: Routes,
      rows: Readonly<Record<Name, Rows>>,
    ) => void;
  },
): Promise<Float32Array> {
  const { count: experts, usedCount: used } = config;
  const routes = await createRoutes(gpu, { experts, used, maxTokens: n });
  // Of an earlier step: tiles of expert 0 with one route.
  const { buffer, tiles } = routes;
  gpu.write(
    buffer,
    0,
    Uint32Array.from({ length: buffer.size / 4 }, (_, i) => (i - tiles[32]) % 3),
  );
  const choiceBias = bias ? await gpu.createVector("choice", bias) : null;
  const scaling = scales ? await gpu.createVector("scales", scales) : null;
  const apart = Array.from({ length: n }, () => ({ position: 0, blocks: [] }));
  const out = await runStep<Name | "logits">(gpu, {
    n,
    ...isApart ? { sequences: apart } : {},
    rows: { ...rows, logits: { values: logits, width: experts } } as TestStep<
      Name | "logits"
    >["rows"],
    build: (builder, places) => {
      const of = { choiceBias, scales: scaling, routes };
      chooseExperts(builder, { logits: places.logits, config, ...of });
      build(builder, routes, places);
    },
    read,
  });
  for (const buffer of [routes.buffer, choiceBias, scaling]) if (buffer) gpu.destroyBuffer(buffer);
  return out;
}

/** Whom each token chooses, by the reference; best first. */
export function sharesOf({ config, n, logits, bias, scales }: Mixed): ExpertShare[][] {
  return Array.from({ length: n }, (_, t) => {
    const own = logits.subarray(t * config.count, (t + 1) * config.count);
    return referenceChoice(own, bias ?? null, config)
      .map(({ expert, weight }) => ({ expert, weight: weight * (scales?.[expert] ?? 1) }));
  });
}

/** All tokens choose the same experts where `isUneven`. */
export function mixed(
  n: number,
  { isUneven = false, config = CONFIG, isApart = false } = {},
): Mixed {
  const logits = normals(9, n * config.count);
  if (isUneven) { for (let i = 0; i < logits.length; i++) logits[i] += 9 * (i % config.count % 2); }
  return { config, n, logits, isApart };
}

/** Numbers of experts, exactly: expert e's weights are e. */
async function chosenOnGpu(gpu: Gpu, of: Mixed): Promise<Float32Array> {
  const { config: { count, usedCount: used }, n } = of;
  const matrix = await createMatrix(gpu, "e", { type: "F32", rows: 4 * count, columns: 4 });
  const numbers = Float32Array.from({ length: 16 * count }, (_, i) => Math.floor(i / 16) / 4);
  matrix.write(new Uint8Array(numbers.buffer), { firstRow: 0 });
  const out = await runMixed(gpu, of, {
    rows: {
      x: { values: new Float32Array(4 * n).fill(1), width: 4 },
      to: { values: new Float32Array(4 * n * used), width: 4, perToken: used },
    },
    build: (builder, routes, { x, to }) => matmul(builder, { matrix, routes, x, to }),
    read: "to",
  });
  matrix.destroy();
  return out.filter((_, i) => i % 4 === 0);
}

/** What they count: each route gives 1 in a column of its own. */
async function weightsOnGpu(gpu: Gpu, of: Mixed): Promise<Float32Array> {
  const { config: { usedCount: used }, n } = of;
  const width = 4 * Math.ceil(used / 4);
  const x = new Float32Array(n * used * width);
  for (let route = 0; route < n * used; route++) x[route * width + route % used] = 1;
  const out = await runMixed(gpu, of, {
    rows: {
      x: { values: x, width, perToken: used },
      to: { values: new Float32Array(n * width).fill(2), width },
    },
    build: (builder, routes, { x, to }) =>
      void combineRoutes(builder, {
        ...{ routes, x, to, width },
        ...{ accumulate: false, scale: 1, next: null },
      }),
    read: "to",
  });
  return out.filter((_, i) => i % width < used);
}

async function checkChoice(gpu: Gpu, of: Mixed): Promise<void> {
  const shares = sharesOf(of).flat();
  const label = JSON.stringify(of.config);
  assertNear(label, await chosenOnGpu(gpu, of), shares.map(({ expert }) => expert), 1e-3);
  const weights = shares.map(({ weight }) => weight);
  const bound = (i: number) => 3e-6 * Math.abs(weights[i]) + 1e-9;
  assertNear(`weights ${label}`, await weightsOnGpu(gpu, of), weights, bound);
}

const choiceCase: GpuCase = {
  kernels: ["choose_experts", "combine_routes"],
  name: "chooseExperts() chooses and weighs as the reference does",
  run: async (gpu) => {
    const rng = new Rng(5);
    for (const [count, usedCount] of [[9, 9], [130, 8], [300, 1]]) {
      for (const gating of ["softmax", "sigmoid", "softmaxOfChosen"] as const) {
        const normalizesWeights = rng.int(2) === 0;
        const config = { ...CONFIG, count, usedCount, gating, normalizesWeights };
        const n = 3;
        // Logits of softmax may be larger than what exp() of f32 has room for.
        const middle = gating === "sigmoid" ? 0 : 200;
        const logits = normals(rng.int(1000), n * count, 2).map((logit) => logit + middle);
        const bias = rng.int(2) === 0 ? normals(7, count) : undefined;
        const scales = rng.int(2) === 0 ? normals(8, count) : undefined;
        await checkChoice(gpu, { config, n, logits, bias, scales });
      }
    }
    for (const groups of [{ count: 4, usedCount: 2 }, { count: 3, usedCount: 1 }]) {
      const config = { ...CONFIG, count: 12, usedCount: 3, gating: "sigmoid", groups } as const;
      // Equals among groups, and within them.
      const logits = Float32Array.from({ length: 20 * 12 }, () => rng.int(4) / 4);
      await checkChoice(gpu, { config, n: 20, logits });
    }
    // Sums of weights that count as 2^-14.
    const config = { ...CONFIG, gating: "sigmoid" } as const;
    const logits = Float32Array.of(-30, -20, -40, -25, -50);
    await checkChoice(gpu, { config, n: 1, logits, isApart: true });
  },
};

const sortCase: GpuCase = {
  kernels: ["sort_routes", "matmul_float_routed"],
  name: "chooseExperts() sorts routes of pages of tokens, and those of many experts",
  run: async (gpu) => {
    const few = { ...CONFIG, count: 7, usedCount: 4 };
    const many = { ...CONFIG, count: 300, usedCount: 2 };
    for (const step of [mixed(300, { config: few }), mixed(20, { config: many })]) {
      const experts = sharesOf(step).flat().map(({ expert }) => expert);
      assertNear("experts", await chosenOnGpu(gpu, step), experts, 1e-3);
    }
  },
};

export const routeCases: readonly GpuCase[] = [choiceCase, sortCase];
