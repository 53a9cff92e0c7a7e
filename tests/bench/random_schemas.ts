/**
 * Answers by random JSON Schemas: `deno task bench:schemas [COUNT] [SEED]`, 1,000 and 7 when left
 * out. The built-in model answers them at temperature 1, several at once, with room for few tokens;
 * ajv judges every answer. The hash is the same for the same count and seed.
 */
import { createHash } from "node:crypto";
import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import fc from "fast-check";
import { openGguf } from "../../src/gguf/mod.ts";
import { Completions } from "../../src/grammar/completions.ts";
import { Configurations } from "../../src/grammar/configurations.ts";
import { buildTokenTrie, compileGrammar } from "../../src/grammar/mod.ts";
import { shortestEnds } from "../../src/grammar/shortest_ends.ts";
import { vocabularyBytes } from "../../src/llm/request_extras.ts";
import type { GrammarSource } from "../../src/llm/types.ts";
import { createTokenizer } from "../../src/tokenizer/mod.ts";
import { BUILT_IN_MODEL_PATH } from "../../src/llm/mod.ts";
import { type LoadedModel, loadModel } from "../../src/llm/mod.ts";
import { randomSchema } from "../grammar/random_schema.ts";

/** What became of the answers. */
export interface SchemaReport {
  readonly count: number;
  readonly valid: number;
  /** Answers that used all of their room, which is where they were led to their end. */
  readonly full: number;
  readonly tokens: number;
  readonly ms: number;
  /** SHA-256 of all answers, in order. */
  readonly hash: string;
  /** Of those that are not valid: the schema and the answer. */
  readonly failures: readonly string[];
}

export interface SchemaRun {
  readonly count: number;
  readonly seed: number;
  /** Answers under way at once. */
  readonly atOnce: number;
  /** Room of an answer, or what the shortest one takes, where that is more. */
  readonly maxTokens: number;
}

/** Asks for an answer by each of `count` random schemas. */
export async function answerSchemas(model: LoadedModel, run: SchemaRun): Promise<SchemaReport> {
  const schemas = fc.sample(randomSchema, { numRuns: run.count, seed: run.seed });
  const texts: string[] = [];
  const failures: string[] = [];
  const shortest = shortestAnswers();
  let full = 0;
  let tokens = 0;
  let next = 0;
  const startMs = performance.now();
  const answerSome = async () => {
    for (let index = next++; index < schemas.length; index = next++) {
      const schema = schemas[index];
      const grammar = { kind: "jsonSchema", schema } as const;
      const maxTokens = Math.max(run.maxTokens, shortest(grammar));
      const { result } = model.generate({
        ids: model.encodeChat([{ role: "user", content: "Tell me something as JSON." }]),
        maxTokens,
        sampling: { temperature: 1, topK: 0, topP: 1, minP: 0, seed: run.seed + index },
        grammar,
      });
      const { text, ids, finishReason } = await result;
      texts[index] = text;
      tokens += ids.length;
      if (ids.length === maxTokens) full++;
      const fault = finishReason === "stop" ? faultOf(text, schema) : `ended by ${finishReason}`;
      if (fault !== null) failures.push(`${fault}: ${JSON.stringify(schema)}: ${text}`);
    }
  };
  await Promise.all(Array.from({ length: run.atOnce }, answerSome));
  const ms = performance.now() - startMs;
  const hash = createHash("sha256").update(texts.join("\n")).digest("hex").slice(0, 16);
  const { count } = run;
  return { count, valid: count - failures.length, full, tokens, ms, hash, failures };
}

/** Tells how many tokens of the built-in model the shortest answer by a grammar takes. */
function shortestAnswers(): (source: GrammarSource) => number {
  const tokenizer = createTokenizer(openGguf(BUILT_IN_MODEL_PATH).metadata);
  const trie = buildTokenTrie(vocabularyBytes(tokenizer, tokenizer.vocabSize));
  return (source) => {
    const grammar = compileGrammar(source);
    const configurations = new Configurations(grammar);
    const completions = new Completions(configurations, trie, shortestEnds(grammar));
    return completions.idsOf(configurations.start)?.length ?? 0;
  };
}

// deno-lint-ignore no-explicit-any -- the packages' types do not describe their default exports
type Loose = any;

/** Why a text is no answer by the schema; null: it is one. */
function faultOf(text: string, schema: unknown): string | null {
  const ajv = new (Ajv2020 as Loose)({ strict: false });
  (addFormats as Loose)(ajv);
  try {
    const validate = ajv.compile(schema);
    return validate(JSON.parse(text)) ? null : ajv.errorsText(validate.errors);
  } catch (error) {
    return String(error);
  }
}

if (import.meta.main) {
  const [count = 1000, seed = 7] = Deno.args.map(Number);
  const model = await loadModel(BUILT_IN_MODEL_PATH, { parallel: 8 });
  const report = await answerSchemas(model, { count, seed, atOnce: 8, maxTokens: 100 });
  await model.close();
  for (const failure of report.failures) console.log(failure);
  const { valid, full, tokens, ms, hash } = report;
  console.log(
    `${valid} of ${count} valid (seed ${seed}), ${full} led to their end; ` +
      `${tokens} tokens in ${(ms / 1000).toFixed(1)} s; hash ${hash}`,
  );
  Deno.exit(valid === count ? 0 : 1);
}
