import { assertEquals } from "@std/assert";
import {
  answerHead,
  createChunkWriter,
  EVENT_STREAM,
  wholeAnswer,
} from "../../../src/server/openai/wire.ts";

const timings = { promptTokens: 0, promptMs: 0, predictedTokens: 0, predictedMs: 0 };

Deno.test("createChunkWriter() escapes every text into one line of JSON", () => {
  const writer = createChunkWriter(answerHead("chat", `m"\n`, null), { includeUsage: false });
  for (const text of [`"\\\n\r\u2028\u0000`, "🙂", "data: [DONE]\n\n", "\ud800"]) {
    const event = writer.piece(0, [{ kind: "text", text }], []);
    assertEquals(event.match(/[\r\n]/g)?.length, 2);
    const { model, choices } = JSON.parse(event.slice(6));
    assertEquals([model, choices[0].delta.content], [`m"\n`, text]);
  }
});

Deno.test("wholeAnswer() has finite timings when nothing was measured", () => {
  const { timings: written, usage } = wholeAnswer(answerHead("text", "m", null), [], {
    usage: { promptTokens: 3, cachedTokens: 0, completionTokens: 0, reasoningTokens: 0 },
    timings: [timings],
  });
  assertEquals(written.prompt_per_second, 0);
  assertEquals(written.predicted_per_token_ms, 0);
  assertEquals(usage.prompt_tokens_details.cached_tokens, 0);
});

Deno.test("wholeAnswer() tells of tokens that were guessed ahead where some were", () => {
  const usage = { promptTokens: 3, cachedTokens: 0, completionTokens: 9, reasoningTokens: 0 };
  const guessed = { ...timings, draftedTokens: 7, acceptedTokens: 4 };
  const write = (all: (typeof timings)[]) =>
    wholeAnswer(answerHead("text", "m", null), [], { usage, timings: all }).timings;
  const { draft_n, draft_n_accepted } = write([guessed, timings, guessed]);
  assertEquals([draft_n, draft_n_accepted], [14, 8]);
  assertEquals("draft_n" in write([timings]), false);
});

Deno.test("EVENT_STREAM tells nothing of an internal failure", () => {
  assertEquals(EVENT_STREAM.errorEvent(new Error("secret")).includes("secret"), false);
});
