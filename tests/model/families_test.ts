/** What sets each family apart, as its files say it and as it must be read. */
import { assertAlmostEquals, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { type GgufValue, parseGguf } from "../../src/gguf/mod.ts";
import { describeModel, type LayerConfig, type ModelConfig } from "../../src/model/mod.ts";
import { TINY_FAMILIES, type TinyFamilyName } from "../support/tiny_families.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { withMetadata } from "./changed_file.ts";
import { EXPECTED } from "./expected_families.ts";

const COMMON = parseConfig("llama");

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
    const valueDim = rest.valueDim ?? rest.headDim ?? common.valueDim;
    const { attentionScale: expectedScale, ...expected } = { ...common, ...rest, valueDim };
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

Deno.test("describeModel() fills in what files of Gemma 3n leave out", () => {
  const keys = ["final_logit_softcapping", "attention.sliding_window", "altup.active_idx"];
  const gone = [...keys, "attention.sliding_window_pattern", "altup.num_inputs"];
  const layered = { ...TINY_FAMILIES["gemma3n"].layered, keepsKeys: true };
  const whole = tinyModel({ architecture: "gemma3n", changes: { layered } });
  const file = withMetadata(parseGguf(whole), {
    ...Object.fromEntries(gone.map((key) => [`gemma3n.${key}`, undefined])),
    "gemma3n.attention.shared_kv_layers": 0,
    "gemma3n.rope.scaling.type": "linear",
    "gemma3n.rope.scaling.factor": 8,
  });
  const { logitSoftCap, altUp, layers, ropes } = describeModel(file).config;
  assertEquals([logitSoftCap, altUp], [30, { streamCount: 4 }]);
  assertEquals(layers.map(({ slidingWindow }) => slidingWindow), [512, 512, 512, 512, 0, 512]);
  // Layers that see everything are stretched, the others are not.
  assertEquals(ropes.map(({ scaling }) => scaling.factor), [8, 1]);
});

Deno.test("describeModel() refuses a gemma3n that does not say where gates are cut off", () => {
  const file = parseGguf(tinyModel({ architecture: "gemma3n" }));
  const key = "gemma3n.activation_sparsity_scale";
  const lists = [undefined, 1, [1, 1, 1], [1, 1, 1, 1, 1, NaN], [1, 1, 1, 1, 1, Infinity]];
  for (const said of lists) {
    const list = Array.isArray(said) ? Float32Array.from(said) : said;
    const of = () => describeModel(withMetadata(file, { [key]: list as GgufValue }));
    assertThrows(of, ModelFormatError, "a list of 6 numbers, one for each block");
  }
});

Deno.test("describeModel() refuses a gemma3n whose layers compute with another stream", () => {
  const file = parseGguf(tinyModel({ architecture: "gemma3n" }));
  for (const [key, said] of [["active_idx", 1], ["num_inputs", 1], ["num_inputs", 17]]) {
    const of = () => describeModel(withMetadata(file, { [`gemma3n.altup.${key}`]: said }));
    assertThrows(of, ModelFormatError, `gemma3n.altup.${key}`);
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

Deno.test("describeModel() refuses layers that mix in turns", () => {
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

/**
 * "window:rope", or "window:rope/rope of queries"; "s" of states, "+s" beside heads, "n" of neurons
 * alone, "-" behind it of a layer without.
 */
function showLayer(layer: LayerConfig): string {
  const { slidingWindow, attentionChunk, rope, queryRope, convolutionTaps } = layer;
  const end = layer.hasNeurons === false ? "-" : "";
  if (layer.attends === false) {
    return (layer.hasStates ? "s" : "n") + end + showShape(layer) + showLimits(layer);
  }
  if (convolutionTaps !== undefined) return `conv ${convolutionTaps}`;
  const seen = attentionChunk === undefined ? slidingWindow : `${attentionChunk}c`;
  const queries = queryRope === undefined ? "" : `/${queryRope}`;
  const own = showShape(layer) + showLimits(layer);
  return `${seen}:${rope ?? "-"}${queries}${layer.hasStates ? "+s" : ""}${end}${own}`;
}

/** What gates of experts, and of others, give at most. */
function showLimits({ limits }: LayerConfig): string {
  if (limits === undefined) return "";
  const gates = [limits.experts, limits.others].filter((limit) => limit !== null);
  return `<${gates.map(({ gate }) => Math.round(100 * gate) / 100)}`;
}

/** Width and number of heads, key/value heads, neurons, experts, whose keys it reads, cutoffs. */
function showShape({ shape, keysOf, gateCutoff }: LayerConfig): string {
  if (shape === undefined) return "";
  const { headCount, headDim, headCountKv, feedForwardLength, experts } = shape;
  const mixture = experts ? `;${experts.usedCount}x${experts.feedForwardLength}` : "";
  const keys = keysOf === undefined ? "" : `=${keysOf}`;
  const cutoff = gateCutoff === undefined ? "" : `>${gateCutoff}`;
  return `(${headDim}x${headCount}/${headCountKv},${feedForwardLength}${mixture})${keys}${cutoff}`;
}
