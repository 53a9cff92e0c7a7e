/**
 * From files to ids: a tiny text model and a tiny projector, a PNG, and the eight greedy ids that
 * llama.cpp's mtmd 0.5.0 (of npm's llama.rn 0.13.0-rc.5) has behind the same prompt, of whose ids
 * as many are rows of the image.
 */
import { assertEquals } from "@std/assert";
import { bool, list, type MetadataEntry, text, u32 } from "../../src/gguf/mod.ts";
import { loadModel } from "../../src/llm/mod.ts";
import type { ChatMessage } from "../../src/llm/types.ts";
import { bytePairVocabulary } from "../../src/synth/vocabulary.ts";
import { writePng } from "../support/png_writer.ts";
import { tinyDeepseekOcr } from "../support/tiny_deepseekocr.ts";
import { tinyGemma3n } from "../support/tiny_gemma3n.ts";
import { GEMMA3N_OF_LLAMA_CPP } from "../support/tiny_layered_families.ts";
import { tinyModel, type TinyModelOptions } from "../support/tiny_model.ts";
import { tinyVision, type TinyVisionOptions } from "../support/tiny_vision.ts";
import "../support/thread_pool.ts";

interface Case {
  readonly text: TinyModelOptions;
  readonly eyes: TinyVisionOptions | Uint8Array<ArrayBuffer>;
  /** Special tokens around images, the vocabulary's last ones. */
  readonly marks: readonly string[];
  readonly size: readonly [width: number, height: number];
  readonly promptLength: number;
  readonly ids: readonly number[];
}

const VOCAB_SIZE = 512;

const MINI = ["<image>", "</image>", "<slice>", "</slice>"];

const CASES: Readonly<Record<string, Case>> = {
  // Rows of the file are around its images.
  adapter: {
    text: { architecture: "chatglm" },
    eyes: { kind: "adapter" },
    marks: [],
    size: [77, 45],
    promptLength: 20,
    ids: [59, 388, 84, 376, 416, 144, 328, 103],
  },
  "minimax_m3": {
    text: { architecture: "qwen3" },
    eyes: {
      kind: "minimax_m3",
      // As llama.cpp has it, whatever a file says.
      metadata: [
        ["clip.vision.image_min_pixels", u32(512)],
        ["clip.vision.image_max_pixels", u32(36864)],
      ],
    },
    marks: ["]<]start of image[>[", "]<]end of image[>["],
    size: [33, 120],
    promptLength: 71,
    ids: [189, 485, 391, 266, 486, 210, 189, 485],
  },
  "muse-glimmer": {
    text: { architecture: "muse-glimmer" },
    eyes: { kind: "muse-glimmer" },
    marks: ["<|image_start|>", "<|image_end|>"],
    size: [33, 120],
    promptLength: 71,
    ids: [301, 301, 301, 301, 457, 172, 418, 320],
  },
  minicpmv4_6: {
    text: { architecture: "qwen3" },
    eyes: { kind: "minicpmv4_6" },
    marks: MINI,
    size: [33, 120],
    promptLength: 42,
    ids: [107, 283, 315, 421, 96, 95, 416, 289],
  },
  "minicpmv4_6 of four patches a row": {
    text: { architecture: "qwen3" },
    eyes: { kind: "minicpmv4_6-four" },
    marks: MINI,
    size: [77, 45],
    promptLength: 86,
    ids: [477, 106, 92, 311, 143, 168, 327, 398],
  },
  // Rows see what is before them, and layers get what the token 0 gives them.
  gemma3nv: {
    text: {
      architecture: "gemma3n",
      changes: GEMMA3N_OF_LLAMA_CPP,
      metadata: [["gemma3n.context_length", u32(1024)]],
    },
    eyes: tinyGemma3n({ type: "F16" }),
    marks: ["<start_of_image>", "<end_of_image>"],
    size: [300, 400],
    promptLength: 267,
    ids: [439, 79, 391, 318, 108, 95, 71, 40],
  },
  // Two windows beside one another, then the image as a whole.
  step3vl: {
    text: { architecture: "qwen3", metadata: [["qwen3.context_length", u32(2048)]] },
    eyes: { kind: "step3vl", changes: { patchSize: 14, side: 52 } },
    marks: ["<im_start>", "<im_end>", "<patch_start>", "<patch_end>", "<patch_newline>"],
    size: [77, 45],
    promptLength: 346,
    ids: [495, 341, 355, 505, 253, 303, 231, 301],
  },
  ldpv2: {
    text: { architecture: "llama", metadata: [["llama.context_length", u32(512)]] },
    eyes: {
      ...{ kind: "ldpv2", type: "F16", changes: { side: 24 } },
      metadata: [
        ["clip.has_llava_projector", bool(true)],
        ["clip.vision.feature_layer", list(Int32Array.of(2))],
      ],
    },
    marks: [],
    size: [77, 45],
    promptLength: 153,
    ids: [324, 345, 59, 20, 204, 314, 334, 432],
  },
  mimovl: {
    text: { architecture: "mimo2" },
    eyes: { kind: "mimovl" },
    marks: ["<|vision_start|>", "<|vision_end|>"],
    size: [77, 45],
    promptLength: 71,
    ids: [432, 473, 244, 127, 132, 473, 147, 372],
  },
  // Two tiles beside one another, then the image as a whole: queries behind rows of both.
  deepseekocr2: {
    text: {
      architecture: "deepseek2-ocr",
      metadata: [["deepseek2-ocr.context_length", u32(2048)]],
    },
    eyes: tinyDeepseekOcr({
      ...{ version: 2, patchSize: 16, side: 64, windowSide: 14, samWidth: 16, clipWidth: 32 },
    }),
    marks: [],
    size: [800, 380],
    promptLength: 555,
    ids: [215, 44, 427, 295, 54, 269, 7, 44],
  },
  // The whole image, then lines through four tiles without what was added; parts behind layers.
  granite4_vision: {
    text: {
      ...{ architecture: "granite", blockCount: 5, tied: false },
      metadata: [["granite.deepstack_mapping", list(Int32Array.of(-1, 2, -1, 3, 1))]],
    },
    eyes: {
      ...{ kind: "granite4_vision", outputLength: 256 },
      metadata: [["clip.vision.projection_dim", u32(64)]],
    },
    marks: [],
    size: [77, 45],
    promptLength: 62,
    ids: [37, 466, 89, 350, 299, 486, 409, 164],
  },
  // Rows that are one part are scaled as embeddings are.
  "granite, scaled": {
    text: { architecture: "granite", tied: false, seed: 6 },
    eyes: { kind: "mlp-siglip" },
    marks: [],
    size: [77, 45],
    promptLength: 45,
    ids: [452, 482, 392, 458, 441, 452, 482, 392],
  },
  youtuvl: {
    text: { architecture: "deepseek2" },
    eyes: { kind: "youtuvl" },
    marks: ["<|vision_start|>", "<|vision_end|>"],
    size: [33, 120],
    promptLength: 86,
    ids: [56, 117, 409, 159, 109, 409, 159, 409],
  },
  hunyuanvl: {
    text: {
      architecture: "hunyuan_vl",
      metadata: [["hunyuan_vl.rope.dimension_sections", list(Int32Array.of(3, 3, 3, 3))]],
    },
    eyes: { kind: "hunyuanvl" },
    marks: [100, 101].map((i) => `<｜hy_place▁holder▁no▁${i}｜>`),
    size: [77, 45],
    promptLength: 79,
    ids: [477, 397, 474, 313, 158, 468, 158, 410],
  },
};

for (const [name, each] of Object.entries(CASES)) {
  Deno.test(`images by ${name} lead to the ids that llama.cpp has`, async () => {
    const directory = await Deno.makeTempDir({ prefix: "ganglion-peer-images-" });
    try {
      const path = `${directory}/model.gguf`;
      const metadata = [...each.text.metadata ?? [], ...vocabularyWith(each.marks)];
      await Deno.writeFile(path, tinyModel({ vocabSize: VOCAB_SIZE, ...each.text, metadata }));
      const projectorPath = `${directory}/eyes.gguf`;
      await Deno.writeFile(
        projectorPath,
        each.eyes instanceof Uint8Array ? each.eyes : tinyVision(each.eyes),
      );
      const model = await loadModel(path, { threads: 2, projectorPath });
      try {
        const messages: ChatMessage[] = [{
          ...{ role: "user", content: "saywhat is it" },
          images: [{ at: 3, file: pngOf(each.size) }],
        }];
        const seen = await model.lookAt!(messages, {});
        const ids = model.encodeChat(messages, { images: seen });
        assertEquals(ids.length, each.promptLength);
        const { given } = seen;
        const sampling = { temperature: 0 };
        const asked = model.generate({ ids, given, sampling, maxTokens: 8, ignoreEnd: true });
        for await (const _ of asked);
        assertEquals((await asked.result).ids, each.ids);
      } finally {
        await model.close();
      }
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  });
}

function pngOf([width, height]: readonly [number, number]): Uint8Array<ArrayBuffer> {
  const sample = (x: number, y: number, c: number) => (x * 5 + y * 3 + c * 60 + (x >> 3) * y) % 256;
  return writePng({ width, height, bits: 8, type: 2, sample });
}

/** A vocabulary of byte pairs, and a template that says nothing of its own. */
function vocabularyWith(marks: readonly string[]): MetadataEntry[] {
  const all = new Map(bytePairVocabulary(VOCAB_SIZE));
  const listOf = (key: string) => {
    const stored = all.get(key)!;
    return Array.from(stored.value as ArrayLike<unknown>);
  };
  const tokens = listOf("tokenizer.ggml.tokens") as string[];
  const types = Int32Array.from(listOf("tokenizer.ggml.token_type") as number[]);
  const first = VOCAB_SIZE - marks.length;
  marks.forEach((mark, i) => {
    tokens[first + i] = mark;
    types[first + i] = 3;
  });
  all.set("tokenizer.ggml.tokens", list(tokens));
  all.set("tokenizer.ggml.token_type", list(types));
  all.set("tokenizer.chat_template", text("{{ messages[0].content }}"));
  all.set("tokenizer.ggml.add_bos_token", bool(false));
  return [...all];
}
