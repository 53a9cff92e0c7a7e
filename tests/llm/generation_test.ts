import { assertEquals, assertRejects } from "@std/assert";
import { createLogprobRows } from "../../src/engine/logprob_rows.ts";
import type { EngineRequest, EngineResult } from "../../src/engine/types.ts";
import { type GenerationInput, startGeneration } from "../../src/llm/generation.ts";
import { TurnQueue } from "../../src/llm/queue.ts";
import { Utf8StreamDecoder } from "../../src/tokenizer/decoder.ts";
import type { Tokenizer } from "../../src/tokenizer/types.ts";

const REQUEST: EngineRequest = { ids: [1], maxTokens: 8, sampling: {}, endIds: [] };
const TIMINGS = { promptTokens: 1, promptMs: 1, predictedTokens: 3, predictedMs: 1 };

/** A source of ids that notes whether it was left, and what it was told. */
function scriptedSource(batches: number[][]) {
  const seen = { isLeft: false, isAborted: false };
  async function* source(
    _request: EngineRequest,
    signal: AbortSignal,
  ): AsyncGenerator<readonly number[], EngineResult> {
    signal.addEventListener("abort", () => seen.isAborted = true);
    try {
      for (const batch of batches) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        if (seen.isAborted) return { finishReason: "cancelled", timings: TIMINGS };
        yield batch;
      }
      return { finishReason: "length", timings: TIMINGS };
    } finally {
      seen.isLeft = true;
    }
  }
  return { source, seen };
}

/** Ids are UTF-16 codes; id 0 makes the decoder throw, id 1 is a control token. */
const TOKENIZER = {
  streamDecoder: () => ({
    push(id: number) {
      if (id === 0) throw new Error("no such id");
      return id === 1 ? "" : String.fromCharCode(id);
    },
    flush: () => "",
  }),
  bytesOf: (id: number) => new Uint8Array(id === 1 ? 0 : 1),
} as unknown as Tokenizer;

function codes(text: string): number[] {
  return [...text].map((letter) => letter.charCodeAt(0));
}

function input(batches: number[][], more: Partial<GenerationInput> = {}) {
  const { source, seen } = scriptedSource(batches);
  return { seen, input: { source, request: REQUEST, stop: [], tokenizer: TOKENIZER, ...more } };
}

async function textOf(chunks: AsyncIterable<{ text: string }>): Promise<string> {
  let text = "";
  for await (const chunk of chunks) text += chunk.text;
  return text;
}

Deno.test("startGeneration() gives every reader all chunks", async () => {
  const { input: given } = input([codes("one "), codes("two "), codes("three")]);
  const generation = startGeneration(new TurnQueue({ runningMax: 1, waitingMax: 1 }), given);
  const [first, second] = await Promise.all([textOf(generation), textOf(generation)]);
  assertEquals([first, second], ["one two three", "one two three"]);
  assertEquals(await textOf(generation), "one two three");
  assertEquals((await generation.result).finishReason, "length");
});

Deno.test("startGeneration() cancels what is left behind a stop string", async () => {
  const { input: given, seen } = input([codes("one "), codes("STOP"), codes("x"), codes("y")], {
    stop: ["STOP"],
  });
  const result = await startGeneration(new TurnQueue({ runningMax: 1, waitingMax: 1 }), given)
    .result;
  assertEquals([result.text, result.finishReason, result.stopText], ["one ", "stop", "STOP"]);
  assertEquals([seen.isAborted, seen.isLeft], [true, true]);
});

Deno.test("startGeneration() ends like that when somebody else has seen the end", async () => {
  const end = new AbortController();
  const { input: given, seen } = input([codes("one "), codes("two "), codes("three")], {
    endSignal: end.signal,
  });
  const generation = startGeneration(new TurnQueue({ runningMax: 1, waitingMax: 1 }), given);
  for await (const { text } of generation) if (text === " ") end.abort();
  const { finishReason } = await generation.result;
  assertEquals([finishReason, seen.isAborted], ["stop", true]);
});

Deno.test("startGeneration() gives what it holds back before a control token that follows", async () => {
  const { input: given } = input([codes("one S"), [1], codes("TOP two")], { stop: ["STOP"] });
  const generation = startGeneration(new TurnQueue({ runningMax: 1, waitingMax: 1 }), given);
  const seen: string[] = [];
  for await (const { text, ids } of generation) seen.push(ids[0] === 1 ? "|" : text);
  assertEquals(seen.join(""), "one S|TOP two");
  assertEquals((await generation.result).ids, [...codes("one S"), 1, ...codes("TOP two")]);
});

Deno.test("startGeneration() tells log probabilities of what is shown, not of a stop text", async () => {
  const piece = ["on", "e S", "T", " T", "wo S", "TOP", " x"];
  const tokenizer = {
    streamDecoder: () => ({ push: (id: number) => piece[id - 2] ?? "", flush: () => "" }),
    bytesOf: (id: number) => new Uint8Array(id === 1 ? 0 : 1),
  } as unknown as Tokenizer;
  const read = async (stop: string[], steps: number[][]) => {
    const logprobs = createLogprobRows(0, 16);
    const { input: given } = input(steps, { tokenizer, stop, request: { ...REQUEST, logprobs } });
    const generation = startGeneration(new TurnQueue({ runningMax: 1, waitingMax: 1 }), given);
    const told: (string | number[])[][] = [];
    for await (const { text, logprobs = [] } of generation) {
      told.push([text, logprobs.map(({ id }) => id)]);
    }
    return { told, ids: (await generation.result).ids };
  };
  assertEquals(await read(["STOP"], [[2, 3], [4, 5, 6], [7, 8]]), {
    told: [
      ...[["on", [2]], ["e ", [3]], ["", []], ["ST T", [4, 5]], ["wo ", [6]], ["", []]],
    ],
    ids: [2, 3, 4, 5, 6, 7],
  });
  // What was held back has its tokens when it is shown: at the end, and before a control token.
  assertEquals((await read(["e STOP"], [[2, 3]])).told, [["on", [2]], ["", []], ["e S", [3]]]);
  assertEquals((await read(["STOP"], [[3, 4], [1, 2]])).told, [
    ...[["e ", [3]], ["", []], ["ST", [4]], ["", [1]], ["on", [2]]],
  ]);
  assertEquals((await read(["one"], [[2, 3]])).told, [["", []], ["", []]]);
  assertEquals((await read([], [[2, 9], [3]])).told, [["on", [2]], ["", [9]], ["e S", [3]]]);
});

Deno.test("startGeneration() ends half a character before a control token that follows", async () => {
  const bytes = (id: number) => new Uint8Array(id === 1 ? [] : [id]);
  const source = { bytesOf: bytes, addsSpacePrefix: false };
  const tokenizer = {
    streamDecoder: () => new Utf8StreamDecoder(source, false),
    bytesOf: bytes,
  } as unknown as Tokenizer;
  const read = async (stop: string[]) => {
    const { input: given } = input([[0x61, 0xf0, 0x9f], [1], codes("final")], { tokenizer, stop });
    const generation = startGeneration(new TurnQueue({ runningMax: 1, waitingMax: 1 }), given);
    const seen: string[] = [];
    for await (const { text, ids } of generation) seen.push(text + (ids[0] === 1 ? "|" : ""));
    return [seen.join(""), (await generation.result).finishReason];
  };
  assertEquals(await read([]), ["a\ufffd|final", "length"]);
  assertEquals(await read(["\ufffd"]), ["a", "stop"]);
  // What it ended with counts: the next token is told when it is shown, not before.
  const request = { ...REQUEST, logprobs: createLogprobRows(0, 8) };
  const more = { tokenizer, stop: ["STOP"], request };
  const { input: given } = input([[0xf0], [1], codes("ST")], more);
  const told: number[][] = [];
  for await (
    const { logprobs = [] } of startGeneration(
      new TurnQueue({ runningMax: 1, waitingMax: 1 }),
      given,
    )
  ) told.push(logprobs.map(({ id }) => id));
  assertEquals(told, [[0xf0], [], [1], [], [], codes("ST")]);
});

Deno.test("startGeneration() frees the engine and its turn when the decoder throws", async () => {
  const queue = new TurnQueue({ runningMax: 1, waitingMax: 1 });
  const { input: given, seen } = input([codes("a"), [0], codes("b")]);
  const generation = startGeneration(queue, given);
  await assertRejects(() => generation.result, Error, "no such id");
  await assertRejects(() => textOf(generation), Error, "no such id");
  assertEquals([seen.isLeft, queue.running], [true, 0]);
  const after = startGeneration(queue, input([codes("fine")]).input);
  assertEquals((await after.result).text, "fine");
});

Deno.test("startGeneration() ends when its reader leaves, and when it is aborted in the queue", async () => {
  const queue = new TurnQueue({ runningMax: 1, waitingMax: 1 });
  const { input: given, seen } = input([codes("a"), codes("b"), codes("c"), codes("d")]);
  const generation = startGeneration(queue, given);
  const abort = new AbortController();
  const waiting = startGeneration(queue, input([], { signal: abort.signal }).input);
  abort.abort();
  assertEquals((await waiting.result).finishReason, "cancelled");
  for await (const _chunk of generation) break;
  assertEquals((await generation.result).finishReason, "cancelled");
  assertEquals([seen.isAborted, queue.running], [true, 0]);
});
