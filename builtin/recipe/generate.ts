/**
 * Writes what the trainer reads: a tokenizer and conversations as ids. Run by
 * `deno task builtin:generate --out FOLDER`.
 */
import { parseArgs } from "node:util";
import { join } from "node:path";
import { openGguf, writeGguf } from "../../src/gguf/mod.ts";
import { createTokenizer, splitWords, type Tokenizer } from "../../src/tokenizer/mod.ts";
import { Storyteller, textOf } from "./conversations.ts";
import { Dice } from "./draw.ts";
import { readFacts } from "./facts.ts";
import { PRE_TOKENIZER, SPECIAL, tokenizerMetadata } from "./model_file.ts";
import { sampleOf, Topics } from "./samples.ts";
import { trainTokenizer } from "./train_tokenizer.ts";

const VOCABULARY_SIZE = 2048;
const TOKENIZER_SAMPLES = 40_000;

const { values } = parseArgs({
  options: {
    out: { type: "string" },
    tokenizer: { type: "string" },
    samples: { type: "string", default: "400000" },
    seed: { type: "string", default: "1" },
    show: { type: "string" },
  },
});
const facts = readFacts();
const seed = Number(values.seed);

if (values.show) {
  const teller = new Storyteller(facts, seed);
  for (let i = 0; i < Number(values.show); i++) console.log(textOf(teller.next("typed")));
} else await write(values.out ?? "builtin/build");

async function write(out: string): Promise<void> {
  Deno.mkdirSync(out, { recursive: true });
  const path = values.tokenizer ?? join(out, "tokenizer.gguf");
  if (!values.tokenizer) {
    const trained = trainTokenizer(countWords(), { size: VOCABULARY_SIZE, special: SPECIAL });
    await writeGguf(path, { metadata: tokenizerMetadata(trained), tensors: [] });
  }
  const tokenizer = createTokenizer(openGguf(path).metadata);
  writeSamples(out, tokenizer);
}

/** Words of cleanly typed conversations. */
function countWords(): Map<string, number> {
  const counts = new Map<string, number>();
  const teller = new Storyteller(facts, seed + 1);
  for (let i = 0; i < TOKENIZER_SAMPLES; i++) {
    const text = textOf(teller.next("none"));
    const pieces = text.split(/<\|im_start\|>|<\|im_end\|>/);
    for (const word of pieces.flatMap((piece) => splitWords(PRE_TOKENIZER, piece))) {
      counts.set(word, (counts.get(word) ?? 0) + 1);
    }
  }
  return counts;
}

/**
 * ids.u16: all samples in a row; weights.u8: how much each id counts; topics.u8: the number of the
 * answer that a question's ids ask for; ends.u32: of each sample.
 */
function writeSamples(out: string, tokenizer: Tokenizer): void {
  const teller = new Storyteller(facts, seed);
  const dice = new Dice(seed + 2);
  const topics = new Topics([
    ...facts.intents.map(({ answer }) => answer),
    ...facts.offTopic.answers,
  ]);
  const numbers: number[] = [];
  const ids: number[] = [];
  const weights: number[] = [];
  const ends: number[] = [];
  for (let i = 0; i < Number(values.samples); i++) {
    const sample = sampleOf(teller.next("typed"), topics, tokenizer, dice);
    ids.push(...sample.ids);
    weights.push(...sample.weights);
    numbers.push(...sample.topics);
    ends.push(ids.length);
  }
  Deno.writeFileSync(join(out, "ids.u16"), new Uint8Array(Uint16Array.from(ids).buffer));
  Deno.writeFileSync(join(out, "weights.u8"), Uint8Array.from(weights));
  Deno.writeFileSync(join(out, "topics.u8"), Uint8Array.from(numbers));
  Deno.writeFileSync(join(out, "ends.u32"), new Uint8Array(Uint32Array.from(ends).buffer));
  const predicted = weights.filter((weight) => weight > 0).length;
  console.log(
    `${ends.length} conversations of ${facts.intents.length} intents, ${ids.length} ids, ` +
      `${predicted} of them predicted`,
  );
}
