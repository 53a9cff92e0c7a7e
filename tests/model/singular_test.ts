/** What files of families of a kind of their own say, and what of them is refused. */
import { assertEquals, assertThrows } from "@std/assert";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { unitSources } from "../../src/bundle/units.ts";
import { type GgufValue, parseGguf } from "../../src/gguf/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import { TINY_FAMILIES, type TinyFamilyName } from "../support/tiny_families.ts";
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

Deno.test("describeModel() has MiniMax M3 choose blocks of keys where there are more than it chooses", () => {
  const tiny = parseGguf(tinyModel({ architecture: "minimax-m3" }));
  const file = withMetadata(tiny, { "minimax-m3.attention.indexer.top_k": 4 });
  const at = (contextLength?: number) => describeModel(file, { contextLength });
  for (const context of [undefined, 129]) {
    const { config: { blockIndexer, contextLength, layers }, tensors } = at(context);
    assertEquals(contextLength, 256);
    const blocks = { blockPositions: 32, blockCount: 4, lastBlocks: 1 };
    assertEquals(blockIndexer, { headDim: 32, ...blocks });
    // Those behind the leading dense one do.
    assertEquals(layers.map(({ choosesBlocks = false }) => choosesBlocks), [false, true, true]);
    const indexers = tensors.layers.map(({ blockIndexer: own }) => own?.query.rows);
    assertEquals(indexers, [undefined, 64, 64]);
  }
  const { config, tensors } = at(128);
  assertEquals([config.blockIndexer, config.layers[1].choosesBlocks], [undefined, undefined]);
  assertEquals(tensors.layers[1].blockIndexer, undefined);
});

Deno.test("describeModel() refuses blocks of keys that no kernel or no layer fits", () => {
  const of = (changes: Record<string, GgufValue | undefined>) => () =>
    read(
      "minimax-m3",
      Object.fromEntries(
        Object.entries({ "indexer.top_k": 4, ...changes })
          .map(([key, value]) => [`attention.${key}`, value]),
      ),
    );
  for (const key of ["top_k", "block_size", "key_length", "local_blocks", "head_count"]) {
    for (const value of [undefined, 0, -1, 2 ** 31, "no"]) {
      assertThrows(of({ [`indexer.${key}`]: value }), ModelFormatError, `indexer.${key}`);
    }
  }
  // Its own block is one of them, heads are those of keys, and what is turned has room.
  assertThrows(of({ "indexer.local_blocks": 5 }), ModelFormatError, "local_blocks");
  assertThrows(of({ "indexer.head_count": 3 }), ModelFormatError, "key/value heads, 2");
  assertThrows(of({ "indexer.key_length": 12 }), ModelFormatError, "16 or more");
  assertThrows(of({ "indexer.key_length": 36 }), ModelFormatError, "indexer.q_proj");
  for (const odd of [{ "indexer.key_length": 34 }, { "indexer.block_size": 48 }]) {
    assertThrows(of(odd), UnsupportedModelError, "use a context of at most");
  }
  assertThrows(of({ causal: false }), UnsupportedModelError, "at most 128 tokens");
});

Deno.test("describeModel() refuses companions that no groups have", () => {
  assertThrows(() => read("grovemoe", { experts_per_group: 3 }), ModelFormatError, "a divisor");
  assertThrows(() => read("grovemoe", { expert_group_scale: -1 }), ModelFormatError, "0 or more");
  // Files that do not say how long they are have some as long as a head: 24.
  const silent = { expert_chunk_feed_forward_length: undefined };
  assertThrows(() => read("grovemoe", silent), ModelFormatError, "[4, 24, 64]");
});

Deno.test("describeModel() has an indexer choose keys where a context is longer than the choice", () => {
  const file = parseGguf(tinyModel({ architecture: "deepseek32" }));
  const chosen = withMetadata(file, { "deepseek32.attention.indexer.top_k": 100 });
  const at = (contextLength?: number) => describeModel(chosen, { contextLength });
  assertEquals(at().config.contextLength, 256);
  for (const context of [undefined, 101]) {
    const { config, tensors } = at(context);
    assertEquals(config.indexer?.keyCount, 100);
    assertEquals(config.layers.map(({ choosesKeys }) => choosesKeys), ["own", "own"]);
    assertEquals(tensors.layers[0].latent?.indexer?.weights.rows, 2);
  }
  const { config, tensors } = at(100);
  assertEquals([config.indexer, config.layers[0].choosesKeys], [undefined, undefined]);
  assertEquals(tensors.layers[0].latent?.indexer, undefined);
});

Deno.test("describeModel() reads which layers of GLM 5 use what an earlier one has chosen", () => {
  const key = "glm-dsa.attention.indexer.types";
  const file = parseGguf(tinyModel({ architecture: "glm-dsa-chosen", blockCount: 7 }));
  const of = (changes: Record<string, GgufValue | undefined>) =>
    describeModel(withMetadata(file, changes), { contextLength: 256 }).config.layers
      .map(({ choosesKeys }) => choosesKeys === "own" ? "o" : "b").join("");
  const list = (...choosers: number[]) => ({ [key]: Int32Array.from(choosers) });
  const all = { changes: TINY_FAMILIES["glm-dsa"], architecture: "glm-dsa-chosen" } as const;
  assertThrows(() => of(list(0, 1, 1, 1, 1, 1, 1)), ModelFormatError, "for the first block");
  assertThrows(() => of(list(1, 1)), ModelFormatError, "a list of 7");
  assertThrows(() => of({ [key]: "no" }), ModelFormatError, "a list of 7");
  assertEquals(of(list(1, 0, 0, 0, 0, 0, 0)), "obbbbbb");
  // GLM 5 and 5.1 have one in every layer, 5.2, by its context, in the first two and every fourth.
  const wide = parseGguf(tinyModel({ ...all, blockCount: 9 }));
  const without = (contextLength: number) =>
    describeModel(
      withMetadata(wide, {
        [key]: undefined,
        "glm-dsa.block_count": 9,
        "glm-dsa.nextn_predict_layers": 0,
        "glm-dsa.attention.indexer.top_k": 16,
        "glm-dsa.context_length": contextLength,
      }),
      { contextLength: 256 },
    ).config.layers.map(({ choosesKeys }) => choosesKeys === "own" ? "o" : "b").join("");
  assertEquals(without(1048575), "ooooooooo");
  assertEquals(without(1048576), "ooobbbobb");
});

Deno.test("describeModel() refuses indexers that no kernel or no layer fits", () => {
  const file = parseGguf(tinyModel({ architecture: "deepseek32-chosen" }));
  const read = (changes: Record<string, GgufValue | undefined>) => () =>
    describeModel(withMetadata(
      file,
      Object.fromEntries(
        Object.entries(changes).map(([key, value]) => [`deepseek32.attention.${key}`, value]),
      ),
    ));
  for (const topK of [0, -1, 2 ** 31, "no", undefined]) {
    assertThrows(read({ "indexer.top_k": topK }), ModelFormatError, "top_k");
  }
  for (const length of [0, 31, 1028]) {
    assertThrows(read({ "indexer.key_length": length }), ModelFormatError, "key_length");
  }
  assertThrows(read({ "indexer.key_length": 66 }), UnsupportedModelError, "at most 16 tokens");
  for (const heads of [0, 1025]) {
    assertThrows(read({ "indexer.head_count": heads }), ModelFormatError, "head_count");
  }
  assertThrows(read({ "indexer.key_length": 68 }), ModelFormatError, "indexer.attn_q_b");
  assertThrows(read({ "q_lora_rank": 0 }), ModelFormatError, "q_lora_rank");
  assertThrows(read({ "causal": false }), UnsupportedModelError, "at most 16 tokens");
});
