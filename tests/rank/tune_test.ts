/** The choice between two kernels that give the same bits, with kernels whose speed is made up. */
import { assertEquals, assertStrictEquals } from "@std/assert";
import { parseGguf } from "../../src/gguf/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import { planRanks } from "../../src/rank/plan/plan.ts";
import type { RankPlan } from "../../src/rank/plan/plan_types.ts";
import { tuneKernels } from "../../src/rank/load/tune.ts";
import type { SynthType } from "../../src/synth/synth_types.ts";
import type { Kernels } from "../../wasm/kernels.ts";
import { tinyModel } from "../support/tiny_model.ts";

const MS = 0.25;
/** What time it is: kernels make it pass, and nothing else, however busy the machine is. */
let clockMs = 0;
/** Weights that no cache holds, made once. */
const ALL_ROWS = 9216;
const LARGE = planOf({ feedForwardLength: ALL_ROWS });

timed("tuneKernels() takes two streams where they are faster, else four", () => {
  const chosen = (twoMs: number, fourMs: number) => {
    const kernels = kernelsOf(() => twoMs, () => fourMs);
    const [tuned] = tuneKernels(LARGE, both(kernels));
    return tuned.matmul_q8 === kernels.matmul_q8_two_streams ? "two" : "four";
  };
  assertEquals(chosen(MS, 2 * MS), "two");
  assertEquals(chosen(2 * MS, MS), "four");
});

timed("tuneKernels() is not led astray by a core that is taken away for a while", () => {
  let calls = 0;
  // Two streams are slower; but the first two trials of four, of two products each, are held up.
  const fourMs = (rows: number) => rows === ALL_ROWS && calls++ < 4 ? 8 * MS : MS;
  const kernels = kernelsOf(() => 1.5 * MS, fourMs);
  assertStrictEquals(
    tuneKernels(LARGE, both(kernels))[0].matmul_q8,
    kernels.matmul_q8,
  );
});

timed("tuneKernels() unpacks a few tokens' rows in registers where that is faster", () => {
  const chosen = (fewMs: number) => {
    const kernels = kernelsOf(() => MS, () => MS, () => fewMs);
    const [tuned] = tuneKernels(LARGE, both(kernels));
    return tuned.matmul_q8_few === kernels.matmul_q8_few;
  };
  assertEquals([chosen(MS / 2), chosen(2 * MS)], [true, false]);
});

timed("tuneKernels() adds up by fours where that is faster, in all arenas", () => {
  const chosen = (foursMs: number) => {
    const [pairs, fours] = [MS, foursMs].map((ms) =>
      [0, 1].map(() => kernelsOf(() => ms, () => ms))
    );
    return tuneKernels(LARGE, { pairs, makeFours: () => fours }).map((set, arena) =>
      set.read_only === fours[arena].read_only ? "fours" : "pairs"
    );
  };
  assertEquals(chosen(MS / 2), ["fours", "fours"]);
  assertEquals(chosen(2 * MS), ["pairs", "pairs"]);
  const alike = planOf({ feedForwardLength: 9216, type: "Q6_K" });
  const [pairs, fours] = [MS, MS / 2].map((ms) => [kernelsOf(() => ms, () => ms)]);
  assertEquals(
    tuneKernels(alike, { pairs, makeFours: () => fours })[0].read_only,
    pairs[0].read_only,
  );
});

timed("tuneKernels() tells ways to add up apart where memory does not hold both up", () => {
  const chosen = (cachedMs: number) => {
    const ms = (rows: number) => rows === ALL_ROWS ? MS : cachedMs;
    const [pairs, fours] = [kernelsOf(() => MS, () => MS), kernelsOf(() => MS, ms)];
    return tuneKernels(LARGE, { pairs: [pairs], makeFours: () => [fours] })[0].matmul_q8 ===
      fours.matmul_q8;
  };
  assertEquals([chosen(MS / 2), chosen(2 * MS)], [true, false]);
});

timed("tuneKernels() waits until products are as fast as they become", () => {
  let calls = 0;
  const late = (rows: number) => rows !== ALL_ROWS && calls++ < 40 ? 2 * MS : MS / 2;
  const [pairs, fours] = [kernelsOf(() => MS, () => MS), kernelsOf(() => MS, late)];
  const [tuned] = tuneKernels(LARGE, { pairs: [pairs], makeFours: () => [fours] });
  assertStrictEquals(tuned.matmul_q8, fours.matmul_q8);
});

timed(
  "tuneKernels() adds up one token's products and several tokens' each their faster way",
  () => {
    const chosen = (oneMs: number, severalMs: number) => {
      const isOne = (n: unknown) => n === 1;
      const kernels = (one: number, several: number): Kernels => {
        const busy = (...args: unknown[]) => {
          clockMs += isOne(args[6]) ? one : several;
        };
        const names = ["matmul_q8", "matmul_q8_two_streams", "matmul_q8_few", "matmul_q8_rows"];
        const own = Object.fromEntries(
          names.map((name) => [name, (...a: unknown[]) => busy(...a)]),
        );
        return own as Partial<Kernels> as Kernels;
      };
      const [pairs, fours] = [kernels(MS, MS), kernels(oneMs, severalMs)];
      const [tuned] = tuneKernels(LARGE, { pairs: [pairs], makeFours: () => [fours] });
      const { matmul_q8, matmul_q8_rows } = fours;
      return [
        tuned.matmul_q8 === matmul_q8 && tuned.matmul_q8_rows === matmul_q8_rows,
        tuned.matmul_q8_few === fours.matmul_q8_few,
      ];
    };
    assertEquals(chosen(MS / 2, 2 * MS), [true, false]);
    assertEquals(chosen(2 * MS, MS / 2), [false, true]);
  },
);

timed("tuneKernels() asks no product that is the same either way which way is faster", () => {
  const [pairs, fours] = [MS, MS / 2].map((ms) => kernelsOf(() => ms, () => ms));
  const chosen = (type: SynthType) => {
    const plan = planOf({ feedForwardLength: 3 * ALL_ROWS, type });
    const [tuned] = tuneKernels(plan, { pairs: [pairs], makeFours: () => [fours] });
    return [tuned.matmul_q8 === fours.matmul_q8, tuned.matmul_q8_few === fours.matmul_q8_few];
  };
  // One token's, several tokens'.
  assertEquals(chosen("Q8_0"), [true, true]);
  assertEquals(chosen("IQ3_S"), [false, true]);
  assertEquals(chosen("IQ2_XS"), [false, false]);
});

timed("tuneKernels() measures nothing where all weights fit a cache", () => {
  let calls = 0;
  const count = () => (calls++, MS);
  tuneKernels(planOf({ feedForwardLength: 256 }), both(kernelsOf(count, count)));
  assertEquals(calls, 0);
});

/** A test by that clock. */
function timed(name: string, test: () => void): void {
  Deno.test(name, () => {
    const { now } = performance;
    performance.now = () => clockMs;
    try {
      test();
    } finally {
      performance.now = now;
    }
  });
}

/** The same kernels, whichever way they add up. */
function both(kernels: Kernels) {
  return { pairs: [kernels], makeFours: () => [kernels] };
}

/** Kernels that take so many milliseconds; only those that are measured are there. */
function kernelsOf(
  twoMs: (rows: number) => number,
  fourMs: (rows: number) => number,
  fewMs: (rows: number) => number = fourMs,
): Kernels {
  const busy = (ms: (rows: number) => number) => (...args: number[]) => {
    clockMs += ms(args[3]);
  };
  return {
    read_only: () => 0, // tells sets apart
    matmul_q8: busy(fourMs),
    matmul_q8_two_streams: busy(twoMs),
    matmul_q8_few: busy(fewMs),
  } as Partial<Kernels> as Kernels;
}

function planOf(
  { feedForwardLength, type = "Q8_0" }: { feedForwardLength: number; type?: SynthType },
): RankPlan {
  const model = tinyModel({ type, embeddingLength: 256, feedForwardLength });
  const file = parseGguf(model);
  return planRanks(describeModel(file), file.tensors, {
    ...{ rankCount: 1, contextLength: 32, chunkTokens: 4, kvType: "auto" },
    sizes: {
      q8_bytes: (n, k) => n * k * 2,
      neurons_scratch_bytes: (d) => d * 8,
      matmul_long_scratch_bytes: () => 1024,
      attention_scratch_bytes: () => 1024,
      choose_scratch_bytes: () => 1024,
    },
  })[0];
}
