/** Statistics of a packed model that is read from disk: those of the model it was packed from. */
import "../support/thread_pool.ts";
import { assert, assertEquals } from "@std/assert";
import { loadModel, type LoadOptions } from "../../src/llm/mod.ts";
import { describeModel, layerNeurons } from "../../src/model/mod.ts";
import { openGguf } from "../../src/gguf/mod.ts";
import { emptyStats } from "../../src/stats/firing_stats.ts";
import { profileText } from "../../src/stats/profile_text.ts";
import { encodeStats } from "../../src/stats/stats_file.ts";
import type { StatsSubject } from "../../src/stats/types.ts";
import { FEW_SLOTS, withPacked } from "../support/packed_model.ts";
import { Rng } from "../support/rng.ts";
import type { TinyModelOptions } from "../support/tiny_model.ts";
import { SUBJECT } from "./stats_fixture.ts";

const WINDOW_TOKENS = 70;
const WINDOWS =
  ((rng) =>
    Array.from({ length: 8 }, () => Array.from({ length: WINDOW_TOKENS }, () => rng.int(256))))(
      new Rng(3),
    );

const MODELS: readonly TinyModelOptions[] = [
  { architecture: "relu-llama", type: "Q4_0", blockCount: 3 },
  { architecture: "bamboo", type: "F16", blockCount: 3 },
  { architecture: "smallthinker", type: "Q4_0", blockCount: 3 },
  // Counted by how loud they are; down lies by rows in memory, and by columns when it is packed.
  { architecture: "llama", type: "Q4_0", blockCount: 3 },
];

for (const tiny of MODELS) {
  const { architecture, type } = tiny;
  Deno.test(`profileText() counts of packed ${architecture} in ${type} what the model does`, () =>
    withPacked(tiny, async (path, packed) => {
      const { config } = describeModel(openGguf(path));
      const { activation } = config.feedForward;
      const isSilent = activation !== "silu";
      const subject: StatsSubject = {
        ...{ ...SUBJECT, activation, layerCount: config.blockCount, groupCount: 2 },
        ...{ neuronCount: layerNeurons(config), windowTokens: WINDOW_TOKENS },
        sparsity: isSilent ? null : 0.5,
      };
      const observe = [isSilent ? "fired" : "gate"] as const;
      const whole = await statsOf(path, subject, { observe, chunkTokens: WINDOW_TOKENS });
      assert(whole.counts[1].some((count) => count > 0));
      for (const residentUnits of [0, 2]) {
        const streaming = { ...FEW_SLOTS, hasResidentGates: false, slotCount: 0, residentUnits };
        // A whole window in a step, and what is shown of it in one piece.
        const options = { observe, streaming, chunkTokens: WINDOW_TOKENS, ioWorkers: 2 };
        const streamed = await statsOf(packed, subject, options);
        if (isSilent) assertEquals(encodeStats(streamed), encodeStats(whole));
        else assertEquals(streamed.counts, whole.counts);
      }
    }));
}

async function statsOf(path: string, subject: StatsSubject, options: LoadOptions) {
  const stats = emptyStats(subject);
  const model = await loadModel(path, { ...options, threads: 1 });
  try {
    const tokens: number[] = [];
    await profileText({ model, windows: WINDOWS, stats, onTokens: (count) => tokens.push(count) });
    assertEquals(tokens, WINDOWS.map((_, index) => (index + 1) * WINDOW_TOKENS));
    assertEquals(model.memory.diskBytes > 0, options.streaming !== undefined);
  } finally {
    await model.close();
  }
  return stats;
}
