import { assertEquals } from "@std/assert";
import type { ModelConfig } from "../../src/model/types.ts";
import { guessBytes } from "../../src/rank/plan/plan_guess.ts";

/** Bytes of what guesses are made of, in steps of 10 tokens; tiles have a byte for each number. */
function bytesOf(config: Partial<ModelConfig>, leads: boolean) {
  return guessBytes(config as ModelConfig, {
    ...{ strides: { embedding: 128 }, chunkTokens: 10, sequences: 3, leads },
    sizes: { q8_bytes: (n, k) => n * k },
  });
}

Deno.test("guessBytes() has room for what a fusion reads, and for pairs, whichever are wider", () => {
  const fusion = {
    ...{ layers: [1, 2, 3], tokenCount: 5, normalizesInput: false, normalizesResidual: false },
  };
  const ofWidth = (rowLength: number) => ({
    ...{ embeddingLength: 96, guess: { readsNormed: false, fusion: { ...fusion, rowLength } } },
  });
  const pairs = 10 * 2 * 128 * 4;
  // Rows are 300 numbers: longer than two of 96; 512 are whole superblocks.
  assertEquals(bytesOf(ofWidth(100), true), {
    ...{ "guess.pairs": pairs, "guess.q8": 10 * 300, "guess.fused": 10 * 512 * 4 },
    "guess.rows": 3 * (10 + 32) * 300 * 4,
  });
  assertEquals(bytesOf(ofWidth(10), false), {
    ...{ "guess.pairs": pairs, "guess.q8": 10 * 192, "guess.fused": 10 * 256 * 4 },
  });
  // A block behind a model's layers keeps rows of the model's own width.
  assertEquals(bytesOf({ embeddingLength: 96, guess: { readsNormed: false } }, true), {
    ...{ "guess.pairs": pairs, "guess.q8": 10 * 192, "guess.rows": 3 * (10 + 32) * 96 * 4 },
  });
  assertEquals(bytesOf({ embeddingLength: 96 }, true), {});
});
