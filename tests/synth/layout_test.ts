import { assertEquals } from "@std/assert";
import { modelTensors } from "../../src/synth/layout.ts";
import { type ShapeName, SHAPES } from "../../src/synth/shapes.ts";

/** Weights of the real models, as their publishers count them. */
const PARAMETERS: Record<ShapeName, number> = {
  "llama-160m": 162_417_408,
  "tinyllama-1.1b": 1_100_048_384,
  "mistral-7b": 7_241_732_096,
  "llama-3.2-1b": 1_235_814_400,
  "qwen2-0.5b": 494_032_768,
  "qwen2.5-1.5b": 1_543_714_304,
  "qwen3-0.6b": 596_049_920,
};

Deno.test("modelTensors() has as many weights as the real models", () => {
  for (const [name, shape] of Object.entries(SHAPES)) {
    const weights = modelTensors(shape, "F32")
      .map(({ dims }) => dims.reduce((product, dimension) => product * dimension, 1));
    const sum = weights.reduce((total, count) => total + count, 0);
    assertEquals(sum, PARAMETERS[name as ShapeName], name);
  }
});
