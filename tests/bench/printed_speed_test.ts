import { assertEquals } from "@std/assert";
import { parsePrintedSpeed } from "./printed_speed.ts";

Deno.test("parsePrintedSpeed() reads our report, whatever stands around it", () => {
  const report = {
    prefill_tps: { min: 1, median: 20.5, max: 30 },
    decode_tps: { min: 1, median: 4.5, max: 5 },
    ids_hash: "ab12",
    flags: [],
  };
  const expected = { prefillTps: 20.5, decodeTps: 4.5, idsHash: "ab12" };
  assertEquals(parsePrintedSpeed(JSON.stringify(report)), expected);
  const noisy = `[1] loading\n${JSON.stringify(report, null, 2)}\nbye\n`;
  assertEquals(parsePrintedSpeed(noisy.replace("[1] ", "")), expected);
});

Deno.test("parsePrintedSpeed() reads llama-bench's list, also of an answer alone", () => {
  const answer = { n_prompt: 0, n_gen: 8, avg_ts: 0.33 };
  const speed = { prefillTps: null, decodeTps: 0.33, idsHash: null };
  assertEquals(parsePrintedSpeed(JSON.stringify([answer], null, 2)), speed);
  const both = [{ n_prompt: 64, n_gen: 0, avg_ts: 12 }, answer];
  assertEquals(parsePrintedSpeed(JSON.stringify(both)), { ...speed, prefillTps: 12 });
});

Deno.test("parsePrintedSpeed() finds the last figures in plain text", () => {
  const unknown = { prefillTps: null, decodeTps: null, idsHash: null };
  assertEquals(
    parsePrintedSpeed("prefill  1.0 tok/s\nprefill 20.25 tok/s, decode: 9.1 (8–10) tok/s\n"),
    { ...unknown, prefillTps: 20.25, decodeTps: 9.1 },
  );
  assertEquals(parsePrintedSpeed("eval time: 3.5 tokens/s\nthen 4.5 t/s"), {
    ...unknown,
    decodeTps: 4.5,
  });
  for (const text of ["", "no speed", "[\n", "{ not JSON }", "[]", "{}"]) {
    assertEquals(parsePrintedSpeed(text), unknown, text);
  }
});
