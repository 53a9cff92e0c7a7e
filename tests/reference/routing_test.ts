import { assertAlmostEquals, assertEquals } from "@std/assert";
import type { ExpertsConfig } from "../../src/model/mod.ts";
import { chooseExperts } from "../../src/reference/routing.ts";

const CONFIG: ExpertsConfig = {
  count: 4,
  usedCount: 2,
  feedForwardLength: 8,
  gating: "softmax",
  normalizesWeights: false,
  weightScale: 1,
  routerInput: "feedForward",
  sharedFeedForwardLength: 0,
  leadingDenseCount: 0,
};

/** Probabilities 0.1, 0.4, 0.2, 0.3 under softmax. */
const LOGITS = [0.1, 0.4, 0.2, 0.3].map(Math.log);

function assertShares(
  changes: Partial<ExpertsConfig>,
  expected: readonly (readonly [expert: number, weight: number])[],
  { logits = LOGITS, choiceBias = null as number[] | null } = {},
): void {
  const shares = chooseExperts(logits, choiceBias, { ...CONFIG, ...changes });
  assertEquals(shares.map(({ expert }) => expert), expected.map(([expert]) => expert));
  shares.forEach(({ weight }, i) => assertAlmostEquals(weight, expected[i][1], 1e-12));
}

Deno.test("chooseExperts() takes the likeliest, with their share of all", () => {
  assertShares({}, [[1, 0.4], [3, 0.3]]);
});

Deno.test("chooseExperts() makes weights sum to 1, times the scale", () => {
  assertShares({ normalizesWeights: true }, [[1, 4 / 7], [3, 3 / 7]]);
  assertShares({ normalizesWeights: true, weightScale: 7 }, [[1, 4], [3, 3]]);
});

Deno.test("chooseExperts() takes softmax over the chosen ones only", () => {
  assertShares({ gating: "softmaxOfChosen" }, [[1, 4 / 7], [3, 3 / 7]]);
});

Deno.test("chooseExperts() takes each one's sigmoid", () => {
  const logits = [0, Math.log(3), -1, Math.log(1 / 3)];
  assertShares({ gating: "sigmoid" }, [[1, 0.75], [0, 0.5]], { logits });
});

Deno.test("chooseExperts() lets a bias choose, but not weigh", () => {
  assertShares({}, [[0, 0.1], [1, 0.4]], { choiceBias: [1, 0, 0, 0] });
});

Deno.test("chooseExperts() chooses within the groups whose two best have most", () => {
  const logits = [0.3, 0.01, 0.18, 0.17, 0.25, 0.09].map(Math.log);
  const groups = { count: 3, usedCount: 1 };
  assertShares({ count: 6, groups }, [[2, 0.18], [3, 0.17]], { logits });
  // A bias counts for groups, too.
  const choiceBias = [0.5, 0, 0, 0, 0, 0];
  assertShares({ count: 6, groups }, [[0, 0.3], [1, 0.01]], { logits, choiceBias });
});

Deno.test("chooseExperts() prefers the first of equals", () => {
  assertShares({ usedCount: 3 }, [[1, 0.3], [2, 0.3], [3, 0.3]], {
    logits: [0.1, 0.3, 0.3, 0.3].map(Math.log),
  });
});

Deno.test("chooseExperts() does not divide by a sum of nothing", () => {
  const shares = chooseExperts([-800, -800, -800, -800], null, {
    ...CONFIG,
    gating: "sigmoid",
    normalizesWeights: true,
  });
  assertEquals(shares.map(({ weight }) => weight), [0, 0]);
});
