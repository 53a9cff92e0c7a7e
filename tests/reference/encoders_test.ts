/**
 * The reference's vectors of texts beside llama.cpp's, and every choice that makes an encoder:
 * taken otherwise, it is further away than rounding.
 */
import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { parseGguf, TensorReader } from "../../src/gguf/mod.ts";
import { describeModel, type ModelDescription } from "../../src/model/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { TINY_VECTORS } from "../golden/tiny_vectors.ts";
import { nmse } from "../support/compare.ts";
import { someOf } from "../support/deep.ts";
import { ENCODER_FAMILIES, type TinyEncoderName } from "../support/tiny_encoder_families.ts";
import { TINY_PROMPT, tinyModel } from "../support/tiny_model.ts";
import { mapLayers, mapMixtures, withActivation, withConfig } from "./changed_description.ts";

/** llama.cpp keeps keys and values in 16 bits there, and looks GELU up in a table of these. */
const NMSE_MAX = 1e-5;
/** Of slopes left out 7e-5, of everything else 1e-3 and more. */
const NMSE_MIN = 3e-5;

const MISTAKES = {
  "earlier tokens only": (d: ModelDescription) => withConfig(d, () => ({ isEncoder: undefined })),
  "norms of what is added": (d: ModelDescription) =>
    withConfig(d, () => ({ normalizesSums: undefined })),
  "no kinds of tokens": ({ config, tensors }: ModelDescription) => ({
    config,
    tensors: { ...tensors, tokenKind: undefined },
  }),
  "embeddings as they are": ({ config, tensors }: ModelDescription) => ({
    config,
    tensors: { ...tensors, embeddingNorm: null },
  }),
  "no learned positions": ({ config, tensors }: ModelDescription) => ({
    config,
    tensors: { ...tensors, positionEmbedding: null },
  }),
  "no biases": (d: ModelDescription) =>
    mapLayers(d, (l) => ({ ...l, attentionOutput: { ...l.attentionOutput!, bias: null } })),
  "not turned": (d: ModelDescription) =>
    withConfig(d, ({ layers }) => ({ layers: layers.map((l) => ({ ...l, rope: null })) })),
  "no slopes": (d: ModelDescription) => withConfig(d, () => ({ alibiMaxBias: 0 })),
  "no biases of scores": (d: ModelDescription) => withConfig(d, () => ({ scoreBiases: undefined })),
  "half of the buckets": (d: ModelDescription) =>
    withConfig(d, ({ scoreBiases: own }) => ({
      scoreBiases: { ...own!, bucketCount: own!.bucketCount / 2 },
    })),
  "other buckets": (d: ModelDescription) =>
    withConfig(d, ({ scoreBiases: own }) => ({
      scoreBiases: { ...own!, table: { ...own!.table, start: 4, length: own!.table.length - 4 } },
    })),
  "scores scaled": (d: ModelDescription) =>
    withConfig(d, ({ headDim }) => ({ attentionScale: 1 / Math.sqrt(headDim) })),
  "gate and up exchanged": (d: ModelDescription) =>
    mapLayers(d, (l) => {
      const { feedForward: block } = l;
      return block?.kind === "dense"
        ? { ...l, feedForward: { ...block, gate: block.up, up: block.gate! } }
        : l;
    }),
  "the other activation": (d: ModelDescription) => {
    const { activation } = d.config.feedForward;
    return withActivation(d, { activation: activation === "gelu" ? "silu" : "gelu" });
  },
  "no windows": (d: ModelDescription) =>
    withConfig(d, ({ layers }) => ({ layers: layers.map((l) => ({ ...l, slidingWindow: 0 })) })),
  "windows of twice the length": (d: ModelDescription) =>
    withConfig(d, ({ layers }) => ({
      layers: layers.map((l) => ({ ...l, slidingWindow: 2 * l.slidingWindow - 1 })),
    })),
  "experts in reverse": (d: ModelDescription) =>
    mapMixtures(d, ({ experts }) => ({ experts: experts.toReversed() })),
  "weights normalised": (d: ModelDescription) =>
    withConfig(d, ({ experts }) => ({ experts: { ...experts!, normalizesWeights: true } })),
  "no projections": ({ config, tensors }: ModelDescription) => ({
    config,
    tensors: { ...tensors, textHead: { ...tensors.textHead!, projections: [] } },
  }),
  "the other activation of the head": (d: ModelDescription) =>
    withRanker(d, ({ activation }) => ({ activation: activation === "tanh" ? "gelu" : "tanh" })),
  "another row ranked": (d: ModelDescription) =>
    withRanker(d, ({ reads }) => ({ reads: reads === "first" ? "mean" : "first" })),
  "the head's norm left out": (d: ModelDescription) => withRanker(d, () => ({ norm: null })),
};

type Mistake = keyof typeof MISTAKES;
type Ranker = NonNullable<NonNullable<ModelDescription["tensors"]["textHead"]>["ranker"]>;

function withRanker(
  { config, tensors }: ModelDescription,
  change: (ranker: Ranker) => Partial<Ranker>,
): ModelDescription {
  const { textHead } = tensors;
  const ranker = { ...textHead!.ranker!, ...change(textHead!.ranker!) };
  return { config, tensors: { ...tensors, textHead: { ...textHead!, ranker } } };
}

const BERT = [
  ...["earlier tokens only", "norms of what is added", "no kinds of tokens"] as const,
  ...["embeddings as they are", "the other activation"] as const,
] as const;
const BEFORE = ["earlier tokens only", "not turned", "gate and up exchanged"] as const;

const T5 = [
  ...[
    "earlier tokens only",
    "no biases of scores",
    "half of the buckets",
    "scores scaled",
  ] as const,
  "other buckets",
] as const;

const CHOICES: Readonly<Record<TinyEncoderName, readonly Mistake[]>> = {
  "bert": [...BERT, "no learned positions", "no biases"],
  "bert-ranker": ["the other activation of the head", "another row ranked"],
  "nomic-bert": [...BERT, "not turned", "gate and up exchanged"],
  "nomic-bert-moe": [...BERT, "not turned", "experts in reverse", "weights normalised"],
  "jina-bert-v2": [...BERT, "no slopes", "gate and up exchanged"],
  "jina-bert-v2-fused": ["gate and up exchanged"],
  "jina-bert-v2-plain": ["no slopes", "the other activation"],
  "jina-bert-v3": [...BERT, "not turned", "no biases"],
  "modern-bert": [...BEFORE, "embeddings as they are", "no windows", "windows of twice the length"],
  "modern-bert-ranker": [
    ...["the other activation of the head", "another row ranked"] as const,
    "the head's norm left out",
  ],
  "neo-bert": [...BEFORE, "the other activation"],
  "t5encoder": [...T5, "the other activation"],
  "t5encoder-gated": [...T5, "gate and up exchanged", "the other activation"],
  "eurobert": BEFORE,
  "llama-embed": BEFORE,
  "gemma-embedding": [...BEFORE, "no windows", "windows of twice the length", "no projections"],
};

for (const name of Object.keys(ENCODER_FAMILIES) as TinyEncoderName[]) {
  Deno.test(`vectors by ${name} are llama.cpp's, and by what it is not are not`, () => {
    const bytes = tinyModel({ architecture: name });
    const file = parseGguf(bytes);
    const expected = Float64Array.from(TINY_VECTORS[name]);
    const pooling = file.metadata.get(`${file.metadata.get("general.architecture")}.pooling_type`);
    const error = (description: ModelDescription) => {
      const reader = TensorReader.ofBytes(bytes);
      const model = new ReferenceModel(file, { description, reader });
      const vector = pooling === 4
        ? Float64Array.of(model.score(TINY_PROMPT))
        : model.vector(TINY_PROMPT, pooling === 2 ? "first" : "mean");
      return nmse(vector.subarray(0, expected.length), expected);
    };
    const description = describeModel(file);
    assertEquals(description.config.isEncoder, true);
    assertLess(error(description), NMSE_MAX);
    for (const mistake of someOf(CHOICES[name])) {
      assertGreater(error(MISTAKES[mistake](description)), NMSE_MIN, mistake);
    }
  });
}
