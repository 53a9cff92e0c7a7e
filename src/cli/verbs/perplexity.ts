/**
 * `perplexity MODEL --file F`: how well a model predicts a text, by the rule of llama.cpp's tool of
 * the same name, so that the figures compare.
 *
 * The text's ids are cut into windows; the first id of each becomes BOS where the model adds one.
 * What counts are the ids of a window's second half, so that each is predicted from a context of at
 * least half a window; a last window that is not full is left out.
 */
import type { Command } from "commander";
import { UsageError } from "../../base/errors.ts";
import type { LoadedModel } from "../../llm/mod.ts";
import { addLoadOptions, type LoadFlags, loadForVerb, toLoadOptions } from "../load.ts";
import { wholeNumber } from "../option_values.ts";
import { writeJson, writeOutLine } from "../output.ts";
import { Progress } from "../progress.ts";
import { readTextFile } from "../text_file.ts";
import { createDataVerb, requireModel, requireOption } from "../verb.ts";

interface Options extends LoadFlags {
  readonly file?: string;
  readonly ctx: number;
  readonly windows?: number;
  readonly json?: boolean;
}

/** Below, the second half of a window predicts nothing. */
const CTX_MIN = 4;

export function perplexityVerb(): Command {
  const verb = createDataVerb("perplexity", "Measure how well a model predicts a text.")
    .argument("[model]", "a .gguf file")
    .option("--file <file>", "the text; - is stdin")
    .option("--ctx <n>", "tokens in a window; its second half counts", contextLength, 512)
    .option("--windows <n>", "windows at most (default: all)", wholeNumber({ min: 1 }))
    .action(perplexity);
  return addLoadOptions(verb);
}

const contextLength = wholeNumber({ min: CTX_MIN });

async function perplexity(path: string | undefined, options: Options): Promise<void> {
  const { ctx, json } = options;
  const modelPath = requireModel(path);
  if (options.ctxSize !== undefined && options.ctxSize < ctx) {
    throw new UsageError(
      `Cannot fit windows of ${ctx} tokens into --ctx-size ${options.ctxSize}: leave it out`,
    );
  }
  const text = readTextFile(requireOption(options.file, "--file"));
  await using model = await loadForVerb(modelPath, {
    ...toLoadOptions(options),
    contextLength: options.ctxSize ?? ctx,
  });
  const ids = model.encodePrompt(text);
  const count = Math.min(options.windows ?? Infinity, Math.floor(ids.length / ctx));
  if (count === 0) {
    throw new UsageError(
      `Cannot fill a window of ${ctx} tokens: the text has ${ids.length}: give a longer text or ` +
        "a smaller --ctx",
    );
  }
  const { nll, tokens } = await score(model, ids, { ctx, count });
  const ppl = Math.exp(nll / tokens);
  if (json) writeJson({ ppl, tokens, nll });
  else writeOutLine(`perplexity ${ppl.toFixed(4)} over ${tokens} tokens in ${count} windows`);
}

/** Sum of −log p over the second halves of `count` windows, and how many ids that were. */
async function score(
  model: LoadedModel,
  ids: readonly number[],
  { ctx, count }: { ctx: number; count: number },
): Promise<{ nll: number; tokens: number }> {
  using progress = new Progress(`Scoring ${model.id}`);
  const { addBos, bosId } = model.tokenizer;
  // The first prediction is made behind the window's first half and one id more.
  const from = Math.floor(ctx / 2) + 1;
  let nll = 0;
  let tokens = 0;
  for (let index = 0; index < count; index++) {
    const window = ids.slice(index * ctx, (index + 1) * ctx);
    if (addBos && bosId !== null) window[0] = bosId;
    nll += await model.negativeLogLikelihood(window, from);
    tokens += ctx - from;
    progress.update(index + 1, count, `perplexity ${Math.exp(nll / tokens).toFixed(4)}`);
  }
  return { nll, tokens };
}
