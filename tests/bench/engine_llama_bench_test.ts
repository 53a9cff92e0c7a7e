import { assertEquals, assertThrows } from "@std/assert";
import { llamaBenchCalls, parseLlamaBench } from "./engine_llama_bench.ts";

const WORK = {
  modelPath: "m.gguf",
  threads: 2,
  promptIds: [5, 6, 7],
  seed: 1,
  genTokens: 8,
  decodeAtDepth: false,
};
const PROMPT = { build_commit: "de3ff81", n_prompt: 64, n_gen: 0, avg_ts: 56.2 };
const ANSWER = { build_commit: "de3ff81", n_prompt: 0, n_gen: 16, avg_ts: 13 };

Deno.test("llamaBenchCalls() asks for prompt and answer at once", () => {
  assertEquals(llamaBenchCalls(WORK).map((args) => args.join(" ")), [
    "-m m.gguf -t 2 -r 1 -fa 1 -o json -p 3 -n 8",
  ]);
});

Deno.test("llamaBenchCalls() decodes behind a context where one is named", () => {
  assertEquals(llamaBenchCalls({ ...WORK, decodeAtDepth: true }).map((args) => args.join(" ")), [
    "-m m.gguf -t 2 -r 1 -fa 1 -o json -p 3 -n 0",
    "-m m.gguf -t 2 -r 1 -fa 1 -o json -p 0 -n 8 -d 3",
  ]);
});

Deno.test("parseLlamaBench() finds the prompt's and the answer's speed in any order", () => {
  const sample = { prefillTps: 56.2, decodeTps: 13, idsHash: null, version: "de3ff81" };
  assertEquals(parseLlamaBench([PROMPT, ANSWER]), sample);
  assertEquals(parseLlamaBench([ANSWER, PROMPT]), sample);
  const mixed = { ...PROMPT, n_gen: 16, avg_ts: 99 };
  assertEquals(parseLlamaBench([mixed, PROMPT, ANSWER]), sample);
});

Deno.test("parseLlamaBench() refuses what is no report, or lacks a speed", () => {
  for (
    const document of [
      null,
      {},
      "text",
      [],
      [PROMPT],
      [ANSWER],
      [PROMPT, { ...ANSWER, avg_ts: 0 }],
      [PROMPT, { ...ANSWER, avg_ts: "13" }],
      [{ ...PROMPT, avg_ts: NaN }, ANSWER],
    ]
  ) {
    assertThrows(() => parseLlamaBench(document), Error, "Cannot read llama-bench's report");
  }
});
