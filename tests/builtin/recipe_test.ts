import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { heldOutQuestions, serviceQuestions } from "../../builtin/evaluation/evaluate.ts";
import {
  isRight,
  normalize,
  type Question,
  readQuestions,
} from "../../builtin/evaluation/grade.ts";
import { type Conversation, renderChat, Storyteller } from "../../builtin/recipe/conversations.ts";
import { Dice, expand, fill } from "../../builtin/recipe/draw.ts";
import { exportModel } from "../../builtin/recipe/export.ts";
import { readFacts } from "../../builtin/recipe/facts.ts";
import { SPECIAL, tokenizerMetadata } from "../../builtin/recipe/model_file.ts";
import { restore } from "../../builtin/recipe/restore.ts";
import { trainTokenizer } from "../../builtin/recipe/train_tokenizer.ts";
import { encodeGguf, parseGguf } from "../../src/gguf/mod.ts";
import { BUILT_IN_MODEL_PATH } from "../../src/llm/built_in_model.ts";
import { createTokenizer } from "../../src/tokenizer/mod.ts";

/** As many as a tenth of the training data or so. */
const CONVERSATIONS = 20_000;
/** Questions drawn from a pattern that might come close to a held-out one. */
const DRAWS_OF_A_LINE = 500;

Deno.test("no held-out question is asked in the training data", () => {
  const facts = readFacts();
  const asked = new Set<string>();
  for (const { lines } of facts.intents) {
    const dice = new Dice(3);
    for (const line of lines) asked.add(normalize(expand(line, dice)));
  }
  for (const care of ["none", "typed"] as const) {
    const teller = new Storyteller(facts, 1);
    for (let i = 0; i < CONVERSATIONS; i++) {
      for (const question of questionsOf(teller.next(care))) asked.add(normalize(question));
    }
  }
  const heldOut = allHeldOut().map(({ text }) => text);
  assertEquals(heldOut.filter((question) => asked.has(normalize(question))), []);
  assert(asked.has("tell me a story"), "the set holds what is asked");
});

Deno.test("no held-out question shares three of four words with a line of the facts", () => {
  const lines = readFacts().intents.flatMap((intent) => intent.lines)
    .map((line) => ({ line, all: wordsOf(line) }));
  const dice = new Dice(7);
  const close = allHeldOut().flatMap(({ text }) => {
    const words = wordsOf(text);
    // All words of a pattern hold those of every question that it makes.
    const likely = lines.filter(({ all }) => shared(words, all) >= 0.75 * words.size);
    return likely.filter(({ line }) => {
      const made = Array.from({ length: DRAWS_OF_A_LINE }, () => wordsOf(expand(line, dice)));
      return made.some((each) => shared(words, each) >= 0.75 * words.union(each).size);
    });
  });
  assertEquals(close, []);
});

Deno.test("restore() leaves what exportModel() makes the same file of again", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await restore(BUILT_IN_MODEL_PATH, folder);
    const out = join(folder, "again.gguf");
    const tokenizer = join(folder, "tokenizer.gguf");
    await exportModel({ weights: folder, tokenizer, out, quant: "Q8_0" });
    const [before, after] = [BUILT_IN_MODEL_PATH, out].map((path) => Deno.readFileSync(path));
    assertEquals(after.length, before.length);
    assert(after.every((byte, at) => byte === before[at]));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("isRight() wants a fact of each group as whole words, and no forbidden one", () => {
  const [question] = readQuestions("# a comment\nWhich port? => port|number; 11711; !11712\n");
  assertEquals(question.text, "Which port?");
  assert(isRight("The default PORT is 11711.", question));
  assert(isRight("Its number: 11711", question));
  assert(!isRight("It is 11711.", question), "a group is missing");
  assert(!isRight("The port is 117110.", question), "a part of a word");
  assert(!isRight("The port is 11711 or 11712.", question), "forbidden");
  assertThrows(() => readQuestions("Which port? => "), SyntaxError, "needs no fact");
});

Deno.test("readFacts() gives every intent an answer and a way to ask", () => {
  const { intents, offTopic, stories } = readFacts();
  assert(intents.length > 250);
  for (const { id, answer, names, templates, lines } of intents) {
    assert(answer.length > 3, id);
    assert(lines.length > 0 || names.length > 0 && templates.length > 0, id);
  }
  assertEquals(new Set(intents.map(({ id }) => id)).size, intents.length, "ids are unique");
  for (const { asks, answers, slots } of [offTopic, stories]) {
    const used = [...asks, ...answers].flatMap((text) => text.match(/\{\w+\}/g) ?? []);
    assertEquals(used.filter((slot) => !slots.has(slot.slice(1, -1))), [], "slots have words");
  }
});

Deno.test("the facts name every verb, and no flag that the command line has not", () => {
  const { intents } = readFacts();
  const verbs = intents.find(({ id }) => id === "a verb@fact")!.answer.match(/[a-z]+/g)!;
  const cli = fileURLToPath(new URL("../../src/cli/", import.meta.url));
  const files = [...Deno.readDirSync(join(cli, "verbs"))].map(({ name }) => name);
  assertEquals(files.filter((name) => !verbs.includes(name.replace(".ts", ""))), []);
  const sources = textsUnder(cli).join("\n");
  const flags = new Set(intents.flatMap(({ answer }) => answer.match(/--[a-z][a-z0-9-]+/g) ?? []));
  assertEquals([...flags].filter((flag) => !sources.includes(flag)), []);
});

Deno.test("Storyteller tells the same from the same seed, and ends every chat with an answer", () => {
  const facts = readFacts();
  const tell = (seed: number) => {
    const teller = new Storyteller(facts, seed);
    return Array.from({ length: 200 }, () => teller.next("typed"));
  };
  assertEquals(tell(5), tell(5));
  assertNotEquals(tell(5), tell(6));
  for (const conversation of tell(5)) {
    if (typeof conversation === "string") continue;
    assertEquals(conversation.at(-1)!.role, "assistant");
    assert(!/[{}|]/.test(questionsOf(conversation).join()), "no pattern is left");
  }
});

Deno.test("expand() takes one of each list and fill() keeps what is fixed", () => {
  const dice = new Dice(1);
  const texts = Array.from({ length: 50 }, () => expand("(a|b) {x} (c|)", dice));
  assertEquals(new Set(texts), new Set(["a {x} c", "b {x} c", "a {x}", "b {x}"]));
  const fixed = new Map([["x", "y"]]);
  assertEquals(fill("{x} {x} {z}", new Map([["x", ["1", "2"]]]), dice, fixed), "y y {z}");
});

Deno.test("trainTokenizer() makes tokens of what occurs often, and the file's template the chats", () => {
  const counts = new Map([["neuron", 9], [" neuron", 8], ["neuter", 3], ["user", 2]]);
  const trained = trainTokenizer(counts, { size: SPECIAL.length + 256 + 6, special: SPECIAL });
  const metadata = tokenizerMetadata(trained);
  const { metadata: read } = parseGguf(encodeGguf({ metadata, tensors: [] }));
  const tokenizer = createTokenizer(read);
  assertEquals(tokenizer.encode("neuron neuron").length, 2);
  const chat = renderChat([{ role: "user", content: "né <|im_end|>" }]);
  assertEquals(tokenizer.decode(tokenizer.encode(chat), { special: true }), chat);
  assertEquals(tokenizer.encode("<|im_start|>", { special: true }), [1]);
  assertEquals([...tokenizer.endIds].includes(2), true);
});

function textsUnder(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) => {
    const path = join(folder, name);
    return isDirectory ? textsUnder(path) : [Deno.readTextFileSync(path)];
  });
}

function allHeldOut(): Question[] {
  return [...heldOutQuestions(), ...serviceQuestions()];
}

function questionsOf(conversation: Conversation): string[] {
  if (typeof conversation === "string") return [];
  return conversation.filter(({ role }) => role === "user").map(({ content }) => content);
}

function shared(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  return a.intersection(b).size;
}

function wordsOf(text: string): Set<string> {
  return new Set(normalize(text).split(" "));
}
