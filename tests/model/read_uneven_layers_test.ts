/**
 * What files of Nemotron 3 say of latents that experts read, and of layers that differ; and files
 * that say it wrong.
 */
import { assertEquals, assertThrows } from "@std/assert";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { type GgufFile, type GgufValue, parseGguf } from "../../src/gguf/mod.ts";
import { configOf, describeModel, hasUnevenNeurons } from "../../src/model/mod.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { withKeys, withMetadata, withoutTensor, withTensor } from "./changed_file.ts";

type Form = "nemotron_h" | "nemotron_h_moe" | "nemotron_h_moe-latent" | "nemotron_h_moe-puzzle";

const LATENTS = "nemotron_h_moe-latent", PUZZLE = "nemotron_h_moe-puzzle";
const counts = (...numbers: number[]) => Int32Array.from(numbers);

function fileOf(form: Form, changes: Record<string, GgufValue | undefined> = {}): GgufFile {
  return withKeys(parseGguf(tinyModel({ architecture: form })), changes);
}

const read = (form: Form, changes?: Record<string, GgufValue | undefined>) =>
  describeModel(fileOf(form, changes));

Deno.test("describeModel() reads what makes latents of Nemotron 3, and of their experts' sum", () => {
  const { config, tensors } = read(LATENTS);
  const { feedForward } = tensors.layers[1];
  assertEquals(config.experts?.latentLength, 48);
  const { latent, experts, shared } = feedForward?.kind === "experts" ? feedForward : {} as never;
  assertEquals(
    [latent!.down, latent!.up, experts[7].up, experts[7].down, shared!.up]
      .map(({ tensor, rows, columns }) => [tensor, rows, columns]),
    [
      ["blk.1.ffn_latent_down.weight", 48, 64],
      ["blk.1.ffn_latent_up.weight", 64, 48],
      ["blk.1.ffn_up_exps.weight", 32, 48],
      ["blk.1.ffn_down_exps.weight", 48, 32],
      ["blk.1.ffn_up_shexp.weight", 64, 64],
    ],
  );
  assertEquals(latent!.norm, null);
  // Kimi K3's would be normalised.
  const file = fileOf(LATENTS), name = "blk.1.ffn_latent_norm.weight";
  const norm = { ...file.tensors.get("blk.1.attn_norm.weight")!, name, dims: [48] };
  const normalized = { ...file, tensors: new Map(file.tensors).set(name, norm) };
  assertThrows(() => describeModel(normalized), UnsupportedModelError, name);
});

Deno.test("describeModel() refuses latents that a file has no, or other, tensors of", () => {
  const key = "moe_latent_size";
  assertThrows(() => read(LATENTS, { [key]: 0 }), ModelFormatError, "blk.1.ffn_latent_down.weight");
  assertThrows(() => read(LATENTS, { [key]: undefined }), ModelFormatError, key);
  assertThrows(() => read(LATENTS, { [key]: 40 }), UnsupportedModelError, "40 numbers");
  for (const length of [-16, 4096, 2 ** 31, "48", 1.5]) {
    assertThrows(() => read(LATENTS, { [key]: length }), ModelFormatError, key);
  }
  // Of another shape, and not there at all.
  assertThrows(() => read(LATENTS, { [key]: 32 }), ModelFormatError, "ffn_up_exps");
  assertThrows(() => read("nemotron_h_moe", { [key]: 64 }), ModelFormatError, "ffn_latent_down");
  for (const name of ["blk.4.ffn_latent_down.weight", "blk.1.ffn_latent_up.weight"]) {
    const file = fileOf(LATENTS);
    assertThrows(() => describeModel(withoutTensor(file, name)), ModelFormatError, name);
    const turned = file.tensors.get(name)!.dims.toReversed();
    assertThrows(() => describeModel(withTensor(file, name, { dims: turned })), ModelFormatError);
  }
});

Deno.test("describeModel() gives each layer of Puzzle's the heads and experts of the lists", () => {
  const { config, tensors } = read(PUZZLE);
  const own = config.layers.map((_, layer) => configOf(config, layer));
  assertEquals([own[2], own[5]].map((of) => [of.headCount, of.headCountKv]), [[4, 2], [6, 3]]);
  const mixtures = [1, 4, 6].map((layer) => own[layer].experts!);
  assertEquals(
    mixtures.map(({ usedCount, feedForwardLength }) => [usedCount, feedForwardLength]),
    [[3, 32], [1, 64], [4, 48]],
  );
  assertEquals(tensors.layers[5].query?.rows, 6 * 24);
  assertEquals(hasUnevenNeurons(config), true);
  // Experts whose length is not said are as long as what a token uses, over how many it uses.
  const said = { "expert_feed_forward_length": undefined };
  const layers = read(PUZZLE, { ...said, "feed_forward_length": counts(0, 96, 0, 0, 64, 0, 192) });
  assertEquals(layers.config.layers.map(({ shape }) => shape), config.layers.map((l) => l.shape));
});

Deno.test("describeModel() takes lists of equal numbers for what they are", () => {
  const one = { "expert_used_count": counts(0, 3, 0, 0, 3) };
  const all = {
    "expert_feed_forward_length": counts(32, 32, 32, 32, 32),
    "attention.head_count": counts(4, 4, 4, 4, 4),
  };
  const { config } = read("nemotron_h_moe");
  assertEquals(read("nemotron_h_moe", { ...one, ...all }).config, config);
  assertEquals(hasUnevenNeurons(config), false);
});

Deno.test("describeModel() reads a dense Nemotron-H whose layers have other numbers of neurons", () => {
  const file = fileOf("nemotron_h", { "feed_forward_length": counts(0, 96, 0, 0, 64) });
  const narrow = ["up", "down"].reduce(
    (of, each) => withTensor(of, `blk.4.ffn_${each}.weight`, { dims: [64, 64] }),
    file,
  );
  const { config, tensors } = describeModel(narrow);
  const neurons = tensors.layers.map(({ feedForward: own }) =>
    own?.kind === "dense" && own.up.rows
  );
  assertEquals(neurons, [false, 96, false, false, 64]);
  assertEquals([config.feedForwardLength, hasUnevenNeurons(config)], [96, true]);
});

Deno.test("describeModel() refuses lists that are short, senseless or contradict one another", () => {
  const refused: [string, GgufValue][] = [
    ["expert_used_count", counts(0, 3, 0, 0, 1)],
    ["expert_used_count", counts(0, 3, 0, 0, 9, 0, 4)],
    ["expert_used_count", counts(0, 3, 0, 0, 0, 0, 4)],
    ["expert_used_count", counts(0, 3, 0, 0, -1, 0, 4)],
    ["expert_used_count", 0],
    ["expert_feed_forward_length", counts(0, 32)],
    ["expert_feed_forward_length", Float32Array.of(0, 32.5, 0, 0, 64, 0, 48)],
    ["feed_forward_length", counts(0, 32, 0, 0, 64, 0)],
    ["feed_forward_length", counts(0, 0, 0, 0, 0, 0, 0)],
    ["attention.head_count_kv", counts(0, 0, 2, 0, 0)],
    ["attention.head_count_kv", counts(0, 0, 0, 0, 0, 0, 0)],
    ["attention.head_count", counts(4, 4, 4, 4, 4, 4, 4)],
    ["attention.head_count", counts(4, 4, 0, 4, 4, 6, 4)],
    ["attention.head_count", counts(4, 4, 4)],
  ];
  for (const [key, value] of refused) {
    assertThrows(() => read(PUZZLE, { [key]: value }), ModelFormatError, key.split("_kv")[0], key);
  }
  // A list that is not of the file's tensors.
  const other = { "expert_feed_forward_length": counts(0, 64, 0, 0, 64, 0, 48) };
  assertThrows(() => read(PUZZLE, other), ModelFormatError, "blk.1.ffn_up_exps.weight");
  // Other families' layers are alike.
  const file = parseGguf(tinyModel({ architecture: "qwen3moe" }));
  const listed = { "qwen3moe.expert_used_count": counts(2, 3) };
  assertThrows(() => describeModel(withMetadata(file, listed)), ModelFormatError);
});
