/** Models that fill in texts: what files say, and what is refused. */
import { assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { ModelFormatError } from "../../src/base/errors.ts";
import { unitObstacle } from "../../src/bundle/units.ts";
import { type GgufValue, parseGguf } from "../../src/gguf/mod.ts";
import { describeModel, positionsAhead, readsWhole } from "../../src/model/mod.ts";
import { adapterObstacle } from "../../src/rank/plan/adapter_obstacle.ts";
import { logitsRows } from "../../src/rank/plan/logits_rows.ts";
import { attendingTokens } from "../../src/rank/plan/plan_workspace.ts";
import { gpuObstacle } from "../../src/rank/gpu/obstacle.ts";
import { FILL_FAMILIES, TINY_MASK, type TinyFillName } from "../support/tiny_fill_families.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { withMetadata } from "./changed_file.ts";

const MASK = "tokenizer.ggml.mask_token_id";

function read(architecture: TinyFillName, changes: Record<string, GgufValue | undefined> = {}) {
  return describeModel(withMetadata(parseGguf(tinyModel({ architecture })), changes));
}

for (const architecture of Object.keys(FILL_FAMILIES) as TinyFillName[]) {
  Deno.test(`describeModel() reads that ${architecture} fills in, by tokens that see all`, () => {
    const { config } = read(architecture);
    const isShifted = architecture === "dream" || architecture === "rnd1";
    assertEquals(config.fill, { maskId: TINY_MASK, isShifted });
    assertEquals([config.isEncoder, readsWhole(config)], [undefined, true]);
    assertEquals([attendingTokens(config, 256), logitsRows(config, 256)], [64, 64]);
    assertEquals(config.layers.map((_, layer) => positionsAhead(config, layer)), [
      ...[2 ** 31 - 1, 2 ** 31 - 1],
    ]);
    assertEquals(config.ropes[0].kind, architecture === "llada" ? "norm" : "neox");
    // Whatever the file says of attention.
    const causal = read(architecture, { [`${architecture}.attention.causal`]: true });
    assertEquals(causal.config.fill, config.fill);
  });
}

Deno.test("describeModel() takes the row that a file names for what speaks of a mask", () => {
  const key = "diffusion.shift_logits";
  assertEquals(read("dream", { [key]: false }).config.fill?.isShifted, false);
  assertEquals(read("llada", { [key]: undefined }).config.fill?.isShifted, true);
  assertThrows(() => read("llada", { [key]: 3 }), ModelFormatError, key);
});

Deno.test("describeModel() refuses a model that fills in and names no mask, or none of its own", () => {
  for (
    const [value, problem] of [[undefined, "it is missing"], [512, "512 is no token"]] as const
  ) {
    const error = assertThrows(() => read("llada", { [MASK]: value }), Error, problem);
    assertInstanceOf(error, ModelFormatError);
  }
  assertThrows(() => read("llada", { [MASK]: "<mask>" }), ModelFormatError, MASK);
});

Deno.test("a model that fills in is the threads', not packed, and has adapters in its weights", () => {
  const file = parseGguf(tinyModel({ architecture: "llada-moe" }));
  const model = describeModel(file);
  assertEquals(gpuObstacle({ file, model }, {}), "texts that are filled in are the threads'");
  assertEquals(unitObstacle(model)?.includes("it fills in a text"), true);
  assertEquals(adapterObstacle(model, []), "the model reads whole texts or images at once");
});
