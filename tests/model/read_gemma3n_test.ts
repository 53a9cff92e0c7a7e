/** What Gemma 3n's projector files say, and which of them are refused. */
import { assertEquals, assertThrows } from "@std/assert";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { type GgufFile, type GgufValue, parseGguf } from "../../src/gguf/mod.ts";
import { readVision } from "../../src/model/mod.ts";
import { type InvertedBlock, planeSides } from "../../src/model/network.ts";
import { tinyGemma3n } from "../support/tiny_gemma3n.ts";
import { withMetadata, withoutTensor, withTensor } from "./changed_file.ts";

const FILE = parseGguf(tinyGemma3n());

function read(changes: Readonly<Record<string, GgufValue>>, file: GgufFile = FILE) {
  const keys = Object.entries(changes).map(([key, value]) => [`clip.vision.${key}`, value]);
  return readVision(withMetadata(file, Object.fromEntries(keys)));
}

Deno.test("readVision() reads Gemma 3n's blocks by what tensors there are, stage by stage", () => {
  const { description: { config, tensors }, images } = read({});
  const network = config.patches!.network!;
  assertEquals([images.imageSize, images.patchSize, config.patches!.countMax], [256, 16, 256]);
  assertEquals(config.patches!.length, 3 * 16 ** 2);
  assertEquals([network.side, network.rowsSide, network.channels, network.kept], [256, 16, 12, 7]);
  assertEquals(planeSides(network), [128, 64, 64, 32, 32, 32, 16, 16, 16, 8, 8, 8]);
  const [edge, , first] = network.blocks as InvertedBlock[];
  assertEquals(edge, {
    ...{ kind: "inverted", channels: 12, hidden: 36, outputs: 16 },
    ...{ startSide: 0, side: 3, midSide: 0, stride: 2 },
  });
  assertEquals([first.startSide, first.side, first.midSide, first.stride], [3, 1, 5, 2]);
  const asking = network.blocks.filter(({ kind }) => kind === "asking");
  assertEquals(asking, [
    { kind: "asking", channels: 24, headCount: 3, headDim: 8, keySide: 3 },
    { kind: "asking", channels: 36, headCount: 2, headDim: 12, keySide: 0 },
  ]);
  assertEquals([network.fusion.channels, network.fusion.outputs], [24 + 36, 64]);
  assertEquals(tensors.network!.stem.bias?.length, 12);
  assertEquals(config.projector!.mergedScale, 8);
  const larger = readVision(parseGguf(tinyGemma3n({ imageSize: 768 })));
  assertEquals([larger.images.patchSize, larger.description.config.patches!.countMax], [48, 256]);
});

Deno.test("readVision() leaves alone what of a file of Gemma 3n hears", () => {
  const heard = withTensor(FILE, "a.blk.0.attn_q.weight", { dims: [4], type: "F32" });
  assertThrows(() => read({}, heard), UnsupportedModelError, "a.blk.0.attn_q.weight");
  const metadata = new Map(heard.metadata).set("clip.has_audio_encoder", true);
  read({}, { ...heard, metadata });
});

Deno.test("readVision() refuses a file of Gemma 3n that is wrong in one place", () => {
  const dims = (name: string, dims: readonly number[]) => withTensor(FILE, name, { dims });
  const without = (name: string) => withoutTensor(FILE, name);
  const wrong: Readonly<Record<string, () => unknown>> = {
    '"clip.vision.image_size": it must be a multiple of 256': () => read({ image_size: 384 }),
    '"clip.vision.image_size": it must be an integer from 256 to 1024': () =>
      read({ image_size: 2048 }),
    '"clip.vision.embedding_length": it must be as many as': () => read({ embedding_length: 60 }),
    "three numbers": () => read({ image_mean: Float32Array.of(0.5) }),
    'stage 3, "v.blk.3.0. …"': () => read({}, withoutStage(3)),
    '"v.conv_stem.bn.weight"': () => read({}, without("v.conv_stem.bn.weight")),
    '"v.blk.2.1.attn.value.proj.weight"': () =>
      read({}, without("v.blk.2.1.attn.value.proj.weight")),
    'block "v.blk.1.0." begins a stage': () => read({}, without("v.blk.1.0.dw_mid.conv.weight")),
    "keys and its values are not convolved alike": () =>
      read({}, without("v.blk.2.1.attn.value.down_conv.weight")),
    "its kernels have 4 columns": () =>
      read({}, dims("v.blk.1.1.dw_mid.conv.weight", [4, 4, 1, 48])),
    "its kernels have 9 columns": () =>
      read({}, dims("v.blk.1.1.dw_mid.conv.weight", [9, 9, 1, 48])),
    "[48, 1, 3, 3]": () => read({}, dims("v.blk.1.1.dw_mid.conv.weight", [3, 5, 1, 48])),
    "its 20 rows are no heads of 8": () =>
      read({}, dims("v.blk.2.1.attn.query.proj.weight", [1, 1, 24, 20])),
    "no multiple of 4": () => read({}, dims("v.blk.2.1.attn.key.proj.weight", [1, 1, 24, 6])),
    '"v.blk.1.1.layer_scale.gamma"': () =>
      read({}, dims("v.blk.1.1.layer_scale.gamma", [1, 20, 2])),
    '"v.msfa.ffn.pw_exp.conv.weight"': () =>
      read({}, dims("v.msfa.ffn.pw_exp.conv.weight", [1, 1, 59, 68])),
    '"mm.soft_emb_norm.weight"': () => read({}, without("mm.soft_emb_norm.weight")),
    '"mm.input_projection.weight"': () => read({}, dims("mm.input_projection.weight", [60, 64])),
  };
  for (const [text, make] of Object.entries(wrong)) assertThrows(make, ModelFormatError, text);
});

Deno.test("readVision() refuses blocks behind a gap in a stage, and kernels of blocks of weights", () => {
  const gap = [...FILE.tensors.keys()].filter((name) => name.startsWith("v.blk.1.1."));
  const file = gap.reduce((file, name) => withoutTensor(file, name), FILE as GgufFile);
  assertThrows(() => read({}, file), UnsupportedModelError, '"v.blk.1.2.');
  const coarse = withTensor(FILE, "v.msfa.ffn.pw_exp.conv.weight", { type: "Q8_0" });
  assertThrows(() => read({}, coarse), UnsupportedModelError, "has the type Q8_0");
});

function withoutStage(stage: number): GgufFile {
  const names = [...FILE.tensors.keys()].filter((name) => name.startsWith(`v.blk.${stage}.`));
  return names.reduce((file, name) => withoutTensor(file, name), FILE as GgufFile);
}
