/** What sets each family apart, as its files say it and as it must be read. */
import { assertAlmostEquals, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { type GgufValue, parseGguf } from "../../src/gguf/mod.ts";
import { describeModel, type LayerConfig, type ModelConfig } from "../../src/model/mod.ts";
import type { TinyFamilyName } from "../support/tiny_families.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { withMetadata } from "./changed_file.ts";

const COMMON = parseConfig("llama");

/** What a family's config has that is not as in a llama of the same shape. */
type Differences = Partial<Omit<ModelConfig, "ropes" | "layers" | "architecture">> & {
  /** Kind, rotated dimensions, base, scaling factor of each rope; left out: like Llama's. */
  readonly ropes?: readonly (readonly [string, number, number, number])[];
  /** Window and rope of each layer; left out: no windows, all with the first rope. */
  readonly layers?: string;
};

const NEOX: Differences = { ropes: [["neox", 16, 10000, 1]] };
const WIDE_NEOX: Differences = {
  headDim: 24,
  attentionScale: 1 / Math.sqrt(24),
  ropes: [["neox", 24, 10000, 1]],
};
const GEMMA: Differences = {
  ...WIDE_NEOX,
  feedForward: { activation: "gelu", isGated: true, activatesUp: false, firingThreshold: 0 },
  embeddingScale: 8,
  tiedEmbeddings: true,
};
const LAYER_NORM: Differences = { norm: { kind: "layer", epsilon: Math.fround(1e-5) } };
const UNGATED = { isGated: false, activatesUp: false, firingThreshold: 0 };

function experts(changes: Partial<NonNullable<ModelConfig["experts"]>>): Differences {
  return {
    feedForwardLength: 0,
    experts: {
      count: 8,
      usedCount: 3,
      feedForwardLength: 32,
      gating: "softmax",
      normalizesWeights: true,
      weightScale: 1,
      routerInput: "feedForward",
      sharedFeedForwardLength: 0,
      leadingDenseCount: 0,
      ...changes,
    },
  };
}

const PARALLEL_PLAIN: Differences = {
  ...NEOX,
  ...LAYER_NORM,
  feedForward: { activation: "gelu", ...UNGATED },
  hasParallelBlocks: true,
};
const COHERE: Differences = {
  ...LAYER_NORM,
  hasParallelBlocks: true,
  tiedEmbeddings: true,
  logitScale: Math.fround(0.3),
};
/** A dense layer, then mixtures. */
function leading(changes: Partial<NonNullable<ModelConfig["experts"]>>): Differences {
  const shared = { sharedFeedForwardLength: 64, leadingDenseCount: 1, weightScale: 1.5 };
  return { ...experts({ ...shared, ...changes }), feedForwardLength: 96, blockCount: 3 };
}

/** Heads of 8 turned and 32 plain dimensions; the cache's have 8 and the latent's. */
function latent(queryLength: number, magnitude = 1): Differences {
  return {
    headCountKv: 1,
    headDim: 72,
    latent: { length: 64, queryLength, turnedDim: 8, plainDim: 32, valueDim: 16 },
    attentionScale: magnitude ** 2 / Math.sqrt(40),
  };
}

const EXPECTED: Readonly<Record<TinyFamilyName, Differences>> = {
  "llama": {},
  "llama-biased": {},
  "llama-moe": experts({ count: 4, usedCount: 2, feedForwardLength: 64 }),
  "llama-moe-old": experts({ count: 4, usedCount: 2, feedForwardLength: 64 }),
  "relu-llama": {
    feedForward: { activation: "relu", isGated: true, activatesUp: false, firingThreshold: 0 },
  },
  "drelu-moe": {
    ...experts({ count: 4, usedCount: 2, feedForwardLength: 64 }),
    feedForward: { activation: "relu", isGated: true, activatesUp: true, firingThreshold: 0 },
  },
  "bamboo": {
    feedForward: { activation: "relu", isGated: true, activatesUp: true, firingThreshold: 0 },
  },
  "qwen2": NEOX,
  "qwen2moe": { ...NEOX, ...experts({ normalizesWeights: false, sharedFeedForwardLength: 64 }) },
  "qwen3": WIDE_NEOX,
  "qwen3moe": { ...WIDE_NEOX, ...experts({}) },
  "gpt-oss": {
    ...WIDE_NEOX,
    ...experts({ count: 6, gating: "softmaxOfChosen", normalizesWeights: false }),
    feedForward: { activation: "swiglu7", isGated: true, activatesUp: false, firingThreshold: 0 },
    blockCount: 3,
    layers: "8:0 0:0 8:0",
    ropes: [["neox", 24, 150000, 8]],
  },
  "gemma": GEMMA,
  "gemma2": {
    ...GEMMA,
    blockCount: 3,
    attentionSoftCap: 1.5,
    logitSoftCap: 3,
    layers: "8:0 0:0 8:0",
  },
  "gemma3": {
    ...GEMMA,
    blockCount: 7,
    layers: "8:1 8:1 8:1 8:1 8:1 0:0 8:1",
    ropes: [["neox", 24, 1e6, 8], ["neox", 24, 10000, 1]],
  },
  "phi3": { ...NEOX, contextLength: 1024 },
  "minicpm": {
    embeddingScale: 3,
    residualScale: Math.fround(0.6),
    logitScale: 1 / Math.fround(0.7),
  },
  "granite": {
    embeddingScale: 6,
    residualScale: Math.fround(0.4),
    attentionScale: Math.fround(0.4),
    logitScale: 1 / Math.fround(1.6),
    tiedEmbeddings: true,
  },
  "granite-unrotated": {
    logitScale: 1 / Math.fround(0.8),
    ropes: [],
    layers: "0:- 0:-",
  },
  "olmo2": NEOX,
  "olmo2-windowed": {
    blockCount: 5,
    layers: "8:1 8:1 8:1 0:0 8:1",
    ropes: [["neox", 16, 10000, 8], ["neox", 16, 10000, 1]],
  },
  "smollm3": { blockCount: 5, tiedEmbeddings: true, layers: "0:0 0:0 0:0 0:- 0:0" },
  "stablelm": { ...LAYER_NORM, ropes: [["neox", 4, 10000, 1]] },
  "stablelm-parallel": {
    ...LAYER_NORM,
    hasParallelBlocks: true,
    ropes: [["neox", 4, 10000, 1]],
  },
  "chatglm": { ropes: [["norm", 8, 10000, 1]] },
  "starcoder2": {
    ...NEOX,
    ...LAYER_NORM,
    feedForward: { activation: "gelu", ...UNGATED },
  },
  "gpt2": {
    ...LAYER_NORM,
    feedForward: { activation: "gelu", ...UNGATED },
    tiedEmbeddings: true,
    ropes: [],
    layers: "0:- 0:-",
  },
  "smallthinker": {
    ...WIDE_NEOX,
    ...experts({ count: 6, gating: "sigmoid", routerInput: "layerInput" }),
    feedForward: { activation: "relu", isGated: true, activatesUp: false, firingThreshold: 0 },
    blockCount: 5,
    layers: "0:- 4096:0 4096:0 4096:0 0:-",
  },
  "smallthinker-softmax": {
    ...WIDE_NEOX,
    ...experts({ count: 6, routerInput: "layerInput" }),
    feedForward: { activation: "relu", isGated: true, activatesUp: false, firingThreshold: 0 },
    blockCount: 5,
    layers: "0:- 4096:0 4096:0 4096:0 0:-",
  },
  "arcee": { feedForward: { activation: "relu2", ...UNGATED } },
  "nemotron": {
    ...LAYER_NORM,
    feedForward: { activation: "relu2", ...UNGATED },
    ropes: [["neox", 8, 10000, 1]],
  },
  "mistral3": {
    ropes: [["norm", 16, 10000, 8], ["norm", 16, 10000, 8]],
    layers: "0:0/1 0:0/1",
  },
  "glm4": { ropes: [["norm", 8, 10000, 1]] },
  "glm4-sections": NEOX,
  "ernie4_5": {},
  "hunyuan-dense": { ...WIDE_NEOX, normalizesTurnedHeads: true },
  "exaone": NEOX,
  "exaone4": NEOX,
  "exaone4-windowed": { ...NEOX, blockCount: 5, layers: "8:0 8:0 8:0 0:- 8:0" },
  "seed_oss": WIDE_NEOX,
  "command-r": COHERE,
  "command-r-normed": COHERE,
  "cohere2": { ...COHERE, blockCount: 5, layers: "8:0 8:0 8:0 0:- 8:0" },
  "internlm2": {},
  "phi2": { ...PARALLEL_PLAIN, ropes: [["neox", 8, 10000, 1]] },
  "falcon": { ...PARALLEL_PLAIN, tiedEmbeddings: true },
  "falcon-40b": PARALLEL_PLAIN,
  "gptneox": { ...PARALLEL_PLAIN, ropes: [["neox", 8, 10000, 1]] },
  "gptneox-serial": { ...PARALLEL_PLAIN, hasParallelBlocks: false },
  "baichuan": { blockCount: 3 },
  "qwen": { ...NEOX, headCountKv: 4 },
  "orion": { ...NEOX, ...LAYER_NORM },
  "xverse": {},
  "starcoder": {
    ...LAYER_NORM,
    headCountKv: 1,
    feedForward: { activation: "gelu", ...UNGATED },
    tiedEmbeddings: true,
    ropes: [],
    layers: "0:- 0:-",
  },
  "pangu-embedded": NEOX,
  "qwen2vl": NEOX,
  "qwen3vl": NEOX,
  "qwen3vlmoe": { ...NEOX, ...experts({}) },
  "granitemoe": {
    ...experts({ sharedFeedForwardLength: 64 }),
    embeddingScale: 6,
    residualScale: Math.fround(0.4),
    attentionScale: Math.fround(0.4),
    logitScale: 1 / Math.fround(1.6),
    tiedEmbeddings: true,
  },
  "olmoe": { ...NEOX, ...experts({ normalizesWeights: false }), headCountKv: 4 },
  "hunyuan-moe": {
    ...NEOX,
    ...experts({ sharedFeedForwardLength: 64 }),
    normalizesTurnedHeads: true,
  },
  "deepseek": leading({ normalizesWeights: false }),
  "deepseek2": {
    ...leading({ normalizesWeights: false, leadingDenseCount: 24 }),
    ...latent(0, 1 + Math.fround(0.0707) * Math.log(8)),
    ropes: [["norm", 8, 10000, 8]],
    blockCount: 26,
  },
  "deepseek2-old": {
    ...leading({ normalizesWeights: false }),
    ...latent(48),
    ropes: [["norm", 8, 10000, 1]],
  },
  "deepseek2-grouped": {
    ...leading({ gating: "sigmoid", count: 12, groups: { count: 4, usedCount: 2 } }),
    ...latent(48, 1 + 0.1 * Math.log(8)),
    ropes: [["norm", 8, 10000, 8]],
  },
  "deepseek2-dense": { ...latent(32), ropes: [["norm", 8, 10000, 1]] },
  "dots1": { ...NEOX, ...leading({ gating: "sigmoid" }), headCountKv: 4 },
  "glm4moe": { ...leading({ gating: "sigmoid" }), ropes: [["neox", 8, 10000, 1]] },
  "lfm2": {
    ...NEOX,
    blockCount: 4,
    tiedEmbeddings: true,
    layers: "conv 3 conv 3 0:0 conv 3",
  },
  "lfm2-windowed": { ...NEOX, blockCount: 4, layers: "8:0 conv 4 8:0 conv 4" },
  "lfm2moe": {
    ...NEOX,
    ...experts({ gating: "sigmoid", leadingDenseCount: 1 }),
    feedForwardLength: 96,
    blockCount: 4,
    layers: "conv 3 conv 3 0:0 conv 3",
  },
  "ernie4_5-moe": leading({ weightScale: 1 }),
  "bailingmoe": experts({ normalizesWeights: false, sharedFeedForwardLength: 64 }),
  "minimax-m2": {
    ...WIDE_NEOX,
    ...experts({ gating: "sigmoid" }),
    ropes: [["neox", 8, 10000, 1]],
  },
  "exaone-moe": {
    ...NEOX,
    ...leading({ gating: "sigmoid" }),
    blockCount: 5,
    layers: "8:0 8:0 8:0 0:- 8:0",
  },
  "mellum": {
    ...experts({}),
    blockCount: 5,
    layers: "8:1 8:1 8:1 0:0 8:1",
    ropes: [["neox", 16, 10000, 8], ["neox", 16, 10000, 1]],
  },
  "maincoder": { normalizesTurnedHeads: true },
  "hy_v3": { ...NEOX, ...leading({ gating: "sigmoid" }) },
  "jais2": { ...NEOX, ...LAYER_NORM, feedForward: { activation: "relu2", ...UNGATED } },
  "codeshell": { ...NEOX, ...LAYER_NORM, feedForward: { activation: "gelu", ...UNGATED } },
  "plamo": { ...NEOX, hasParallelBlocks: true },
  "paddleocr": NEOX,
  "cohere2moe": {
    ...leading({
      gating: "sigmoid",
      normalizesWeights: false,
      leadingDenseCount: 2,
      weightScale: 0.75,
      sharedWeight: 0.5,
    }),
    ...COHERE,
    blockCount: 6,
    layers: "0:0 8:0 8:0 8:0 0:- 8:0",
  },
};

for (const [name, differences] of Object.entries(EXPECTED)) {
  Deno.test(`describeModel() reads what is special about ${name}`, () => {
    const { ropes, layers, ...rest } = differences;
    const config = parseConfig(name as TinyFamilyName);
    const blockCount = rest.blockCount ?? COMMON.blockCount;
    assertEquals(showRopes(config), ropes ?? showRopes(COMMON));
    assertEquals(
      config.layers.map(showLayer).join(" "),
      layers ?? Array(blockCount).fill("0:0").join(" "),
    );
    const { ropes: _, layers: __, architecture: ___, attentionScale, ...found } = config;
    const { ropes: _r, layers: _l, architecture: _a, ...common } = COMMON;
    const { attentionScale: expectedScale, ...expected } = { ...common, ...rest };
    assertEquals<unknown>(found, expected);
    assertAlmostEquals(attentionScale, expectedScale, 1e-15);
  });
}

Deno.test("describeModel() knows the attention scale of the large Gemmas by their depth", () => {
  // 27B: heads of 128 dimensions, but queries are scaled by the width over the heads, 16 here.
  for (const [architecture, blocks] of [["gemma2", 46], ["gemma3", 62]] as const) {
    const scale = (blockCount: number) =>
      describeModel(parseGguf(tinyModel({ architecture, blockCount }))).config.attentionScale;
    assertEquals(scale(blocks), 1 / 4);
    assertEquals(scale(blocks - 1), 1 / Math.sqrt(24));
  }
});

Deno.test("describeModel() fills in what MiniCPM, Granite and Gemma 2 leave out", () => {
  const without = (architecture: "minicpm" | "granite" | "gemma2", keys: string[]) => {
    const gone = keys.map((key) => [`${architecture}.${key}`, undefined]);
    const file = parseGguf(tinyModel({ architecture }));
    return describeModel(withMetadata(file, Object.fromEntries(gone))).config;
  };
  const minicpm = without("minicpm", ["embedding_scale", "residual_scale", "logit_scale"]);
  assertEquals(
    [minicpm.embeddingScale, minicpm.residualScale, minicpm.logitScale],
    [12, 1.4 / Math.SQRT2, 256 / 64],
  );
  const granite = without("granite", ["embedding_scale", "attention.scale", "logit_scale"]);
  assertEquals(
    [granite.embeddingScale, granite.attentionScale, granite.logitScale],
    [1, 1 / 4, 1],
  );
  const caps = ["attn_logit_softcapping", "final_logit_softcapping", "attention.sliding_window"];
  const gemma2 = without("gemma2", caps);
  assertEquals(
    [gemma2.attentionSoftCap, gemma2.logitSoftCap, gemma2.layers[0].slidingWindow],
    [50, 30, 4096],
  );
});

Deno.test("describeModel() gives a SmallThinker without a window positions everywhere", () => {
  const file = parseGguf(tinyModel({ architecture: "smallthinker" }));
  const key = "smallthinker.attention.sliding_window";
  for (const window of [0, undefined]) {
    const { layers } = describeModel(withMetadata(file, { [key]: window })).config;
    assertEquals(layers.map(showLayer).join(" "), "0:0 0:0 0:0 0:0 0:0");
  }
});

Deno.test("describeModel() takes parallel blocks from the tensors, whatever the key says", () => {
  for (const architecture of ["stablelm", "stablelm-parallel"] as const) {
    const file = parseGguf(tinyModel({ architecture }));
    for (const said of [true, false]) {
      const { config } = describeModel(
        withMetadata(file, { "stablelm.use_parallel_residual": said }),
      );
      assertEquals(config.hasParallelBlocks, architecture === "stablelm-parallel");
    }
  }
});

Deno.test("describeModel() takes Cohere 2's norm from the epsilon that its file names", () => {
  const file = parseGguf(tinyModel({ architecture: "cohere2moe" }));
  const key = "cohere2moe.attention.layer_norm_rms_epsilon";
  assertEquals(describeModel(file).config.norm.kind, "layer");
  assertEquals(describeModel(withMetadata(file, { [key]: 2 ** -20 })).config.norm, {
    kind: "rms",
    epsilon: 2 ** -20,
  });
});

Deno.test("describeModel() takes a mixture without a shared expert whole", () => {
  const file = parseGguf(tinyModel({ architecture: "cohere2moe" }));
  const keys = ["expert_shared_count", "expert_shared_feed_forward_length"];
  const absent = Object.fromEntries(keys.map((key) => [`cohere2moe.${key}`, undefined]));
  const tensors = new Map([...file.tensors].filter(([name]) => !name.includes("_shexp.")));
  const { experts } = describeModel({ ...withMetadata(file, absent), tensors }).config;
  assertEquals([experts?.weightScale, experts?.sharedWeight], [1.5, undefined]);
});

Deno.test("describeModel() refuses slopes of scores, and layers that mix in turns", () => {
  const baichuan = parseGguf(tinyModel({ architecture: "baichuan", blockCount: 40 }));
  assertThrows(() => describeModel(baichuan), UnsupportedModelError, "ALiBi");
  const ernie = parseGguf(tinyModel({ architecture: "ernie4_5-moe" }));
  const inTurns = withMetadata(ernie, { "ernie4_5-moe.interleave_moe_layer_step": 2 });
  assertThrows(() => describeModel(inTurns), UnsupportedModelError, "in turns");
});

Deno.test("describeModel() refuses layers that convolve where they cannot be shared out", () => {
  const file = parseGguf(tinyModel({ architecture: "lfm2" }));
  const read = (key: string, value: GgufValue | undefined) => () =>
    describeModel(withMetadata(file, { [`lfm2.${key}`]: value }));
  const heads = "attention.head_count_kv";
  for (const list of [[0, 0, 2], [0, 0, 2, 1], [0, 0, 0, 0], [0, 0, 1.5, 0]]) {
    assertThrows(
      read(heads, Float64Array.from(list)),
      ModelFormatError,
      "one for each of 4 blocks",
    );
  }
  for (const taps of [1, 33, undefined]) {
    assertThrows(read("shortconv.l_cache", taps), ModelFormatError, "shortconv.l_cache");
  }
  assertThrows(read("attention.key_length", 24), UnsupportedModelError, "96 together");
  const llama = parseGguf(tinyModel());
  const convolves = withMetadata(llama, { "llama.attention.head_count_kv": Int32Array.of(2, 0) });
  assertThrows(() => describeModel(convolves), ModelFormatError, "llama.attention.head_count_kv");
});

Deno.test("describeModel() lets a file choose an activation it can name", () => {
  const file = parseGguf(tinyModel({ architecture: "bamboo" }));
  const activation = (said: string) =>
    describeModel(withMetadata(file, { "bamboo.hidden_activation": said })).config.feedForward;
  assertEquals(activation("swish"), {
    activation: "silu",
    isGated: true,
    activatesUp: true,
    firingThreshold: 0,
  });
  assertEquals(activation("gelu_pytorch_tanh").activation, "gelu");
  const llama = withMetadata(parseGguf(tinyModel()), { "llama.hidden_activation": "drelu" });
  const { feedForward } = describeModel(llama).config;
  assertEquals(feedForward, {
    activation: "relu",
    isGated: true,
    activatesUp: true,
    firingThreshold: 0,
  });
  const error = assertThrows(() => activation("tanh"), UnsupportedModelError, '"tanh"');
  assertMatch(error.message, /silu.*relu2, drelu, fatrelu/);
});

function parseConfig(architecture: TinyFamilyName): ModelConfig {
  return describeModel(parseGguf(tinyModel({ architecture }))).config;
}

function showRopes({ ropes }: ModelConfig) {
  return ropes.map(({ kind, dimensionCount, frequencyBase, scaling }) => (
    [kind, dimensionCount, frequencyBase, scaling.factor] as const
  ));
}

/** "window:rope", or "window:rope/rope of queries". */
function showLayer({ slidingWindow, rope, queryRope, convolutionTaps }: LayerConfig): string {
  if (convolutionTaps !== undefined) return `conv ${convolutionTaps}`;
  return `${slidingWindow}:${rope ?? "-"}${queryRope === undefined ? "" : `/${queryRope}`}`;
}
