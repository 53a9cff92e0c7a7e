/**
 * What a model itself writes, as a text to profile it with: who answers with a model meets its own
 * words more than anybody else's. Knows nothing of statistics.
 */
import { UsageError } from "../../base/errors.ts";
import type { LoadedModel } from "../../llm/mod.ts";
import { GROUP_WINDOWS } from "../../stats/mod.ts";
import { benchPrompt } from "../bench_prompt.ts";
import { Progress } from "../progress.ts";
import { WINDOW_TOKENS_MIN } from "./windows.ts";

/** Enough for statistics that say which neurons are hot; more make the cold ones' order better. */
export const OWN_TOKENS = 2048;

/**
 * Whole groups of windows of `windowTokens` ids, about `tokens` in all. Each begins with BOS, or
 * with some id where the model wants none, and goes on as the model would, every token drawn with
 * the probability that the model gives it; the same for the same model.
 * @throws {UsageError} when that is not even one group.
 */
export async function writeWindows(
  model: LoadedModel,
  { tokens, windowTokens, signal }: { tokens: number; windowTokens: number; signal: AbortSignal },
): Promise<number[][]> {
  const length = Math.min(windowTokens, Math.floor(tokens / GROUP_WINDOWS));
  if (length < WINDOW_TOKENS_MIN) {
    throw new UsageError(
      `Cannot profile with ${tokens} tokens: at least ${GROUP_WINDOWS * WINDOW_TOKENS_MIN} are ` +
        `needed, some thousands make good statistics`,
    );
  }
  const count = GROUP_WINDOWS * Math.floor(tokens / (GROUP_WINDOWS * length));
  using progress = new Progress(`${model.id} writes`);
  const windows: number[][] = [];
  for (let seed = 0; seed < count; seed++) {
    const opening = openingOf(model, seed);
    const generation = model.generate({
      ids: opening,
      maxTokens: length - opening.length,
      sampling: { temperature: 1, topK: 0, topP: 1, minP: 0, seed },
      ignoreEnd: true,
      signal,
    });
    const { ids } = await generation.result;
    signal.throwIfAborted();
    windows.push([...opening, ...ids]);
    const done = (seed + 1) * length;
    progress.update(done, count * length, `${done} of ${count * length} tokens`);
  }
  return windows;
}

/** BOS alone says nothing: an id more, so that windows differ from the first token on. */
function openingOf({ tokenizer: { addBos, bosId, vocabSize } }: LoadedModel, seed: number) {
  const some = benchPrompt({ vocabSize, count: 1, seed: ~seed });
  return addBos && bosId !== null ? [bosId, ...some] : some;
}
