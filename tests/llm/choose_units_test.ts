import { assertEquals, assertLess, assertMatch, assertThrows } from "@std/assert";
import { UnsupportedModelError } from "../../src/base/errors.ts";
import { MiB } from "../../src/base/units.ts";
import type { BundleUnit } from "../../src/bundle/types.ts";
import { chooseUnits, type UnitBudget } from "../../src/llm/choose_units.ts";
import { PAGE_BYTES } from "../../src/memory/arena.ts";
import { processBytes } from "../../src/planner/calibration.ts";
import type { RankPlan } from "../../src/rank/plan/plan_types.ts";
import {
  ALL_STEPS,
  residentCount,
  slotBytesOf,
  type UnitOptions,
} from "../../src/rank/plan/plan_units.ts";

const NEURONS = 4096;
const UNITS = Array.from({ length: 8 }, (_, layer) => ({
  ...{ layer, expert: null, neurons: NEURONS, stripes: 1 },
  ...{ restOffsetBytes: 1024, bundleBytes: 4096 },
})) as unknown as BundleUnit[];
const UNIT_BYTES = NEURONS * 4096;
const FIXED_BYTES = 64 * MiB;

/** Two ranks, whose plans are as large as their options say. */
function plan(options: UnitOptions): RankPlan[] {
  const { residentUnits, hasResidentGates, slotCount, stagePlaces, arenaCount } = options;
  const streamed = UNITS.slice(residentUnits);
  const gates = hasResidentGates ? streamed.length * NEURONS * 1024 : 0;
  const whole = Math.min(residentUnits, UNITS.length) * UNIT_BYTES;
  const bytes = (FIXED_BYTES + gates + whole) / 2 +
    slotCount * slotBytesOf(streamed, hasResidentGates) +
    (stagePlaces - 1) * arenaCount * UNIT_BYTES / 2;
  const stream = { neuronCount: NEURONS / 2, spareCount: 1000, placeBytes: UNIT_BYTES / 2 };
  const arenas = [{ regions: [], pageCount: Math.ceil(bytes / PAGE_BYTES) }];
  const one = { arenas, workspaces: [{ stream }], layers: [], gpu: null, stream: null };
  return [one, one] as unknown as RankPlan[];
}

const BUDGET: Omit<UnitBudget, "budgetBytes"> = {
  ...{ besideBytes: 0, steps: ALL_STEPS },
  ...{ units: UNITS, isSilent: true, way: "gates", ioWorkers: 0, lanes: 1, plan },
};
/** What is there beside the model's own bytes. */
const PROCESS_BYTES = processBytes(UNITS.length);
const OTHER_BYTES = PROCESS_BYTES + FIXED_BYTES;

Deno.test("chooseUnits() takes a model that fits as a whole", () => {
  const { residentUnits } = chooseUnits({ ...BUDGET, budgetBytes: OTHER_BYTES + 8 * UNIT_BYTES });
  assertEquals(residentUnits, 8);
});

Deno.test("chooseUnits() fills what gates leave with slots, and never more", () => {
  const gates = 8 * NEURONS * 1024;
  const spares = Array.from({ length: 50 }, (_, i) => 16 * MiB + i * 10_007);
  for (const spare of [...spares, 40 * MiB, 70 * MiB]) {
    const budgetBytes = OTHER_BYTES + gates + spare;
    const options = chooseUnits({ ...BUDGET, budgetBytes });
    assertEquals([options.residentUnits, options.hasResidentGates], [0, true]);
    const bytes = PROCESS_BYTES +
      plan(options).reduce((sum, { arenas }) => sum + arenas[0].pageCount * PAGE_BYTES, 0);
    assertEquals(bytes <= budgetBytes, true, `${bytes} of ${budgetBytes}`);
    assertEquals(2 * options.slotCount * 3072 > spare - MiB, true, `${options.slotCount} slots`);
  }
});

Deno.test("chooseUnits() without a cache has slots for a token's block, whatever the budget", () => {
  const budgetBytes = OTHER_BYTES + 8 * NEURONS * 1024 + 40 * MiB;
  const steps = { ...ALL_STEPS, cache: false };
  const { slotCount, hotShare } = chooseUnits({ ...BUDGET, steps, budgetBytes });
  assertEquals([slotCount, hotShare], [NEURONS / 2 - 1000, 0]);
  assertLess(slotCount, chooseUnits({ ...BUDGET, budgetBytes }).slotCount);
});

Deno.test("chooseUnits() keeps whole units of neurons that all fire", () => {
  const budgetBytes = OTHER_BYTES + 5.5 * UNIT_BYTES;
  const { residentUnits, slotCount } = chooseUnits({ ...BUDGET, isSilent: false, budgetBytes });
  assertEquals([residentUnits, slotCount], [5, 0]);
});

Deno.test("chooseUnits() has places for as many experts that all fire as there is room for", () => {
  const mixture = { ...BUDGET, isSilent: false, lanes: 2 };
  for (const units of [1.5, 2.5, 5.5, 6.9]) {
    const budgetBytes = OTHER_BYTES + units * UNIT_BYTES;
    const options = chooseUnits({ ...mixture, budgetBytes });
    assertEquals([options.residentUnits, options.slotCount], [0, 0]);
    // One more than stay.
    assertEquals(options.stagePlaces, 1 + Math.floor(units));
  }
  const budgetBytes = OTHER_BYTES + 5.5 * UNIT_BYTES;
  const uncached = { ...mixture, steps: { ...ALL_STEPS, cache: false }, budgetBytes };
  const { stagePlaces, residentUnits } = chooseUnits(uncached);
  assertEquals([stagePlaces, residentUnits], [1, 5]);
});

/** Of two layers: four experts, and what every token needs, which is as large as five. */
const SHARED_BYTES = 5 * UNIT_BYTES;
const SHARED_UNITS = [0, 1].flatMap((layer) =>
  [0, 1, 2, 3, "shared"].map((expert) => ({ ...UNITS[0], layer, expert }))
) as unknown as BundleUnit[];

/** One rank, which beside places has what is kept; overflows: of so many places in one arena. */
function planShared(
  { residentUnits, keepsCommon, stagePlaces, arenaCount }: UnitOptions,
  overflows = Infinity,
  sharedBytes = SHARED_BYTES,
): RankPlan[] {
  const bytesOf = ({ expert }: BundleUnit) => expert === "shared" ? sharedBytes : UNIT_BYTES;
  const isKept = (unit: BundleUnit, index: number) =>
    index < residentUnits || keepsCommon && unit.expert === "shared";
  const kept = SHARED_UNITS.filter(isKept).reduce((sum, unit) => sum + bytesOf(unit), 0);
  const others = SHARED_UNITS.filter((unit, index) => !isKept(unit, index));
  const placeBytes = Math.max(0, ...others.map(bytesOf));
  const sets = arenaCount === 1 && stagePlaces > overflows ? 2 : arenaCount;
  const bytes = FIXED_BYTES + kept + stagePlaces * sets * placeBytes;
  const arenas = [{ regions: [], pageCount: Math.ceil(bytes / PAGE_BYTES) }];
  const stream = { neuronCount: NEURONS, spareCount: 1000, placeBytes };
  return [{
    arenas,
    workspaces: [{ stream }],
    layers: [],
    gpu: null,
    stream: null,
  }] as unknown as RankPlan[];
}

const SHARED: Omit<UnitBudget, "budgetBytes"> = {
  ...{ ...BUDGET, units: SHARED_UNITS, isSilent: false, lanes: 3 },
  plan: (options) => planShared(options),
};

Deno.test("chooseUnits() keeps what every token needs where two experts fit beside it", () => {
  const other = processBytes(SHARED_UNITS.length) + FIXED_BYTES;
  const chosen = (places: number, less = 0) => {
    const budgetBytes = other + 2 * SHARED_BYTES + places * UNIT_BYTES + PAGE_BYTES - less;
    const { keepsCommon, stagePlaces, residentUnits } = chooseUnits({ ...SHARED, budgetBytes });
    return [keepsCommon, stagePlaces, residentUnits];
  };
  assertEquals([chosen(2), chosen(4), chosen(6.5)], [[true, 2, 0], [true, 4, 0], [true, 6, 0]]);
  // At the edge: places are then as large as what every token needs, and there are two of them.
  assertEquals(chosen(2, 1), [false, 2, 0]);
  assertEquals(chosen(-4), [false, 1, 1]);
  const whole = other + 2 * SHARED_BYTES + 8 * UNIT_BYTES;
  assertEquals(chooseUnits({ ...SHARED, budgetBytes: whole }).residentUnits, 10);
});

Deno.test("chooseUnits() has no fewer units in memory where it keeps what every token needs", () => {
  for (const share of [0.5, 1, 2.5, 5]) {
    const planOf = (options: UnitOptions) => planShared(options, Infinity, share * UNIT_BYTES);
    // There is no room for what keeps it.
    const keepsNone = (options: UnitOptions) =>
      planOf(options.keepsCommon ? { ...options, stagePlaces: 99 } : options);
    const held = (budgetBytes: number, plan: UnitBudget["plan"]) => {
      const options = chooseUnits({ ...SHARED, budgetBytes, plan });
      const { keepsCommon, arenaCount, stagePlaces } = options;
      return { keepsCommon, units: residentCount(options) + arenaCount * (stagePlaces - 1) };
    };
    const least = processBytes(SHARED_UNITS.length) + FIXED_BYTES +
      Math.max(1, share) * UNIT_BYTES + PAGE_BYTES;
    const kept = [];
    for (let units = 0; units < 8 + 2 * share; units += 0.25) {
      const budgetBytes = least + units * UNIT_BYTES;
      const usual = held(budgetBytes, planOf), before = held(budgetBytes, keepsNone);
      assertEquals([before.keepsCommon, usual.units >= before.units], [false, true], `${units}`);
      kept.push(usual.keepsCommon);
    }
    assertEquals([...new Set(kept)], [false, true], "from some budget on it does");
  }
});

Deno.test("chooseUnits() stays within the budget where what is kept overflows an arena", () => {
  const plan = (options: UnitOptions) => planShared(options, 3);
  const budgetBytes = processBytes(SHARED_UNITS.length) + FIXED_BYTES + 2 * SHARED_BYTES +
    6.5 * UNIT_BYTES;
  const options = chooseUnits({ ...SHARED, budgetBytes, plan });
  const [{ arenas: [{ pageCount }] }] = plan(options);
  assertLess(pageCount * PAGE_BYTES + processBytes(SHARED_UNITS.length), budgetBytes);
  assertEquals([options.keepsCommon, options.arenaCount, options.stagePlaces], [true, 2, 3]);
});

Deno.test("chooseUnits() brings whole blocks where gates do not fit", () => {
  const options = chooseUnits({ ...BUDGET, budgetBytes: OTHER_BYTES + 1.5 * UNIT_BYTES });
  assertEquals([options.residentUnits, options.hasResidentGates, options.slotCount], [1, false, 0]);
});

Deno.test("chooseUnits() refuses with the smallest budget that works", () => {
  const error = assertThrows(
    () => chooseUnits({ ...BUDGET, budgetBytes: 100 * MiB }),
    UnsupportedModelError,
  );
  assertMatch(error.message, /needs at least 214.7 MiB \(225050624 bytes\)/);
});
