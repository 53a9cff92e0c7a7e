/** Which models that guess with another one's rows are taken, and what is said of other files. */
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { ModelFormatError } from "../../src/base/errors.ts";
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
  assertEquals([partOf(tokenEmbedding.tensor), partOf(output.tensor)], [1, 1]);
  assertEquals(partOf("fc.weight"), 0);
  assertEquals(file.parts.length, 2);
  const own = described({ tokens: [7, 2, 9], hasEmbedding: true });
  assertEquals(own.model.config.vocabSize, 3);
  assertEquals(own.model.tensors.output.rows, 3);
  assertEquals(own.model.tensors.tokenEmbedding.rows, 512);
  assertEquals(own.file.tensors.get("token_embd.weight")!.part, 0);
});

Deno.test("describeFused() finds what the other model's tensors are made of", () => {
  const table = FILE.tensors.get("token_embd.weight")!;
  const of = (part: number) => ({ ...table, part });
  const product = { isRightTransposed: false, rank: 1, scale: 1 };
  const made = {
    ...of(0),
    adapted: { base: of(0), products: [{ ...product, left: of(1), right: of(1) }] },
    scaled: { base: of(0), factors: of(2) },
  };
  const tensors = new Map([...FILE.tensors, ["token_embd.weight", made] as const]);
  const other = { ...OTHER, file: { ...FILE, tensors, parts: [1, 2, 3].map(() => FILE.parts[0]) } };
  const { file } = describeFused(parseGguf(tinyEagle({})), other, 64);
  const { part, adapted, scaled } = file.tensors.get("token_embd.weight")!;
  const [{ left, right }] = adapted!.products;
  assertEquals([part, adapted!.base.part, left.part, right.part], [1, 1, 2, 2]);
  assertEquals([scaled!.base.part, scaled!.factors.part, file.parts.length], [1, 3, 4]);
});

Deno.test("describeFused() names the file that is wrong, not the other model's", () => {
  const wrong: readonly TinyEagleOptions[] = [
    { metadata: { "eagle3.attention.head_count": u32(0) } },
    { metadata: { "eagle3.feed_forward_length": u32(7) } },
    { without: ["blk.0.ffn_norm.weight"] },
  ];
  const named = (bytes: Uint8Array, path: string) => {
    return { ...parseGguf(bytes), parts: [{ path, sizeBytes: bytes.length }] };
  };
  const other = { ...OTHER, file: named(tinyModel(), "model.gguf") };
  for (const options of wrong) {
    const describe = () => describeFused(named(tinyEagle(options), "draft.gguf"), other, 64);
    const { message } = assertThrows(describe, ModelFormatError);
    assert(message.includes("draft.gguf") && !message.includes("model.gguf"), message);
  }
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
