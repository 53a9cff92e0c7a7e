import { assert, assertEquals } from "@std/assert";
import { SAMPLER_STEPS } from "../../../src/base/sampler_steps.ts";
import { RequestError } from "../../../src/base/errors.ts";
import { post, readEvents, refused, testApp } from "../http_client.ts";

const MARKS = { prefix: 1, suffix: 2, middle: 3, repository: null, file: null };

Deno.test("/completion continues a text, and says how it ended", async () => {
  const { app, model } = testApp({ script: ["Hello\n", "world"] });
  const answer = await (await post(app, "/completion", { prompt: "Say" })).json();
  assertEquals(model.requests[0].ids, [..."Say"].map((letter) => letter.charCodeAt(0)));
  assertEquals(model.requests[0].maxTokens, undefined);
  const { timings, ...rest } = answer;
  assertEquals(rest, {
    ...{ index: 0, content: "Hello\nworld", tokens: [], stop: true, model: model.id },
    ...{ tokens_predicted: 11, tokens_evaluated: 3, tokens_cached: 14 },
    ...{ has_new_line: true, truncated: false, stop_type: "eos", stopping_word: "" },
  });
  assertEquals([timings.prompt_n, timings.cache_n], [2, 1]);
  const stop = { prompt: "Say", stop: ["wor"], n_predict: 20, return_tokens: true };
  const stopped = await (await post(app, "/completions", stop)).json();
  assertEquals([stopped.content, stopped.stop_type, stopped.stopping_word], [
    ...["Hello\n", "word", "wor"],
  ]);
  assertEquals(stopped.tokens.slice(0, 5), [72, 101, 108, 108, 111]);
  assertEquals(model.requests[1].maxTokens, 20);
});

Deno.test("/completion answers several prompts, ids among them, in order", async () => {
  const { app, model } = testApp({ script: ({ ids }) => [`${ids.length}!`] });
  const answers = await (await post(app, "/completion", { prompt: ["a", "bcd"] })).json();
  // deno-lint-ignore no-explicit-any
  assertEquals(answers.map((each: any) => [each.index, each.content]), [[0, "1!"], [1, "3!"]]);
  const ids = await (await post(app, "/completion", { prompt: [7, 8] })).json();
  assertEquals([ids.content, model.requests.at(-1)!.ids], ["2!", [7, 8]]);
});

Deno.test("/completion streams pieces, and an end that brings no text again", async () => {
  const { app } = testApp({ script: ["Hel", "lo"] });
  const body = { prompt: "Say", stream: true, response_fields: ["content", "stop", "model/x"] };
  const events = await readEvents(await post(app, "/completion", body));
  assertEquals(events.slice(0, -1).map(({ content, stop }) => [content, stop]), [
    ["Hel", false],
    ["lo", false],
  ]);
  assertEquals(events.at(-1), { content: "", stop: true });
});

Deno.test("/completion takes llama.cpp's names of options", async () => {
  const { app, model } = testApp();
  const body = {
    prompt: "Say",
    ...{ n_predict: 5, top_k: 3, repeat_penalty: 1.1, seed: -1, ignore_eos: true },
    ...{ logit_bias: [[5, 1.5], [6, false]], cache_prompt: true, id_slot: -1, n_probs: 0 },
    grammar: 'root ::= "x"',
  };
  assertEquals((await post(app, "/completion", body)).status, 200);
  const { sampling, maxTokens, ignoreEnd, grammar, logprobs } = model.requests[0];
  assertEquals(sampling, {
    ...{ topK: 3, repeatPenalty: 1.1 },
    logitBias: new Map([[5, 1.5], [6, -100]]),
  });
  assertEquals([maxTokens, ignoreEnd, logprobs], [5, true, undefined]);
  assertEquals(grammar, { kind: "gbnf", text: 'root ::= "x"' });
  // llama.vim's own step stands for the usual ones.
  await post(app, "/completion", { prompt: "Say", samplers: ["top_k", "infill"] });
  assertEquals(model.requests[1].sampling, { steps: SAMPLER_STEPS });
});

Deno.test("/completion shows probabilities where they are asked for", async () => {
  const { app } = testApp({ script: ["Hi"] });
  const answer = await (await post(app, "/completion", { prompt: "Say", n_probs: 1 })).json();
  const [first, second] = answer.completion_probabilities;
  assertEquals([first.id, first.token, second.id], [72, "H", 105]);
  assertEquals(first.top_logprobs.length, 1);
  assert(Number.isInteger(first.top_logprobs[0].id) && first.logprob <= 0);
});

Deno.test("/completion reads the prompt alone when no token is wanted", async () => {
  const { app, model } = testApp({ script: ["Hi"] });
  const body = { prompt: "Say", n_predict: 0, return_tokens: true };
  const answer = await (await post(app, "/completion", body)).json();
  assertEquals([answer.content, answer.tokens, model.requests[0].maxTokens], ["", [], 0]);
  assertEquals([answer.tokens_predicted, answer.stop_type], [0, "limit"]);
});

Deno.test("/completion streams the ids of its pieces; those without a text are the end's", async () => {
  const script = ["He", "llo", "\n", "wor", "ld"];
  const events = async (body: object) => {
    const { app } = testApp({ script });
    const response = await post(app, "/completion", { prompt: "Say", stream: true, ...body });
    return (await readEvents(response)).map(({ tokens, stop }) => [stop, tokens]);
  };
  assertEquals(await events({}), [
    ...["He", "llo", "\n", "wor", "ld"].map((text) => [false, ids(text)]),
    [true, []],
  ]);
  // A stop string is held back, and no text.
  assertEquals(await events({ stop: ["\nwo"] }), [
    ...["He", "llo"].map((text) => [false, ids(text)]),
    [true, ids("\nwor")],
  ]);
  // Of a line that is left out, nothing but the piece that it began in.
  assertEquals(await events({ n_indent: 1 }), [
    ...["He", "llo", "\n"].map((text) => [false, ids(text)]),
    [true, ids("wor")],
  ]);
});

Deno.test("/completion and /infill end with the lines that an editor wants", async () => {
  const { app, model } = testApp({
    script: ["  a\n", "  b\n", "c\n", 1000, new Error("it went on")],
    details: { gapMarks: MARKS },
  });
  const body = { input_prefix: "{\n", input_suffix: "}", n_indent: 2 };
  const answer = await (await post(app, "/infill", body)).json();
  assertEquals([answer.content, answer.stop_type], ["  a\n  b\n", "limit"]);
  const late = { prompt: "Say", t_max_predict_ms: 1, stream: true };
  const slow = testApp({ script: ["a\n", 20, "b", 1000, new Error("it went on")] });
  const events = await readEvents(await post(slow.app, "/completion", late));
  assertEquals(events.map(({ content }) => content), ["a\n", "b", ""]);
  assertEquals(model.requests[0].ids, [1, ...ids("{\n"), 2, ...ids("}"), 3]);
});

function ids(text: string): number[] {
  return [...text].map((letter) => letter.charCodeAt(0));
}

Deno.test("/infill leaves room for its answer, and reads files and what has begun", async () => {
  const { app, model } = testApp({ contextLength: 100, details: { gapMarks: MARKS } });
  const body = { input_prefix: "p".repeat(200), input_suffix: "s".repeat(200) };
  for (const [n_predict, room] of [[10, 90], [80, 75], [-1, 75]]) {
    assertEquals((await post(app, "/infill", { ...body, n_predict })).status, 200);
    assertEquals(model.requests.at(-1)!.ids.length, room);
  }
  const input_extra = [{ filename: "a.ts", text: "x" }];
  await post(app, "/infill", { input_prefix: "p", input_suffix: "s", input_extra, prompt: "b" });
  const snippet = "\n\n--- snippet ---\n\nx";
  assertEquals(model.requests.at(-1)!.ids, [
    ...[...ids(snippet), 1, ...ids("p"), 2, ...ids("s"), 3, ...ids("b")],
  ]);
});

Deno.test("/completion refuses with a status what its model refuses, streams too", async () => {
  const refuse = () => new RequestError("Too long", { status: 400, code: "too_long" });
  const { app } = testApp({ refuse });
  for (const stream of [true, false]) {
    assertEquals((await refused(app, "/completion", { prompt: "x", stream })).code, "too_long");
  }
});

Deno.test("/completion and /infill name the field at fault", async () => {
  const { app } = testApp();
  for (
    const [path, body, param] of [
      ["/completion", {}, "prompt"],
      ["/completion", { prompt: "x", n_predict: -3 }, "n_predict"],
      ["/completion", { prompt: "x", mirostat: 3 }, "mirostat"],
      ["/completion", { prompt: "x", logit_bias: [["a", 1]] }, "logit_bias[0][0]"],
      ["/completion", { prompt: "x", logit_bias: [[2 ** 30, 1]] }, "logit_bias"],
      ["/infill", { input_prefix: "x" }, "input_suffix"],
      [
        "/infill",
        { input_prefix: "x", input_suffix: "y", input_extra: [{}] },
        "input_extra[0].text",
      ],
      ["/infill", { input_prefix: "x", input_suffix: "y" }, "input_prefix"],
    ] as const
  ) {
    assertEquals((await refused(app, path, body)).param, param);
  }
});
