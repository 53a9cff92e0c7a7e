/**
 * What following a grammar costs per token, on real vocabularies:
 *   deno run --allow-read tests/bench/grammar_masks.ts VOCABULARY.gguf …
 * A JSON text is walked token by token, twice: as the first answer by a grammar, and as the next. A
 * mask is made for every token, which sampling does only when a model's choice does not fit.
 */
import { openGguf } from "../../src/gguf/mod.ts";
import {
  buildTokenTrie,
  compileGrammar,
  GrammarKnowledge,
  GrammarMatcher,
} from "../../src/grammar/mod.ts";
import { vocabularyBytes } from "../../src/llm/request_extras.ts";
import type { GrammarSource } from "../../src/llm/types.ts";
import { createTokenizer, type Tokenizer } from "../../src/tokenizer/mod.ts";

const WORDS = "the quick brown fox jumps over a lazy dog and then it says nothing more".split(" ");

/** Records with nested objects, texts, numbers, some line breaks: the same for every vocabulary. */
function sampleValue() {
  const words = (from: number, count: number) =>
    Array.from({ length: count }, (_, i) => WORDS[(from * 7 + i * 3) % WORDS.length]).join(" ");
  return {
    title: words(1, 6),
    records: Array.from({ length: 30 }, (_, i) => ({
      id: i * 37,
      name: words(i, 3),
      score: i / 7,
      tags: [words(i + 1, 1), words(i + 2, 2), 'é😀\n"x"'],
      place: { street: words(i + 3, 4), numbers: [i, -i, i * 1000], isOpen: i % 2 === 0 },
      note: i % 3 === 0 ? null : words(i + 4, 20),
    })),
  };
}

const text = { type: "string" };
const SCHEMA = {
  type: "object",
  properties: {
    title: { type: "string", maxLength: 80 },
    records: {
      type: "array",
      maxItems: 100,
      items: {
        type: "object",
        properties: {
          id: { type: "integer", minimum: 0 },
          name: { type: "string", maxLength: 40 },
          score: { type: "number" },
          tags: { type: "array", items: text },
          place: {
            type: "object",
            properties: {
              street: text,
              numbers: { type: "array", items: { type: "integer" } },
              isOpen: { type: "boolean" },
            },
          },
          note: { anyOf: [{ type: "null" }, { type: "string", maxLength: 500 }] },
        },
        required: ["id", "name"],
      },
    },
  },
  required: ["title", "records"],
};

const SOURCES: readonly (readonly [string, GrammarSource])[] = [
  ["any JSON", { kind: "json" }],
  ["a schema", { kind: "jsonSchema", schema: SCHEMA }],
];

for (const path of Deno.args) {
  const tokenizer = createTokenizer(openGguf(path).metadata);
  const vocabulary = vocabularyBytes(tokenizer, tokenizer.vocabSize);
  const start = performance.now();
  const trie = buildTokenTrie(vocabulary);
  const built = performance.now() - start;
  console.log(
    `${path}: ${tokenizer.vocabSize} tokens, ${trie.nodeCount} nodes, trie ${built.toFixed(0)} ms`,
  );
  for (const [name, source] of SOURCES) {
    for (const indent of [0, 2]) {
      const compiling = performance.now();
      const grammar = compileGrammar(source);
      const compiled = performance.now() - compiling;
      const ids = withoutPrefix(
        tokenizer,
        tokenizer.encode(JSON.stringify(sampleValue(), null, indent)),
      );
      const knowledge = new GrammarKnowledge(grammar, trie);
      const passes = [1, 2].map(() => walk(new GrammarMatcher(knowledge), ids));
      const told = passes.map(({ masks, steps }) => `masks ${spread(masks)}, ids ${spread(steps)}`);
      console.log(
        `  ${name}, indent ${indent}, ${ids.length} tokens, compiled in ${
          compiled.toFixed(1)
        } ms\n` +
          `    first  ${told[0]}\n    next   ${told[1]}`,
      );
    }
  }
}

/** SentencePiece begins a text with a space, which is not in the grammar. */
function withoutPrefix(tokenizer: Tokenizer, ids: readonly number[]): number[] {
  const brace = [...ids.keys()].find((i) => tokenizer.decode([ids[i]]).includes("{"))!;
  const bytes = tokenizer.bytesOf(ids[brace]);
  if (bytes[0] !== 0x20) return ids.slice(brace);
  const rest = new TextDecoder().decode(bytes.subarray(1));
  const plain = Array.from({ length: tokenizer.vocabSize }, (_, id) => id)
    .find((id) => tokenizer.decode([id]) === rest && tokenizer.bytesOf(id)[0] !== 0x20)!;
  return [plain, ...ids.slice(brace + 1)];
}

function walk(matcher: GrammarMatcher, ids: readonly number[]) {
  const masks: number[] = [];
  const steps: number[] = [];
  for (const id of ids) {
    const start = performance.now();
    const mask = matcher.mask();
    const masked = performance.now();
    if (!matcher.allows(id) || (mask[id >>> 5] >>> (id & 31) & 1) === 0) {
      throw new Error(`token ${id} does not fit`);
    }
    matcher.accept(id);
    masks.push(masked - start);
    steps.push(performance.now() - masked);
  }
  if (!matcher.isComplete) throw new Error("the text is no sentence");
  return { masks, steps };
}

function spread(ms: readonly number[]): string {
  const sorted = [...ms].sort((a, b) => a - b);
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  const sum = ms.reduce((a, b) => a + b, 0);
  return `p50 ${at(0.5).toFixed(3)} p99 ${at(0.99).toFixed(2)} max ${at(1).toFixed(2)} ` +
    `mean ${(sum / ms.length).toFixed(3)} ms`;
}
