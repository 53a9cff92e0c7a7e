/**
 * Whole models that guess ahead by their own guessing block: the same ids as without, whether
 * guesses are right, wrong, or right for a while; alone and several at once; beside states.
 */
import "../support/thread_pool.ts";
import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { list, openGguf } from "../../src/gguf/mod.ts";
import type { GenerateRequest, LoadOptions } from "../../src/llm/mod.ts";
import { guessedAnswers } from "../support/guessed_answers.ts";
import { withModel, withTinyFile } from "../support/loaded_model.ts";
import { Rng } from "../support/rng.ts";
import { TINY_FAMILIES } from "../support/tiny_families.ts";
import type { TinyFamily } from "../support/tiny_family.ts";
import type { TinyModelName } from "../support/tiny_model.ts";

/** What blocks add to the residual stream. */
const OUTPUTS = /^blk\.\d+\.(attn_output|ffn_down(_exps|_shexp)?|ssm_out)\.weight$/;

/**
 * Makes guesses of an F32 file right as far as blocks add little: both the model and its block
 * say what comes behind an id by its embedding, and the blocks' outputs, which count `share`,
 * change it.
 */
async function makeRight(path: string, share: number): Promise<void> {
  const { tensors } = openGguf(path);
  const bytes = await Deno.readFile(path);
  const floats = (name: string) => {
    const { offsetBytes, sizeBytes } = tensors.get(name)!;
    return new Float32Array(bytes.buffer, offsetBytes, sizeBytes / 4);
  };
  for (const name of tensors.keys()) {
    if (OUTPUTS.test(name)) floats(name).forEach((value, i, all) => all[i] = share * value);
    if (name.endsWith("nextn.eh_proj.weight")) {
      const [columns] = tensors.get(name)!.dims;
      floats(name).forEach((_, i, all) => {
        all[i] = i % columns === Math.floor(i / columns) ? 1 : 0;
      });
    }
    if (/enorm|head_norm|output_norm/.test(name)) floats(name).fill(1);
  }
  await Deno.writeFile(path, bytes);
}

function someRequests(): GenerateRequest[] {
  const rng = new Rng(23);
  const ids = (count: number) => Array.from({ length: count }, () => 3 + rng.int(500));
  const sampled = { temperature: 1, topK: 0, topP: 1, minP: 0 };
  return [
    { ids: ids(70), sampling: { temperature: 0 } },
    { ids: ids(5), sampling: { temperature: 0, presencePenalty: 0.3 } },
    { ids: ids(33), sampling: { ...sampled, temperature: 0.3, seed: 3 }, logprobs: 2 },
    { ids: ids(1), sampling: { temperature: 0 } },
  ].map((request, i) => ({ maxTokens: 30 + 3 * i, ignoreEnd: true, ...request }));
}

/** How much blocks count, and between which two the part of guesses is that is right. */
const CASES: readonly (readonly [TinyModelName, number, LoadOptions, readonly number[]])[] = [
  ["glm4moe", 0.15, { threads: 2 }, [0.2, 0.7]],
  ["qwen35", 0.15, { threads: 2 }, [0.3, 0.75]],
  ["qwen35", 0, { threads: 1, parallel: 1, speculate: 15 }, [0.6, 1]],
  ["bailingmoe3", 0.15, { threads: 2 }, [0.2, 0.8]],
  ["qwen3next", 1, { threads: 1, chunkTokens: 9 }, [-1, 0.2]],
];

/** Files of Ling 3 list the block, too. */
function changesOf(architecture: TinyModelName): Partial<TinyFamily> {
  if (architecture !== "bailingmoe3") return { guesses: true };
  const { "swiglu_clamp_exp": _e, "swiglu_clamp_shexp": _s, ...keys } =
    TINY_FAMILIES[architecture].keys;
  const kvHeads = { "attention.head_count_kv": list(Int32Array.of(0, 0, 1, 0, 1)) };
  return { guesses: true, keys: { ...keys, ...kvHeads } };
}

for (const [architecture, share, options, right] of CASES) {
  const how = `blocks that count ${share}, ${JSON.stringify(options)}`;
  Deno.test(`${architecture} answers with its own guesses as without: ${how}`, () =>
    withTinyFile(
      { architecture, changes: changesOf(architecture), contextLength: 300 },
      async (path) => {
        await makeRight(path, share);
        let expected: unknown[] = [];
        await withModel(path, { ...options, speculate: "off" }, async (model) => {
          const plain = await guessedAnswers(model, someRequests(), false);
          expected = plain.answers;
          assertEquals(plain.drafted, 0);
        });
        await withModel(path, { speculate: 3, parallel: 4, ...options }, async (model) => {
          const alone = await guessedAnswers(model, someRequests(), false);
          assertEquals(alone.answers, expected, "alone");
          const batch = await guessedAnswers(model, someRequests(), true);
          assertEquals(batch.answers, expected, "together; prompts are in the cache");
          assertGreater(alone.drafted, 100);
          for (const share of [alone.share, batch.share]) {
            assertGreater(share, right[0]);
            assertLess(share, right[1]);
          }
        });
      },
    ));
}
