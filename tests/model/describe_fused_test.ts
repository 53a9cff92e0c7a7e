/** Which models that guess with another one's rows are taken, and what is said of other files. */
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { list, parseGguf, u32 } from "../../src/gguf/mod.ts";
import { describeFused, describeModel } from "../../src/model/mod.ts";
import { tinyEagle, type TinyEagleOptions } from "../support/tiny_eagle.ts";
import { tinyModel } from "../support/tiny_model.ts";

const FILE = parseGguf(tinyModel());
const OTHER = { file: FILE, config: describeModel(FILE).config };

function described(options: TinyEagleOptions) {
  return describeFused(parseGguf(tinyEagle(options)), OTHER, 64);
}

Deno.test("describeFused() takes embeddings and output of the other model where it has none", () => {
  const { file, model } = described({});
  const { tokenEmbedding, output } = model.tensors;
  const partOf = (name: string) => file.tensors.get(name)!.part;
  assertEquals([partOf(tokenEmbedding.tensor), partOf(output.tensor)], [0, 0]);
  assertEquals(partOf("fc.weight"), 1);
  assertEquals(file.parts.length, 2);
  const own = described({ tokens: [7, 2, 9], hasEmbedding: true });
  assertEquals(own.model.config.vocabSize, 3);
  assertEquals(own.model.tensors.output.rows, 3);
  assertEquals(own.model.tensors.tokenEmbedding.rows, 512);
  assertEquals(own.file.tensors.get("token_embd.weight")!.part, 1);
});

Deno.test("describeFused() reads what it guesses with", () => {
  const { config, tensors } = described({ layers: [2, 0, 1], normalizesInput: true }).model;
  assertEquals(config.guess?.fusion, {
    ...{ layers: [2, 0, 1], rowLength: 64, tokenCount: 512 },
    ...{ normalizesInput: true, normalizesResidual: false },
  });
  assertEquals(tensors.guess?.merge.columns, 192);
  assertEquals(tensors.layers[0].query?.columns, 128);
});

const extra = {
  ...{ name: "blk.0.attn_q_norm.weight", type: "F32", dims: [64] },
  pieces: () => [new Uint8Array(256)],
};
const WRONG: Readonly<Record<string, readonly [TinyEagleOptions, string]>> = {
  "two layers": [{ metadata: { "eagle3.block_count": u32(2) } }, "a model of 2 layers"],
  "no layers of the other": [{
    metadata: { "eagle3.target_layers": undefined },
  }, '"eagle3.target_layers": it must be a list of 3 layers, the file says undefined'],
  "a list that is none": [{
    metadata: { "eagle3.target_layers": u32(3) },
  }, "a list of 3 layers, the file says 3"],
  "two of them": [{ layers: [0, 1] }, "a list of 3 layers, the file says a list of 2"],
  "one below 0": [{
    metadata: { "eagle3.target_layers": list(Int32Array.of(0, -1, 1)) },
  }, "a list of layers' numbers"],
  "one behind the last": [{ layers: [0, 1, 3] }, "goes into layer 3, the model has 2 layers"],
  "no width of the other": [{
    metadata: { "eagle3.target_hidden_size": undefined },
  }, "eagle3.target_hidden_size"],
  "another width": [{ rowLength: 32 }, "it reads rows of 32 numbers, those of the model have 64"],
  "another width without embeddings": [{
    ...{ embeddingLength: 96, tokens: [1, 2] },
  }, 'it has no "token_embd.weight" of its own, and rows of 96 numbers'],
  "another width without an output": [{
    ...{ embeddingLength: 96, hasEmbedding: true },
  }, 'it has no "output.weight" of its own'],
  "other tokens": [{ tokenCount: 500 }, "its vocabulary has 500 tokens, the model's 512"],
  "other rows": [{
    ...{ tokenCount: 500, hasEmbedding: true, hasVocabulary: false },
  }, "its embedding table has 500 tokens, the model's 512"],
  "a list without an output": [{ tokens: [4, 5], hasOutput: false }, '"d2t" lists its rows'],
  "no matrix": [{ without: ["fc.weight"] }, 'Cannot find tensor "fc.weight" ([64, 192])'],
  "no norm of rows": [{ without: ["blk.0.attn_norm_2.weight"] }, "blk.0.attn_norm_2.weight"],
  "no norm of what is read": [{
    ...{ normalizesInput: true, without: ["enc.output_norm.weight"] },
  }, "enc.output_norm.weight"],
  "a norm that it does not say": [{
    ...{ normalizesInput: true, metadata: { "eagle3.norm_before_fc": undefined } },
  }, '"enc.output_norm.weight" that this version has no use for'],
  "a tensor more": [
    { more: [extra] },
    '"blk.0.attn_q_norm.weight" that this version has no use for',
  ],
};

for (const [name, [options, why]] of Object.entries(WRONG)) {
  Deno.test(`describeFused() refuses a file that has ${name}`, () => {
    assertStringIncludes(assertThrows(() => described(options), Error).message, why);
  });
}
