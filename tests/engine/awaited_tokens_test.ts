/** Which prompts a prompt waits for that begin as it does. */
import { assertEquals } from "@std/assert";
import { awaitedTokens, type Sequence } from "../../src/engine/sequence.ts";
import { mixOf } from "../../src/engine/worn_adapters.ts";

/** A prompt of 100 tokens alike, of which some are computed. */
function promptOf(of: Partial<Sequence> = {}): Sequence {
  const none = { mix: "", computed: 0, isGenerating: false, priority: 0 };
  return { ids: new Int32Array(100), promptTokens: 100, ...none, ...of } as Sequence;
}

Deno.test("awaitedTokens() are of prompts with so much of the same adapters only", () => {
  const wearing = (adapters: number[]) => promptOf({ mix: mixOf(adapters) });
  const shared = (a: number[], b: number[]) => awaitedTokens(wearing(a), wearing(b), 1);
  assertEquals(shared([], []), 99);
  assertEquals(shared([1], [1, 0]), 0, "another mix by its name");
  assertEquals(shared([1, 0], [1, 0]), 99);
  assertEquals(shared([], [1]), 0);
});

Deno.test("awaitedTokens() are those of a prompt that is still computed, and worth a step", () => {
  const shared = (computed: number, unit: number) =>
    awaitedTokens(promptOf(), promptOf({ computed }), unit);
  assertEquals([0, 83, 84, 99].map((computed) => shared(computed, 1)), [99, 99, 0, 0]);
  assertEquals([0, 95, 96, 99].map((computed) => shared(computed, 32)), [96, 96, 0, 0]);
  assertEquals(awaitedTokens(promptOf(), promptOf({ isGenerating: true }), 1), 0, "an answer");
});

Deno.test("awaitedTokens() are of none whose turn comes later by its priority", () => {
  const shared = (own: number, others: number) =>
    awaitedTokens(promptOf({ priority: own }), promptOf({ priority: others }), 1);
  assertEquals([shared(0, 0), shared(0, 1), shared(0, -1)], [99, 99, 0]);
});
