/**
 * Every choice that a family makes shows in its logits: a model taken for one that chooses
 * otherwise computes something else. So whoever agrees with the reference on the tiny models has
 * read and computed all of them.
 */
import { assertEquals, assertGreater } from "@std/assert";
import { type GgufFile, parseGguf, TensorReader } from "../../src/gguf/mod.ts";
import { describeModel, type ModelDescription } from "../../src/model/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { LLAMA_CPP_LOGITS } from "../golden/tiny_logits.ts";
import { nmse } from "../support/compare.ts";
import { deepTest } from "../support/deep.ts";
import { RECURRENT_CHOICES } from "./recurrent_choices.ts";
import { STATE_MISTAKES } from "./state_mistakes.ts";
import type { TinyFamilyName } from "../support/tiny_families.ts";
import { TINY_PROMPT, tinyModel } from "../support/tiny_model.ts";
import {
  mapLayers,
  mapMixtures,
  withActivation,
  withConfig,
  withExperts,
  withRopes,
} from "./changed_description.ts";
import { GATED_CHOICES, GATED_MISTAKES } from "./gated_choices.ts";
import { LAYERED_CHOICES, LAYERED_MISTAKES } from "./layered_choices.ts";
import { RARER_CHOICES, RARER_MISTAKES } from "./rarer_choices.ts";
import { SINGULAR_CHOICES, SINGULAR_MISTAKES } from "./singular_choices.ts";
import { WIDER_CHOICES, WIDER_MISTAKES } from "./wider_choices.ts";

/** A mistake: what a description would be if one choice were read otherwise. */
type Mistake = (description: ModelDescription) => ModelDescription;

/** Golden tolerances are a thousand times smaller. */
const NMSE_MIN = 1e-3;

const MISTAKES = {
  "no biases": (d) => mapLayers(d, (l) => ({ ...l, query: l.query && { ...l.query, bias: null } })),
  "no bias of the block's output": (d) =>
    mapLayers(d, (l) => {
      const { attentionOutput: output } = l;
      return { ...l, attentionOutput: output && { ...output, bias: null } };
    }),
  "no bias of the neurons": (d) =>
    mapLayers(d, (l) => {
      const { feedForward } = l;
      if (feedForward?.kind !== "dense") return l;
      return { ...l, feedForward: { ...feedForward, up: { ...feedForward.up, bias: null } } };
    }),
  "no head norms": (d) => mapLayers(d, (l) => ({ ...l, queryNorm: null, keyNorm: null })),
  "heads normalised one by one": (d) =>
    mapLayers(d, (l) => ({ ...l, queryNorm: l.queryNorm && { ...l.queryNorm, span: "head" } })),
  "no post norms": (d) =>
    mapLayers(d, (l) => ({ ...l, attentionPostNorm: null, feedForwardPostNorm: null })),
  "post norms before the blocks": (d) =>
    mapLayers(d, (l) => ({ ...l, attentionNorm: l.attentionPostNorm, attentionPostNorm: null })),
  "key and value exchanged": (d) => mapLayers(d, (l) => ({ ...l, key: l.value, value: l.key })),
  "gates convolved": (d) =>
    mapLayers(d, (l) => l.convolution === null ? l : { ...l, query: l.value, value: l.query }),
  ...STATE_MISTAKES,
  ...GATED_MISTAKES,
  "gate and up exchanged": (d) =>
    mapLayers(d, (l) => {
      const { feedForward } = l;
      if (feedForward?.kind !== "dense" || feedForward.gate === null) return l;
      return { ...l, feedForward: { ...feedForward, gate: feedForward.up, up: feedForward.gate } };
    }),
  "experts in reverse": (d) => mapMixtures(d, ({ experts }) => ({ experts: experts.toReversed() })),
  "no shared expert": (d) => mapMixtures(d, () => ({ shared: null })),
  "no gate of the shared expert": (d) => mapMixtures(d, () => ({ sharedGate: null })),
  "no learned positions": ({ config, tensors }) => (
    { config, tensors: { ...tensors, positionEmbedding: null } }
  ),
  "RMS norms": (d) => withConfig(d, ({ norm }) => ({ norm: { ...norm, kind: "rms" } })),
  "SiLU": (d) => withActivation(d, { activation: "silu" }),
  "GELU": (d) => withActivation(d, { activation: "gelu" }),
  "ReLU": (d) => withActivation(d, { activation: "relu" }),
  "up as it is": (d) => withActivation(d, { activatesUp: false }),
  "neighbouring pairs": (d) => withRopes(d, { kind: "norm" }),
  "pairs half a head apart": (d) => withRopes(d, { kind: "neox" }),
  "another base": (d) => withRopes(d, { frequencyBase: 5000 }),
  "no rotary factors": (d) => withRopes(d, { factors: null }),
  "context not stretched": (d) =>
    withConfig(d, ({ ropes }) => ({
      ropes: ropes.map((rope) => ({
        ...rope,
        scaling: { ...rope.scaling, type: "none", factor: 1 },
      })),
    })),
  "cosines as they are": (d) =>
    withConfig(d, ({ ropes }) => ({
      ropes: ropes.map((rope) => ({ ...rope, scaling: { ...rope.scaling, attentionFactor: 1 } })),
    })),
  "all dimensions rotated": (d) =>
    withConfig(d, ({ ropes, headDim, latent }) => ({
      ropes: ropes.map((rope) => ({
        ...rope,
        dimensionCount: latent ? latent.turnedDim + latent.plainDim : headDim,
      })),
    })),
  "one rope for all layers": (d) =>
    withConfig(d, ({ layers }) => ({ layers: layers.map((layer) => ({ ...layer, rope: 0 })) })),
  "no rope": (d) =>
    withConfig(d, ({ layers }) => ({ layers: layers.map((layer) => ({ ...layer, rope: null })) })),
  "no windows": (d) =>
    withConfig(d, ({ layers }) => ({
      layers: layers.map((layer) => ({ ...layer, slidingWindow: 0 })),
    })),
  "a window more": (d) =>
    withConfig(d, ({ layers }) => ({
      layers: layers.map((l) => ({ ...l, slidingWindow: l.slidingWindow && l.slidingWindow + 1 })),
    })),
  "blocks one after the other": (d) => withConfig(d, () => ({ hasParallelBlocks: false })),
  "one norm for both blocks": (d) => mapLayers(d, (l) => ({ ...l, feedForwardNorm: null })),
  "heads normalised before": (d) => withConfig(d, () => ({ normalizesTurnedHeads: false })),
  "queries as long as ever": (d) =>
    withConfig(d, ({ layers }) => ({
      layers: layers.map(({ slidingWindow, rope }) => ({ slidingWindow, rope })),
    })),
  "no bias of the output": ({ config, tensors }) => (
    { config, tensors: { ...tensors, output: { ...tensors.output, bias: null } } }
  ),
  "no bias of the choice": (d) => mapMixtures(d, () => ({ choiceBias: null })),
  "no sinks": (d) => mapLayers(d, (l) => ({ ...l, attentionSinks: null })),
  "no bias of the router": (d) =>
    mapMixtures(d, (block) => ({ router: { ...block.router, bias: null } })),
  "no biases of gates and ups": (d) =>
    mapMixtures(d, ({ experts }) => ({
      experts: experts.map((expert) => ({
        ...expert,
        gate: expert.gate && { ...expert.gate, bias: null },
        up: { ...expert.up, bias: null },
      })),
    })),
  "no biases of downs": (d) => mapMixtures(d, () => ({ downBiases: null })),
  "shared expert counted whole": (d) => withExperts(d, { sharedWeight: 1 }),
  "dense layers know no positions": (d) =>
    withConfig(d, ({ layers }) => ({
      layers: layers.map((layer) => layer.slidingWindow === 0 ? { ...layer, rope: null } : layer),
    })),
  "experts as they are": (d) => withExperts(d, { weightScale: 1 }),
  "no cap of scores": (d) => withConfig(d, () => ({ attentionSoftCap: 0 })),
  "no cap of logits": (d) => withConfig(d, () => ({ logitSoftCap: 0 })),
  "attention scaled as usual": (d) =>
    withConfig(d, ({ headDim }) => ({ attentionScale: 1 / Math.sqrt(headDim) })),
  "embeddings as they are": (d) => withConfig(d, () => ({ embeddingScale: 1 })),
  "blocks as they are": (d) => withConfig(d, () => ({ residualScale: 1 })),
  "logits as they are": (d) => withConfig(d, () => ({ logitScale: 1 })),
  "weights normalised": (d) => withExperts(d, { normalizesWeights: true }),
  "weights not normalised": (d) => withExperts(d, { normalizesWeights: false }),
  "one expert fewer": (d) => withExperts(d, { usedCount: (d.config.experts?.usedCount ?? 2) - 1 }),
  "softmax": (d) => withExperts(d, { gating: "softmax" }),
  "sigmoid": (d) => withExperts(d, { gating: "sigmoid" }),
  "experts of all groups": (d) => withExperts(d, { groups: undefined }),
  "scores as they are": (d) =>
    withConfig(d, ({ latent }) => ({
      attentionScale: 1 / Math.sqrt(latent!.turnedDim + latent!.plainDim),
    })),
  "keys taken for values": (d) =>
    mapLayers(d, (l) => {
      const { latent } = l;
      return { ...l, latent: latent && { ...latent, valueUp: { ...latent.valueUp, start: 0 } } };
    }),
  "routed behind attention": (d) => withExperts(d, { routerInput: "feedForward" }),
  ...WIDER_MISTAKES,
  ...LAYERED_MISTAKES,
  ...RARER_MISTAKES,
  ...SINGULAR_MISTAKES,
} satisfies Readonly<Record<string, Mistake>>;

type MistakeName = keyof typeof MISTAKES;

const STATES: readonly MistakeName[] = [
  ...["convolved without a bias", "what gates convolved", "steps go around states"] as const,
];
const DELTAS: readonly MistakeName[] = [
  ...["decays and biases exchanged", "heads in another order"] as const,
];
const MOE: readonly MistakeName[] = ["experts in reverse", "one expert fewer"];
const BIASED: readonly MistakeName[] = [
  "no biases",
  "no bias of the block's output",
  "no bias of the neurons",
];
const SMALLTHINKER: readonly MistakeName[] = [
  ...MOE,
  "SiLU",
  "neighbouring pairs",
  "one rope for all layers",
  "weights not normalised",
  "routed behind attention",
];

const CHOICES: Readonly<Record<TinyFamilyName, readonly MistakeName[]>> = {
  "llama": ["pairs half a head apart", "another base", "GELU", "gate and up exchanged"],
  "llama-biased": BIASED,
  "llama-moe": [...MOE, "weights not normalised", "sigmoid"],
  "llama-moe-old": MOE,
  "relu-llama": ["SiLU"],
  "drelu-moe": [...MOE, "SiLU", "up as it is"],
  "bamboo": ["SiLU", "up as it is"],
  "qwen2": ["no biases", "neighbouring pairs"],
  "qwen2moe": [...MOE, "weights normalised", "no shared expert", "no gate of the shared expert"],
  "qwen3": ["no head norms", "neighbouring pairs"],
  "qwen3moe": [...MOE, "weights not normalised", "no head norms"],
  "gpt-oss": [
    ...MOE,
    "SiLU",
    "softmax",
    "no sinks",
    "no biases",
    "no bias of the block's output",
    "no bias of the router",
    "no biases of gates and ups",
    "no biases of downs",
    "no windows",
    "a window more",
    "context not stretched",
    "neighbouring pairs",
  ],
  "gemma": ["SiLU", "embeddings as they are", "neighbouring pairs"],
  "gemma2": [
    "no post norms",
    "no windows",
    "a window more",
    "no cap of scores",
    "no cap of logits",
  ],
  "gemma3": [
    "no post norms",
    "no head norms",
    "no windows",
    "one rope for all layers",
    "context not stretched",
  ],
  "phi3": ["no rotary factors", "cosines as they are", "gate and up exchanged"],
  "minicpm": ["embeddings as they are", "blocks as they are", "logits as they are"],
  "granite": ["embeddings as they are", "blocks as they are", "attention scaled as usual"],
  "granite-unrotated": ["logits as they are"],
  "olmo2": ["no post norms", "heads normalised one by one", "post norms before the blocks"],
  "olmo2-windowed": ["no windows", "one rope for all layers", "context not stretched"],
  "smollm3": ["one rope for all layers", "no rope", "pairs half a head apart"],
  "stablelm": ["RMS norms", "all dimensions rotated"],
  "stablelm-parallel": ["blocks one after the other", "no head norms", "no biases"],
  "chatglm": ["no biases", "all dimensions rotated", "pairs half a head apart"],
  "starcoder2": [...BIASED, "RMS norms", "SiLU", "neighbouring pairs"],
  "gpt2": [...BIASED, "RMS norms", "ReLU", "no learned positions", "key and value exchanged"],
  "smallthinker": [...SMALLTHINKER, "softmax"],
  "smallthinker-softmax": [...SMALLTHINKER, "sigmoid"],
  "arcee": ["ReLU", "pairs half a head apart"],
  "nemotron": ["ReLU", "RMS norms", "all dimensions rotated"],
  "mistral3": ["queries as long as ever", "context not stretched", "cosines as they are"],
  "glm4": ["no biases", "no post norms", "all dimensions rotated", "pairs half a head apart"],
  "glm4-sections": ["no post norms", "neighbouring pairs", "gate and up exchanged"],
  "ernie4_5": ["pairs half a head apart"],
  "hunyuan-dense": ["no head norms", "neighbouring pairs"],
  "exaone": ["neighbouring pairs"],
  "exaone4": ["no post norms", "no head norms", "neighbouring pairs"],
  "exaone4-windowed": ["no windows", "a window more", "one rope for all layers"],
  "seed_oss": ["no biases", "neighbouring pairs"],
  "command-r": ["RMS norms", "blocks one after the other", "logits as they are"],
  "command-r-normed": ["no head norms", "blocks one after the other"],
  "cohere2": ["RMS norms", "no windows", "one rope for all layers", "logits as they are"],
  "internlm2": ["pairs half a head apart"],
  "phi2": [...BIASED, "no bias of the output", "blocks one after the other"],
  "falcon": ["RMS norms", "ReLU", "blocks one after the other", "neighbouring pairs"],
  "falcon-40b": ["one norm for both blocks", "blocks one after the other"],
  "gptneox": [...BIASED, "one norm for both blocks", "blocks one after the other"],
  "gptneox-serial": [...BIASED, "RMS norms"],
  "baichuan": ["pairs half a head apart"],
  "qwen": ["no biases", "neighbouring pairs"],
  "orion": ["RMS norms", "neighbouring pairs"],
  "xverse": ["pairs half a head apart"],
  "starcoder": [...BIASED, "no learned positions"],
  "pangu-embedded": ["no biases", "no bias of the block's output"],
  "qwen2vl": ["no biases", "neighbouring pairs"],
  "qwen3vl": ["no head norms", "neighbouring pairs"],
  "qwen3vlmoe": [...MOE, "no head norms"],
  "granitemoe": [...MOE, "no shared expert", "blocks as they are", "weights not normalised"],
  "olmoe": [...MOE, "heads normalised one by one", "weights normalised"],
  "hunyuan-moe": [...MOE, "no shared expert", "heads normalised before"],
  "deepseek2": [
    ...MOE,
    "no shared expert",
    "weights normalised",
    "experts as they are",
    "scores as they are",
    "context not stretched",
    "pairs half a head apart",
  ],
  "deepseek2-old": [...MOE, "keys taken for values", "weights normalised", "sigmoid"],
  "deepseek2-grouped": [
    ...MOE,
    "experts of all groups",
    "no bias of the choice",
    "softmax",
    "weights not normalised",
    "scores as they are",
    "context not stretched",
  ],
  "deepseek2-dense": ["all dimensions rotated", "pairs half a head apart"],
  "deepseek": [...MOE, "no shared expert", "weights normalised", "experts as they are"],
  "dots1": [...MOE, "no bias of the choice", "softmax", "no head norms"],
  "glm4moe": [...MOE, "no bias of the choice", "softmax", "no biases", "no head norms"],
  ...RECURRENT_CHOICES,
  "mamba": STATES,
  "mamba-falcon": [...STATES, "what channels make as it is"],
  "mamba2": [...STATES, "states not normalised"],
  "falcon-h1": [...STATES, "no states", "neighbouring pairs"],
  "granitehybrid": [...STATES, "states not normalised", "no states"],
  "granitehybrid-moe": [...MOE, ...STATES, "states not normalised", "no rope"],
  "nemotron_h": [...STATES, "states not normalised", "no states", "SiLU", "ReLU"],
  "qwen35": [...DELTAS, "no head norms", "heads gated by queries"],
  "qwen35moe": [...MOE, ...DELTAS, "no shared expert", "heads gated by queries"],
  "qwen4exp": [...MOE, ...DELTAS, ...GATED_CHOICES],
  "qwen3next": [...MOE, ...DELTAS, "heads gated by queries", "no gate of the shared expert"],
  "kimi-linear": [
    ...[...MOE, "queries and keys convolved as values", "steps without a bias"] as const,
    ...["gated by steps", "softmax", "no bias of the choice", "no shared expert"] as const,
  ],
  "jamba": [...MOE, ...STATES, "what channels make as it is", "weights normalised"],
  "plamo2": [
    ...["what gates convolved", "gates of all heads first", "steps go around states"] as const,
    ...["steps made of the first rows", "what writes and what reads exchanged"] as const,
    ...["what channels make as it is", "channels read what they write", "no states"] as const,
    ...["decays and biases exchanged", "no head norms", "no post norms"] as const,
    ...["gate and up exchanged", "neighbouring pairs", "no rope"] as const,
  ],
  "lfm2": ["gates convolved", "no head norms", "neighbouring pairs"],
  "lfm2-windowed": ["gates convolved", "no windows", "a window more"],
  "lfm2moe": [...MOE, "gates convolved", "no bias of the choice", "softmax"],
  "ernie4_5-moe": [...MOE, "no bias of the choice", "no shared expert"],
  "bailingmoe": [...MOE, "no shared expert", "weights normalised"],
  "minimax-m2": [...MOE, "heads normalised one by one", "no bias of the choice", "softmax"],
  "exaone-moe": [...MOE, "no windows", "one rope for all layers", "no shared expert", "softmax"],
  "mellum": [...MOE, "no windows", "one rope for all layers", "context not stretched"],
  "maincoder": ["no head norms", "heads normalised before", "pairs half a head apart"],
  "hy_v3": [...MOE, "no bias of the choice", "no shared expert", "softmax", "no head norms"],
  "jais2": [...BIASED, "RMS norms", "ReLU", "neighbouring pairs"],
  "codeshell": [...BIASED, "RMS norms", "SiLU", "neighbouring pairs"],
  "plamo": ["blocks one after the other", "neighbouring pairs"],
  "paddleocr": ["neighbouring pairs"],
  "cohere2moe": [
    ...MOE,
    ...["no windows", "blocks one after the other", "logits as they are", "softmax"] as const,
    ...["shared expert counted whole", "dense layers know no positions"] as const,
  ],
  ...WIDER_CHOICES,
  ...LAYERED_CHOICES,
  ...RARER_CHOICES,
  ...SINGULAR_CHOICES,
};

const IN_GOLDEN = "its logits beside llama.cpp's are in the gate (tests/golden)";
const IN_GATE: readonly string[] = ["gemma2", "qwen2moe", "rwkv7"];

for (const [name, mistakes] of Object.entries(CHOICES)) {
  const deep = name in LLAMA_CPP_LOGITS && !IN_GATE.includes(name) ? IN_GOLDEN : undefined;
  deepTest(`ReferenceModel computes another ${name} when a choice is read otherwise`, deep, () => {
    const bytes = tinyModel({ architecture: name as TinyFamilyName, seed: 36 });
    const file = parseGguf(bytes);
    const description = describeModel(file);
    const [right, ...wrong] = [description, ...mistakes.map((each) => MISTAKES[each](description))]
      .map((each) => logitsOf(file, bytes, each));
    wrong.forEach((each, i) => assertGreater(nmse(each, right), NMSE_MIN, mistakes[i]));
  });
}

Deno.test("ReferenceModel computes the same from experts in one tensor and in many", () => {
  const [one, many] = (["llama-moe", "llama-moe-old"] as const).map((architecture) => {
    const bytes = tinyModel({ architecture, seed: 36 });
    const file = parseGguf(bytes);
    return logitsOf(file, bytes, describeModel(file));
  });
  assertEquals(one, many);
});

for (const architecture of ["gemma3", "gpt2", "qwen2moe", "smallthinker", "lfm2"] as const) {
  Deno.test(`ReferenceModel computes ${architecture} the same in one piece and in three`, () => {
    const bytes = tinyModel({ architecture, seed: 36 });
    const file = parseGguf(bytes);
    const model = new ReferenceModel(file, { reader: TensorReader.ofBytes(bytes) });
    const pieces = [[0, 5], [5, 17], [17, 24]].flatMap(([from, to]) => [
      ...model.forward(TINY_PROMPT.slice(from, to), from),
    ]);
    const whole = logitsOf(file, bytes, describeModel(file));
    assertEquals(Float32Array.from(pieces), whole);
  });
}

function logitsOf(
  file: GgufFile,
  bytes: Uint8Array<ArrayBuffer>,
  description: ModelDescription,
): Float32Array {
  const model = new ReferenceModel(file, { reader: TensorReader.ofBytes(bytes), description });
  return model.forward(TINY_PROMPT.slice(0, 24));
}
