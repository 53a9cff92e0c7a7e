import { assertEquals } from "@std/assert";
import { describeModel } from "../../src/llm/model_details.ts";
import type { GgufFile, GgufValue } from "../../src/gguf/types.ts";
import type { Tokenizer } from "../../src/tokenizer/types.ts";

function fileWith(metadata: Record<string, GgufValue>): GgufFile {
  const tensor = (name: string, type: string, dims: number[], sizeBytes: number) => ({
    ...{ name, type, dims, sizeBytes },
    part: 0,
    offsetBytes: 0,
  });
  return {
    magic: "GGUF",
    version: 3,
    metadata: new Map(Object.entries(metadata)),
    tensors: new Map([
      ["a", tensor("a", "F32", [10], 40)],
      ["b", tensor("b", "Q4_0", [32, 10], 180)],
    ]),
    parts: [{ path: "x", sizeBytes: 500 }],
  };
}

function tokenizerWith(...specialTexts: string[]): Tokenizer {
  const encode = (text: string) => [specialTexts.indexOf(text)];
  return { specialTexts, vocabSize: 100, encode } as unknown as Tokenizer;
}

Deno.test("describeModel() counts what a file holds", () => {
  const file = fileWith({
    "general.architecture": "llama",
    "general.license": "x".repeat(300),
    "llama.block_count": 2,
    "tokenizer.chat_template": "{{ messages }}",
  });
  assertEquals(
    describeModel(
      file,
      { architecture: "llama", embeddingLength: 32, vocabSize: 99 },
      tokenizerWith(),
    ),
    {
      architecture: "llama",
      parameterCount: 330,
      quantization: "Q4_0",
      fileBytes: 500,
      embeddingLength: 32,
      vocabSize: 99,
      chatTemplate: "{{ messages }}",
      scoresAreShares: false,
      adapters: [],
      sampling: {},
      gapMarks: null,
      uses: ["writing", "vectors"],
      metadata: {
        "general.architecture": "llama",
        "llama.block_count": 2,
        "tokenizer.chat_template": "{{ messages }}",
      },
    },
  );
});

Deno.test("describeModel() says what a model was loaded with", () => {
  const config = { architecture: "llama", embeddingLength: 32, vocabSize: 99 };
  const adapters = [{ path: "/x/a.gguf" }, { path: "b.gguf", scale: 0.5 }];
  const loadedWith = { towers: [{ kind: "images" as const }], adapters };
  const details = describeModel(fileWith({}), config, tokenizerWith(), loadedWith);
  const { uses } = details;
  assertEquals(details.adapters, [{ name: "a.gguf", scale: 1 }, { name: "b.gguf", scale: 0.5 }]);
  assertEquals(uses, ["writing", "vectors", "images"]);
});

Deno.test("describeModel() finds marks of gaps by the file's keys, or by their texts", () => {
  const marks = (metadata: Record<string, GgufValue>, ...texts: string[]) =>
    describeModel(
      fileWith(metadata),
      { architecture: "llama", embeddingLength: 1, vocabSize: 99 },
      tokenizerWith(...texts),
    ).gapMarks;
  const named = { pre: 5, suf: 6, mid: 7 };
  const keys = Object.fromEntries(
    Object.entries(named).map(([part, id]) => [`tokenizer.ggml.fim_${part}_token_id`, id]),
  );
  const none = { repository: null, file: null };
  assertEquals(marks(keys), { prefix: 5, suffix: 6, middle: 7, ...none });
  const more = { "tokenizer.ggml.fim_rep_token_id": 8, "tokenizer.ggml.fim_sep_token_id": 100 };
  assertEquals(marks({ ...keys, ...more }, "<|file_sep|>")?.repository, 8);
  assertEquals(marks({ ...keys, ...more }, "<|file_sep|>")?.file, 0);
  assertEquals(marks({ ...keys, "tokenizer.ggml.fim_mid_token_id": 100 }), null);
  assertEquals(marks({}, "<fim_suffix>", "<fim_middle>", "<fim_prefix>"), {
    prefix: 2,
    suffix: 0,
    middle: 1,
    ...none,
  });
  assertEquals(marks({}, "<fim_suffix>", "<fim_middle>"), null);
  // DeepSeek's, whose hole is where the text behind it begins; GLM 4.5's; Falcon H1's.
  for (
    const texts of [
      ["<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"],
      ["<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"],
      ["<|prefix|>", "<|suffix|>", "<|middle|>"],
    ]
  ) {
    assertEquals(marks({}, ...texts), { prefix: 0, suffix: 1, middle: 2, ...none });
  }
});
