/**
 * Writes what the trainer reads: a tokenizer and conversations as ids. Run by
 * `deno task builtin:generate --out FOLDER`.
 */
import { parseArgs } from "node:util";
import { join } from "node:path";
import { openGguf, writeGguf } from "../../src/gguf/mod.ts";
import { createTokenizer, splitWords, type Tokenizer } from "../../src/tokenizer/mod.ts";
import { type Conversation, Storyteller } from "./conversations.ts";
import { readFacts } from "./facts.ts";
import { PRE_TOKENIZER, renderChat, SPECIAL, tokenizerMetadata } from "./model_file.ts";
import { trainTokenizer } from "./train_tokenizer.ts";

const VOCABULARY_SIZE = 2048;
const TOKENIZER_SAMPLES = 40_000;
const CONTEXT_MAX = 256;
const DECISIVE_IDS = 6;
const DECISIVE_WEIGHT = 3;

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
} else write(values.out ?? "builtin/build");

function write(out: string): void {
  Deno.mkdirSync(out, { recursive: true });
  const path = values.tokenizer ?? join(out, "tokenizer.gguf");
  if (!values.tokenizer) {
    const trained = trainTokenizer(countWords(), { size: VOCABULARY_SIZE, special: SPECIAL });
    writeGguf(path, { metadata: tokenizerMetadata(trained), tensors: [] });
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

function textOf(conversation: Conversation): string {
  return typeof conversation === "string" ? conversation : renderChat(conversation);
}

/**
 * ids.u16: all samples in a row; learned.u8: how much each id counts, 0 where it is given;
 * ends.u32.
 * The first ids of an answer count more: they decide which answer it is.
 */
function writeSamples(out: string, tokenizer: Tokenizer): void {
  const teller = new Storyteller(facts, seed);
  const ids: number[] = [];
  const learned: number[] = [];
  const ends: number[] = [];
  const [endOfText, imStart, imEnd] = SPECIAL.map((_, id) => id);
  const [assistant] = tokenizer.encode("assistant");
  for (let i = 0; i < Number(values.samples); i++) {
    const conversation = teller.next("typed");
    const sample = tokenizer.encode(textOf(conversation), { special: true });
    if (typeof conversation === "string") sample.push(endOfText);
    // How many ids of the answer came already; -1 outside of answers.
    let answered = typeof conversation === "string" ? DECISIVE_IDS : -1;
    for (const [at, id] of sample.slice(0, CONTEXT_MAX).entries()) {
      ids.push(id);
      learned.push(answered < 0 ? 0 : answered < DECISIVE_IDS ? DECISIVE_WEIGHT : 1);
      if (answered >= 0) answered++;
      if (id === imEnd) answered = -1;
      else if (sample[at - 2] === imStart && sample[at - 1] === assistant) answered = 0;
    }
    ends.push(ids.length);
  }
  Deno.writeFileSync(join(out, "ids.u16"), new Uint8Array(Uint16Array.from(ids).buffer));
  Deno.writeFileSync(join(out, "learned.u8"), Uint8Array.from(learned));
  Deno.writeFileSync(join(out, "ends.u32"), new Uint8Array(Uint32Array.from(ends).buffer));
  const answered = learned.filter((weight) => weight > 0).length;
  console.log(
    `${ends.length} conversations of ${facts.intents.length} intents, ${ids.length} tokens, ` +
      `${answered} of answers`,
  );
}
