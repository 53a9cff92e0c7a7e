/** What clients ask of a server to see how fast it is: alone, together, in a long conversation. */
import { pause } from "../../src/base/pause.ts";
import { type ChatFields, type ServedChat, timedChat } from "./served_client.ts";

export interface ServedLoad {
  /** How many ask at once, one number after another. */
  readonly streams: readonly number[];
  readonly answerTokens: number;
  /** Words of the long prompt. */
  readonly promptWords: number;
}

export interface ServedFigures {
  /** By name, with its unit at the end. */
  readonly figures: ReadonlyMap<string, number>;
  /** All answers, in the order of the questions. */
  readonly texts: readonly string[];
}

/** Whether less of a figure is better: of times and sizes, not of speeds. */
export function isLessBetter(figure: string): boolean {
  return / (ms|MB|tokens)$/.test(figure);
}

type Message = { readonly role: string; readonly content: string };

/** Asks a server all of it. @throws {Error} when an answer is refused or broken off. */
export async function askAll(url: string, load: ServedLoad): Promise<ServedFigures> {
  const client = new Client(url, load);
  await client.ask("Warm up.", 8);
  for (const count of load.streams) await client.askTogether(count);
  await client.converse();
  await client.askBesideLongPrompt();
  await client.askBySchema();
  return client;
}

class Client implements ServedFigures {
  readonly figures = new Map<string, number>();
  readonly texts: string[] = [];
  readonly #url: string;
  readonly #load: ServedLoad;

  constructor(url: string, load: ServedLoad) {
    this.#url = url;
    this.#load = load;
  }

  async ask(
    content: string | readonly Message[],
    tokens: number,
    more: ChatFields = {},
  ): Promise<ServedChat> {
    const messages = typeof content === "string" ? [{ role: "user", content }] : content;
    const place = this.texts.push("") - 1;
    const fields = { messages, max_tokens: tokens, temperature: 0, ...more };
    const chat = await timedChat(this.#url, fields);
    this.texts[place] = chat.text;
    return chat;
  }

  /** Tokens a second of all together, and how long the last one waits for its first. */
  async askTogether(count: number): Promise<void> {
    const startMs = performance.now();
    const questions = Array.from({ length: count }, (_, i) => wordsOf(20, 100 * count + i));
    const chats = await Promise.all(
      questions.map((question) => this.ask(question, this.#load.answerTokens)),
    );
    const seconds = (performance.now() - startMs) / 1000;
    const tokens = chats.reduce((sum, chat) => sum + chat.completionTokens, 0);
    this.figures.set(`${count} at once, tok/s`, tokens / seconds);
    const firstMs = Math.max(...chats.map((chat) => chat.firstMs));
    this.figures.set(`${count} at once, all have begun after, ms`, firstMs);
  }

  /** A long question, then another behind its answer: what was read is not read again. */
  async converse(): Promise<void> {
    const first = [{ role: "user", content: wordsOf(this.#load.promptWords, 7) }];
    const answer = await this.ask(first, 16);
    this.figures.set("long prompt, tok/s", answer.promptTokens / (answer.firstMs / 1000));
    const next = [
      ...first,
      { role: "assistant", content: answer.text },
      { role: "user", content: "And then?" },
    ];
    const again = await this.ask(next, 16);
    this.figures.set("its second turn, first token, ms", again.firstMs);
    const read = again.promptTokens - again.cachedTokens;
    this.figures.set("its second turn, read again, tokens", read);
  }

  /** Beside a stream a long prompt comes, and a short one behind it. */
  async askBesideLongPrompt(): Promise<void> {
    const { answerTokens, promptWords } = this.#load;
    const stream = this.ask(wordsOf(20, 8), 4 * answerTokens);
    await pause(1000);
    const long = this.ask(wordsOf(promptWords, 9), 4);
    await pause(1000);
    const short = this.ask(wordsOf(20, 10), 4);
    const [streamed, read, asked] = await Promise.all([stream, long, short]);
    this.figures.set("a stream beside it, longest gap, ms", streamed.longestGapMs);
    this.figures.set("long prompt beside a stream, first token, ms", read.firstMs);
    this.figures.set("short prompt behind both, first token, ms", asked.firstMs);
  }

  async askBySchema(): Promise<void> {
    const answer = await this.ask(wordsOf(20, 11), 2 * this.#load.answerTokens, {
      response_format: { type: "json_schema", json_schema: { name: "thing", schema: SCHEMA } },
    });
    const seconds = (answer.totalMs - answer.firstMs) / 1000;
    this.figures.set("by a schema, tok/s", (answer.completionTokens - 1) / seconds);
  }
}

const SCHEMA = {
  type: "object",
  properties: {
    names: { type: "array", items: { type: "string", maxLength: 12 }, minItems: 6, maxItems: 6 },
    age: { type: "integer" },
    kind: { enum: ["bird", "tree", "river"] },
  },
  required: ["names", "age", "kind"],
  additionalProperties: false,
};

const WORDS = "the river runs below old trees and a small boat waits for rain while birds sing"
  .split(" ");

/** So many words, others for each seed. */
function wordsOf(count: number, seed: number): string {
  let state = Math.imul(seed, 2654435761) >>> 0;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return WORDS[(state >>> 16) % WORDS.length];
  }).join(" ");
}
