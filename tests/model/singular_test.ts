/** What files of families of a kind of their own say, and what of them is refused. */
import { assertEquals, assertThrows } from "@std/assert";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { unitSources } from "../../src/bundle/units.ts";
import { type GgufValue, parseGguf } from "../../src/gguf/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import type { TinyFamilyName } from "../support/tiny_families.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { withMetadata } from "./changed_file.ts";

function read(architecture: TinyFamilyName, changes: Record<string, GgufValue | undefined>) {
  const file = parseGguf(tinyModel({ architecture }));
  const keys = Object.entries(changes).map(([key, value]) => [`${architecture}.${key}`, value]);
  return describeModel(withMetadata(file, Object.fromEntries(keys)));
}

Deno.test("describeModel() walks blocks as often as a file says", () => {
  const { config, tensors } = read("nanbeige", { num_loops: 2 });
  assertEquals(config.layers.map(({ block }) => block), [0, 1, 0, 1]);
  assertEquals(config.layers.map(({ passEnd }) => passEnd?.stream), [
    ...[undefined, null],
    ...[undefined, undefined],
  ]);
  assertEquals(tensors.layers[2].query, tensors.layers[0].query);
  assertEquals(tensors.layers[1].endNorm, tensors.outputNorm);
  assertEquals(read("nanbeige", { num_loops: undefined }).config.blockCount, 2);
  for (const loops of [0, 513, 2 ** 31, "no"]) {
    assertThrows(() => read("nanbeige", { num_loops: loops }), ModelFormatError, "num_loops");
  }
});

Deno.test("describeModel() walks low and high layers in turns", () => {
  const { config: { layers } } = read("hrm_text", {});
  assertEquals(layers.map(({ block }) => block).join(""), "010123010123");
  const ends = layers.map(({ passEnd }) => passEnd?.stream ?? ".");
  assertEquals(ends.join(""), ".1.1.0.1.1..");
  for (const key of ["layers_per_stack", "h_cycles", "l_cycles"]) {
    assertThrows(() => read("hrm_text", { [`hrm.${key}`]: undefined }), ModelFormatError, key);
    assertThrows(() => read("hrm_text", { [`hrm.${key}`]: 3 }), ModelFormatError, "block_count");
    assertThrows(() => read("hrm_text", { [`hrm.${key}`]: 0 }), ModelFormatError, key);
  }
  const both = { "hrm.prefix_lm": true };
  assertThrows(() => read("hrm_text", both), UnsupportedModelError, "in both directions");
});

Deno.test("unitSources() refuses layers that are used several times", () => {
  const message = "used several times";
  assertThrows(() => unitSources(read("nanbeige", {})), UnsupportedModelError, message);
});

Deno.test("describeModel() refuses companions that no groups have", () => {
  assertThrows(() => read("grovemoe", { experts_per_group: 3 }), ModelFormatError, "a divisor");
  assertThrows(() => read("grovemoe", { expert_group_scale: -1 }), ModelFormatError, "0 or more");
  // Files that do not say how long they are have some as long as a head: 24.
  const silent = { expert_chunk_feed_forward_length: undefined };
  assertThrows(() => read("grovemoe", silent), ModelFormatError, "[4, 24, 64]");
});

Deno.test("describeModel() refuses contexts in which an indexer would choose keys", () => {
  const file = parseGguf(tinyModel({ architecture: "deepseek32" }));
  const chosen = withMetadata(file, { "deepseek32.attention.indexer.top_k": 100 });
  const { config } = describeModel(chosen);
  assertEquals([config.contextLength, config.ropes[0].scaling.factor], [100, 8]);
  assertEquals(describeModel(file).config.contextLength, 256);
  assertEquals(describeModel(chosen, { contextLength: 100 }).config.contextLength, 100);
  const longer = () => describeModel(chosen, { contextLength: 101 });
  assertThrows(longer, UnsupportedModelError, "of more than 100");
  const none = { "deepseek32.attention.indexer.top_k": 0 };
  assertThrows(() => describeModel(withMetadata(file, none)), ModelFormatError, "top_k");
});
