/** Counting: against a count of one's own over the reference's neurons, and in several runs. */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { openGguf } from "../../src/gguf/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { emptyStats } from "../../src/stats/firing_stats.ts";
import { loudnessBin } from "../../src/stats/loudness.ts";
import { profileText } from "../../src/stats/profile_text.ts";
import { encodeStats } from "../../src/stats/stats_file.ts";
import { BUCKETS, type FiringStats, type StatsSubject } from "../../src/stats/types.ts";
import { withModel, withTinyFile } from "../support/loaded_model.ts";
import { Rng } from "../support/rng.ts";
import { SUBJECT } from "./stats_fixture.ts";

const NEURONS = 96;
const LAYERS = 2;
const RELU: StatsSubject = {
  ...{ ...SUBJECT, layerCount: LAYERS, neuronCount: NEURONS },
  ...{ activation: "relu", sparsity: null, groupCount: 2 },
};
const SILU: StatsSubject = { ...RELU, activation: "silu", sparsity: 0.7, windowTokens: 8 };

for (const windowTokens of [16, 130]) {
  Deno.test(`profileText() counts what fires in the reference, windows of ${windowTokens}`, () =>
    withTinyFile({ architecture: "relu-llama", seed: 5 }, async (path) => {
      const windows = randomWindows(8, windowTokens);
      const stats = emptyStats({ ...RELU, windowTokens });
      await withModel(path, { threads: 2, chunkTokens: 32, observe: ["fired"] }, async (model) => {
        await profileText({ model, windows, stats });
      });
      const { counts, units } = countReference(path, windows);
      assertEquals(stats.units, units);
      let differing = 0;
      for (const bucket of BUCKETS) {
        assertEquals(counts[bucket].length, stats.counts[bucket].length);
        counts[bucket].forEach((count, i) =>
          differing += Math.abs(count - stats.counts[bucket][i])
        );
        assert(bucket === "prefill" || stats.counts[bucket].some((count) => count > 0));
      }
      // A gate within rounding of zero may fall on either side.
      assert(differing <= 4, `${differing} firings differ`);
      assertEquals(stats.counts.prefill.some((count) => count > 0), windowTokens > 64);
    }));
}

Deno.test("profileText() of a silu model counts what is louder than the first group's threshold", () =>
  withTinyFile({ seed: 5 }, async (path) => {
    const stats = emptyStats(SILU);
    await withModel(path, { threads: 2, observe: ["gate"] }, async (model) => {
      await profileText({ model, windows: randomWindows(8, 8), stats });
    });
    assert(stats.thresholds !== null && stats.thresholds.every((each) => each > 0));
    const total = stats.loudness!.reduce((sum, count) => sum + count, 0);
    assertEquals(total, LAYERS * NEURONS * 64, "each activation once");
    const active = stats.counts["1"].reduce((sum, count) => sum + count, 0) / total;
    assert(Math.abs(active - 0.3) < 0.03, `${active}`);
    const silu = (gate: number) => gate / (1 + Math.exp(-gate));
    const bins = new Float64Array(512);
    for (const window of randomWindows(8, 8)) {
      for (const gate of shown(path, window, "gate")[0]) bins[loudnessBin(silu(gate))]++;
    }
    let moved = 0;
    bins.forEach((count, bin) => moved += Math.abs(count - stats.loudness![bin]));
    assert(moved < 0.002 * total, `${moved} of ${total} are in another bin`);
  }));

for (const [name, subject, plane] of [["relu", RELU, "fired"], ["silu", SILU, "gate"]] as const) {
  Deno.test(`profileText() of ${name} goes on where it was stopped, to the same statistics`, () =>
    withTinyFile(
      { architecture: name === "relu" ? "relu-llama" : "llama", seed: 5 },
      async (path) => {
        const windows = randomWindows(12, 8);
        const whole = emptyStats({ ...subject, windowTokens: 8, groupCount: 3 });
        const parts = emptyStats(whole.subject);
        await withModel(path, { threads: 2, observe: [plane] }, async (model) => {
          await profileText({ model, windows, stats: whole });
          for (const stopAfter of [1, 2]) {
            const stop = new AbortController();
            const { signal } = stop;
            const onGroup = ({ groupsDone }: FiringStats) =>
              groupsDone === stopAfter && stop.abort(new Error("enough"));
            const run = () => profileText({ model, windows, stats: parts, onGroup, signal });
            await assertRejects(run, Error, "enough");
            assertEquals(parts.groupsDone, stopAfter);
          }
          await profileText({ model, windows, stats: parts });
        });
        assertEquals(encodeStats(parts), encodeStats(whole));
      },
    ));
}

function randomWindows(count: number, length: number): number[][] {
  const rng = new Rng(9);
  return Array.from({ length: count }, () => Array.from({ length }, () => rng.int(512)));
}

/** What the reference shows of every layer, [tokens, neurons]. */
function shown(path: string, ids: readonly number[], name: string): Float64Array[] {
  const seen = new Map<string, Float64Array>();
  const onTensor = (tensor: string, data: Float64Array) => void seen.set(tensor, data);
  new ReferenceModel(openGguf(path), { onTensor }).forward(ids);
  return Array.from({ length: LAYERS }, (_, layer) => seen.get(`layer ${layer} ${name}`)!);
}

/** The same statistics by their definition. */
function countReference(path: string, windows: readonly number[][]) {
  const fires = windows.map((window) => shown(path, window, "neurons"));
  const tokens = windows[0].length;
  const { counts, units } = emptyStats({ ...RELU, windowTokens: tokens });
  const countAny = (
    bucket: (typeof BUCKETS)[number],
    cells: readonly [window: number, t: number][],
  ) => {
    units[bucket]++;
    for (let layer = 0; layer < LAYERS; layer++) {
      for (let i = 0; i < NEURONS; i++) {
        const any = cells.some(([window, t]) => fires[window][layer][t * NEURONS + i] !== 0);
        if (any) counts[bucket][layer * NEURONS + i]++;
      }
    }
  };
  for (let group = 0; group < windows.length; group += 4) {
    for (let t = 0; t < tokens; t++) {
      const cells = [0, 1, 2, 3].map((w): [number, number] => [group + w, t]);
      for (const cell of cells) countAny("1", [cell]);
      countAny("2", cells.slice(0, 2));
      countAny("2", cells.slice(2));
      countAny("3", cells.slice(0, 3));
      countAny("4", cells);
    }
    for (let w = group; w < group + 4; w++) {
      for (let start = 0; start + 64 <= tokens; start += 64) {
        countAny("prefill", Array.from({ length: 64 }, (_, t) => [w, start + t]));
      }
    }
  }
  return { counts, units };
}
