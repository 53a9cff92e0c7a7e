/** What neurons are seen to do: the engine's against the reference's, and against what it hides. */
import "../support/thread_pool.ts";
import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { openGguf } from "../../src/gguf/mod.ts";
import type { LoadedModel } from "../../src/llm/mod.ts";
import type { Plane } from "../../src/memory/observation.ts";
import { describeModel, layerNeurons } from "../../src/model/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { greedyIds, withModel, withTinyFile } from "../support/loaded_model.ts";
import { randomIds } from "../support/rng.ts";
import type { TinyFamilyName } from "../support/tiny_families.ts";

const IDS = randomIds(21, { end: 256, seed: 8 });
const ALL = ["fired", "gate", "residual"] as const satisfies readonly Plane[];

interface Seen {
  /** [ids, neurons] and [ids, d] per layer. */
  readonly fired: number[][];
  readonly gate: number[][];
  readonly residual: number[][];
}

/** Each with each number of threads, once in each family. */
const CHUNK_TOKENS = [1, 8, 64];

for (
  const [index, architecture] of (["relu-llama", "bamboo", "arcee", "llama"] as const).entries()
) {
  for (const threads of [1, 2, 3]) {
    const chunkTokens = CHUNK_TOKENS[(index + threads) % CHUNK_TOKENS.length];
    const test = `observe() shows of ${architecture} what the reference computes`;
    Deno.test(`${test}, ${threads} threads`, () =>
      withTinyFile({ architecture, seed: 5 }, async (path) => {
        const expected = referenceSees(path, architecture);
        await withModel(path, { threads, chunkTokens, observe: ALL }, async (model) => {
          assertAlike(await see(model, IDS), expected);
          // A second text starts from nothing.
          assertAlike(await see(model, IDS), expected);
        });
      }));
  }
}

Deno.test("observe() shows of gemma3n gates as they are cut off", () =>
  withTinyFile({ architecture: "gemma3n", seed: 5 }, async (path) => {
    const expected = referenceSees(path, "gemma3n");
    await withModel(path, { threads: 2, chunkTokens: 8, observe: ALL }, async (model) => {
      assertAlike(await see(model, IDS), expected);
    });
  }));

Deno.test("observe() shows the same of experts with any number of threads, and who was not chosen", () =>
  withTinyFile({ architecture: "qwen2moe", seed: 5 }, async (path) => {
    const seen: Seen[] = [];
    for (const threads of [1, 2, 3]) {
      await withModel(path, { threads, observe: ALL }, async (model) => {
        const { experts } = model.config;
        assert(experts !== null && experts.sharedFeedForwardLength > 0);
        await see(model, [7, 8, 9, 10]);
        const it = await see(model, IDS);
        const perToken = experts.usedCount * experts.feedForwardLength +
          experts.sharedFeedForwardLength;
        for (const layer of it.fired) {
          assertEquals(layer.reduce((sum, bit) => sum + bit), IDS.length * perToken);
        }
        seen.push(it);
      });
    }
    assertAlike(seen[1], seen[0]);
    assertAlike(seen[2], seen[0]);
  }));

Deno.test("observe() shows which experts each token goes to, with any number of threads", () =>
  withTinyFile({ architecture: "qwen2moe", seed: 5 }, async (path) => {
    // Of five threads some have no neurons of an expert.
    for (const threads of [1, 2, 5]) {
      await withModel(path, { threads, observe: ["fired", "chosen"] }, async (model) => {
        const { count, usedCount, feedForwardLength: neurons } = model.config.experts!;
        const shown = layerNeurons(model.config);
        for await (const { tokens, fired, chosen } of model.observe(IDS)) {
          assertEquals(chosen.length, tokens * count);
          for (let t = 0; t < tokens; t++) {
            const own = chosen.subarray(t * count, (t + 1) * count);
            assertEquals(own.reduce((sum, bit) => sum + bit), usedCount);
            // SiLU's neurons are never zero: those of chosen experts fire, and no others.
            own.forEach((bit, expert) => {
              const from = t * shown + expert * neurons;
              const its = fired.subarray(from, from + neurons);
              assertEquals(its.reduce((sum, one) => sum + one), bit * neurons);
            });
          }
        }
      });
    }
  }));

/** What is computed of a layer before the rest of its block: experts, or the one that all use. */
for (const architecture of ["nemotron_h_moe-latent", "kimi-k3", "gemma4-moe"] as const) {
  Deno.test(`observe() shows experts of ${architecture} in their own layers`, () =>
    withTinyFile(
      { architecture, seed: 5 },
      (path) =>
        withModel(path, { threads: 2, observe: ["fired", "chosen"] }, async (model) => {
          const { count, usedCount, feedForwardLength } = model.config.experts!;
          const shown = layerNeurons(model.config);
          const mixes = describeModel(openGguf(path)).tensors.layers
            .map(({ feedForward }) => feedForward?.kind === "experts");
          const seen: boolean[][] = [];
          for await (const { tokens, fired, chosen } of model.observe(IDS)) {
            const shared = Array.from(
              { length: tokens },
              (_, t) => fired.subarray(t * shown + count * feedForwardLength, (t + 1) * shown),
            ).flatMap((own) => [...own]);
            const choices = chosen.reduce((sum, bit) => sum + bit, 0);
            seen.push([choices === tokens * usedCount, shared.some((bit) => bit === 1)]);
          }
          assertEquals(seen, mixes.map((is) => [is, is]));
        }),
    ));
}

Deno.test("observe() shows of a dense model no experts", () =>
  withTinyFile(
    { architecture: "relu-llama", seed: 5 },
    (path) =>
      withModel(path, { threads: 1, observe: ["chosen", "residual"] }, async (model) => {
        for await (const { tokens, chosen, residual } of model.observe(IDS)) {
          assertEquals([chosen.length, residual.length], [0, tokens * 64]);
        }
      }),
  ));

Deno.test("observe() shows only what was asked for, and changes no answer", () =>
  withTinyFile({ architecture: "relu-llama", seed: 5 }, async (path) => {
    const answers: number[][] = [];
    for (const observe of [undefined, ["fired"], ["residual"]] as const) {
      await withModel(path, { threads: 2, observe }, async (model) => {
        if (observe !== undefined) {
          for await (const layer of model.observe(IDS)) {
            assertEquals(ALL.filter((plane) => layer[plane].length > 0), [...observe]);
          }
        }
        answers.push(await greedyIds(model, IDS.slice(0, 9), 12));
      });
    }
    assertEquals(answers[1], answers[0]);
    assertEquals(answers[2], answers[0]);
  }));

Deno.test("observe() may be left early, and refuses ids that do not fit", () =>
  withTinyFile(
    { contextLength: 64 },
    (path) =>
      withModel(path, { threads: 2, chunkTokens: 4, observe: ["fired"] }, async (model) => {
        for await (const { firstToken } of model.observe(IDS)) if (firstToken === 4) break;
        assertEquals((await greedyIds(model, IDS, 3)).length, 3);
        await assertRejects(() => see(model, [512]), RequestError, "token id 512");
        await assertRejects(() => see(model, Array(65).fill(5)), RequestError, "context");
      }),
  ));

async function see(model: LoadedModel, ids: readonly number[]): Promise<Seen> {
  const layers = () => Array.from({ length: model.config.blockCount }, (): number[] => []);
  const seen = { fired: layers(), gate: layers(), residual: layers() };
  for await (const { layer, firstToken, tokens, ...planes } of model.observe(ids)) {
    for (const plane of ALL) {
      const values = seen[plane][layer];
      assertEquals(values.length * tokens, firstToken * planes[plane].length);
      values.push(...planes[plane]);
    }
  }
  return seen;
}

function referenceSees(path: string, architecture: TinyFamilyName): Seen {
  const shown = new Map<string, number[]>();
  const onTensor = (name: string, data: Float64Array) => void shown.set(name, [...data]);
  const model = new ReferenceModel(openGguf(path), { onTensor });
  model.forward(IDS);
  const layers = (name: string) =>
    model.config.layers.map((_, layer) => shown.get(`layer ${layer} ${name}`)!);
  return {
    fired: layers("neurons").map((values) => values.map((value) => value === 0 ? 0 : 1)),
    gate: layers(architecture === "arcee" ? "up" : "gate"),
    residual: layers("attention out"),
  };
}

function assertAlike(actual: Seen, expected: Seen): void {
  for (const plane of ALL) {
    actual[plane].forEach((values, layer) => {
      const wanted = expected[plane][layer];
      assertEquals(values.length, wanted.length, plane);
      values.forEach((value, i) => {
        // Nearly zero may fall on either side of it.
        if (plane === "fired" && Math.abs(expected.gate[layer][i]) < 1e-4) return;
        assertAlmostEquals(value, wanted[i], 1e-4 * (1 + Math.abs(wanted[i])), `${plane} ${i}`);
      });
    });
  }
}
