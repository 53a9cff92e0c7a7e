import { assertEquals } from "@std/assert";
import { answerHead, createChunkWriter, errorEvent, wholeAnswer } from "../../src/server/wire.ts";

const timings = { promptTokens: 0, promptMs: 0, predictedTokens: 0, predictedMs: 0 };
const result = { text: "", ids: [], finishReason: "stop", timings } as const;

Deno.test("createChunkWriter() escapes every text into one line of JSON", () => {
  const writer = createChunkWriter(answerHead("chat", `m"\n`), false);
  for (const text of [`"\\\n\r\u2028\u0000`, "🙂", "data: [DONE]\n\n", "\ud800"]) {
    const event = writer.piece(0, text);
    assertEquals(event.match(/[\r\n]/g)?.length, 2);
    const { model, choices } = JSON.parse(event.slice(6));
    assertEquals([model, choices[0].delta.content], [`m"\n`, text]);
  }
});

Deno.test("wholeAnswer() has finite timings when nothing was measured", () => {
  const { timings, usage } = wholeAnswer(answerHead("text", "m"), [
    { promptTokens: 3, echo: "", result },
  ]);
  assertEquals(timings.prompt_per_second, 0);
  assertEquals(timings.predicted_per_token_ms, 0);
  assertEquals(usage.prompt_tokens_details.cached_tokens, 0);
});

Deno.test("errorEvent() tells nothing of an internal failure", () => {
  assertEquals(errorEvent(new Error("secret")).includes("secret"), false);
});
