/**
 * Many at once before a real engine, through HTTP: each gets what it would get alone, counted as it
 * is, in whole characters; who leaves leaves nothing behind.
 */
import { assert, assertEquals, assertGreater, assertRejects } from "@std/assert";
import type { LoadedModel } from "../../src/llm/mod.ts";
import { loadedModels, serve } from "../../src/server/mod.ts";
import { withModel, withTinyFile } from "../support/loaded_model.ts";
import "../support/thread_pool.ts";

const TEXT = "/v1/completions";

interface Served {
  readonly model: LoadedModel;
  readonly post: (path: string, body: object, signal?: AbortSignal) => Promise<Response>;
}

async function withServed(
  use: (served: Served) => Promise<void>,
  contextLength = 512,
): Promise<void> {
  await withTinyFile(
    { type: "Q4_0", contextLength },
    (path) =>
      withModel(path, { threads: 2, parallel: 8, maxWaiting: 64 }, async (model) => {
        const server = serve({ port: 0, models: loadedModels([model]) });
        try {
          const post: Served["post"] = (path, body, signal) =>
            fetch(server.url + path, { method: "POST", body: JSON.stringify(body), signal });
          await use({ model, post });
        } finally {
          await server.shutdown();
        }
      }),
  );
}

interface Answer {
  readonly text: string;
  /** Texts of the stream's chunks; of a whole answer it is one. */
  readonly pieces: readonly string[];
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Ids that log probabilities tell of. */
  readonly counted: number;
}

async function ask({ post }: Served, body: object, stream: boolean): Promise<Answer> {
  const fields = { ...body, stream, logprobs: 0, ...stream && { stream_options: USAGE } };
  const response = await post(TEXT, fields);
  const text = await response.text();
  assertEquals(response.status, 200, text);
  const events = stream
    ? text.split("\n\n").filter((line) => line.startsWith("data: {"))
      .map((line) => JSON.parse(line.slice(6)))
    : [JSON.parse(text)];
  const { usage } = events.at(-1);
  const choices = events.flatMap((event) => event.choices);
  const pieces = choices.map((choice) => choice.text as string);
  return {
    text: pieces.join(""),
    pieces,
    promptTokens: usage.prompt_tokens,
    completionTokens: usage.completion_tokens,
    counted: choices.reduce((sum, { logprobs }) => sum + (logprobs?.tokens.length ?? 0), 0),
  };
}

const USAGE = { include_usage: true };

/** With a beginning that all share, and a canary of its own each. */
function requestOf(index: number) {
  const prompt = `fox and moon and river ${"and snow ".repeat(8)} canary ${index} ${
    "é狐🦊"[index % 3]
  }`;
  return { prompt, seed: index, temperature: 1, max_tokens: 24, ignore_eos: true };
}

// fault 61: the same ids alone, in a batch, cached or not, streamed or not.
// fault 62: nobody gets anything of anybody else's.
// fault 64: usage is what was computed.
Deno.test("eight requests at once get what each gets alone, streamed and whole, cached and not", () =>
  withServed(async (served) => {
    const { model } = served;
    const alone: Answer[] = [];
    for (let i = 0; i < 8; i++) alone.push(await ask(served, requestOf(i), i % 2 === 0));
    assertEquals(new Set(alone.map(({ text }) => text)).size, 8, "canaries differ");
    for (const [index, { promptTokens, completionTokens, counted }] of alone.entries()) {
      const ids = model.encodePrompt(requestOf(index).prompt);
      assertEquals([promptTokens, completionTokens, counted], [ids.length, 24, 24]);
    }
    for (const turn of [0, 1]) {
      const together = await Promise.all(
        alone.map((_, index) => ask(served, requestOf(index), (index + turn) % 2 === 0)),
      );
      assertEquals(together.map(({ text }) => text), alone.map(({ text }) => text));
      assertEquals(together.map(({ counted }) => counted), alone.map(() => 24));
    }
  }));

// fault 63: no piece of a stream ends within a character.
Deno.test("a stream never splits a character, whichever tokens it is made of", () =>
  withServed(async (served) => {
    // The tiny vocabulary has bytes for these only: three or four tokens each.
    const body = { prompt: "a", grammar: "root ::= [狐月🦊é]{24}", temperature: 1, seed: 3 };
    const { text, pieces } = await ask(served, { ...body, max_tokens: 200 }, true);
    assertEquals([...text].length, 24, text);
    assert(/^[狐月🦊é]+$/u.test(text), text);
    assertGreater(pieces.filter((piece) => piece !== "").length, 20);
    assert(pieces.every((piece) => piece.isWellFormed() && !piece.includes("\ufffd")), `${pieces}`);
    const whole = await ask(served, { ...body, max_tokens: 200 }, false);
    assertEquals(whole.text, text);
    // An answer that ends within one shows what there is of it as what it is: none.
    const cut = await ask(served, { ...body, max_tokens: 2 }, true);
    assert(cut.text.isWellFormed());
    assertEquals(cut.completionTokens, 2);
  }));

// fault 49, fault 65: who leaves, whenever, leaves room and account as they were.
Deno.test("clients that leave at any point leave the account of keys and values as it was", () =>
  withServed(async (served) => {
    const { model, post } = served;
    const staying = { ...requestOf(1), max_tokens: 60 };
    const expected = await ask(served, staying, false);
    const vanish = async (index: number) => {
      const client = new AbortController();
      const timer = setTimeout(() => client.abort(), index * 3);
      const body = { ...requestOf(index), max_tokens: 400, stream: index % 2 === 0 };
      await post(TEXT, body, client.signal).then((response) => response.text()).catch(() => {});
      clearTimeout(timer);
    };
    const [answer] = await Promise.all([
      ask(served, staying, true),
      ...Array.from({ length: 24 }, (_, index) => vanish(index)),
    ]);
    assertEquals(answer.text, expected.text);
    const startMs = performance.now();
    const held = () => model.load.running + model.load.waiting + model.kv.usedTokens;
    while (held() > 0 && performance.now() - startMs < 2_000) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assertEquals([model.load, model.kv.usedTokens], [{ running: 0, waiting: 0 }, 0]);
    assertEquals((await ask(served, staying, false)).text, expected.text);
  }));

// fault 49: gone while a text is read as a whole.
Deno.test("who leaves while a whole text is read ends the reading within a step", () =>
  withServed(async ({ model, post }) => {
    const textOf = (index: number) =>
      Array.from({ length: 4_000 }, (_, i) => 3 + (i * (index + 2)) % 200);
    const startMs = performance.now();
    (await model.embed([textOf(0)]))[0];
    const wholeMs = performance.now() - startMs;
    const shows = { echo: true, logprobs: 0, max_tokens: 0, stream: true };
    const asks: ((ids: number[], signal: AbortSignal) => Promise<unknown>)[] = [
      (prompt, signal) => post(TEXT, { ...shows, prompt }, signal).then((answer) => answer.text()),
      (ids, signal) => model.promptLogprobs(ids, 0, { signal }),
      (ids, signal) => model.embed([ids], { signal }),
    ];
    for (const [index, ask] of asks.entries()) {
      const client = new AbortController();
      const answer = ask(textOf(index + 1), client.signal);
      while (model.load.running === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      await new Promise((resolve) => setTimeout(resolve, 20));
      const leftMs = performance.now();
      client.abort();
      await assertRejects(() => answer);
      while (model.load.running > 0) await new Promise((resolve) => setTimeout(resolve, 1));
      const ms = performance.now() - leftMs;
      assert(ms < wholeMs / 4, `ask ${index}: ${ms} ms of ${wholeMs}`);
      assertEquals(model.kv.usedTokens, 0);
    }
  }, 4096));
