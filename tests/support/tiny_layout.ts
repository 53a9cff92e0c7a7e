/** What the file of a tiny model holds: its metadata and its tensors with their dimensions. */
import { f32, list, type MetadataEntry, text, u32 } from "../../src/gguf/mod.ts";
import type { PlannedTensor, TensorRole } from "../../src/synth/layout.ts";
import { fileTypeOf, type SynthQuant, synthTypes } from "../../src/synth/synth_types.ts";
import type { TinyFamily } from "./tiny_family.ts";
import {
  hasKeys,
  hasValues,
  layeredKeys,
  layerShape,
  planLayerEnd,
  planModelInputs,
  unevenKeys,
} from "./tiny_layered.ts";
import { planStateSpace, stateSpaceKeys, type TinyStateSpace } from "./tiny_state_space.ts";
import { latentKeys, planLatent, planUnused } from "./tiny_latent_layout.ts";
import {
  compressionKeys,
  planCompressed,
  planHyperEnd,
  planMixers,
  streamKeys,
} from "./tiny_compressed_layout.ts";
import { gatedKeys, planGated, planGatedEnd, planGroupIndexer } from "./tiny_gated_layout.ts";
import { planExperts } from "./tiny_experts_layout.ts";
import { planTextHead } from "./tiny_text_head.ts";
import { nameOfT5, planWriting } from "./tiny_writing.ts";
import { planTimeMix, timeMixKeys } from "./tiny_time_mix.ts";
import type { TinyPredictor } from "./tiny_predictor.ts";

/** A tensor of floats, or of whole numbers. */
export type TinyTensor = PlannedTensor | {
  readonly name: string;
  readonly role: "table";
  readonly type: "I32";
  readonly dims: readonly number[];
};

/** Everything that decides which tensors a tiny model has and how large they are. */
export interface TinyShape {
  readonly blockCount: number;
  readonly embeddingLength: number;
  /** Of a dense block. */
  readonly feedForwardLength: number;
  readonly headCount: number;
  readonly headCountKv: number;
  readonly headDim: number;
  readonly vocabSize: number;
  /** Tokens. */
  readonly contextLength: number;
  readonly epsilon: number;
  readonly ropeBase: number;
  /** True when the output projection is the embedding table. */
  readonly tied: boolean;
  /** Down lies transposed, under another name, as in PowerInfer's files. */
  readonly hasDownTransposed: boolean;
  /** Predictors of dense blocks, or of all experts. */
  readonly predictor?: TinyPredictor;
}

/** The metadata without the tokenizer. */
export function tinyMetadata(
  shape: TinyShape,
  family: TinyFamily,
  file: { architecture: string; type: SynthQuant },
): MetadataEntry[] {
  const { architecture } = file;
  const { experts } = family;
  const epsilonKey = family.layerNorm ? "layer_norm_epsilon" : "layer_norm_rms_epsilon";
  const own = {
    "context_length": u32(shape.contextLength),
    "embedding_length": u32(shape.embeddingLength),
    "block_count": u32(shape.blockCount),
    "feed_forward_length": u32(experts ? experts.length : shape.feedForwardLength),
    "attention.head_count": u32(shape.headCount),
    ...headCountsKv(shape, family),
    ...family.headDim && {
      "attention.key_length": u32(family.headDim),
      "attention.value_length": u32(family.valueDim ?? family.headDim),
    },
    [`attention.${epsilonKey}`]: f32(shape.epsilon),
    "rope.dimension_count": u32(family.rotatedDims ?? shape.headDim),
    ...family.latent && latentKeys(family.latent, shape),
    ...family.compression && compressionKeys(family.compression),
    ...family.streams && streamKeys(family.streams),
    ...family.gated && gatedKeys(family.gated, shape),
    "rope.freq_base": f32(shape.ropeBase),
    "vocab_size": u32(shape.vocabSize),
    ...experts && { "expert_count": u32(experts.count), "expert_used_count": u32(experts.used) },
    ...family.stateSpace && stateSpaceKeys(family.stateSpace, shape, experts),
    ...family.timeMix && timeMixKeys(family.timeMix),
    ...family.layered && layeredKeys(family.layered, shape),
    ...family.uneven && unevenKeys(family.uneven),
    ...family.keys,
    ...family.guesses && {
      ...{ "block_count": u32(shape.blockCount + 1), "nextn_predict_layers": u32(1) },
    },
  };
  return [
    ["general.architecture", text(architecture)],
    ["general.name", text("tiny")],
    ["general.file_type", u32(fileTypeOf(file.type))],
    ["general.quantization_version", u32(2)],
    ...Object.entries(family.wholeKeys ?? {}),
    ...kindsOfTokens(family),
    ...Object.entries(own).map(([key, value]): MetadataEntry => [`${architecture}.${key}`, value]),
  ];
}

function kindsOfTokens({ tokenKinds }: TinyFamily): MetadataEntry[] {
  return tokenKinds ? [["tokenizer.ggml.token_type_count", u32(tokenKinds)]] : [];
}

/** Layers that convolve have no heads. */
function headCountsKv({ headCountKv }: TinyShape, { convolution }: TinyFamily) {
  if (!convolution) return { "attention.head_count_kv": u32(headCountKv) };
  const { taps, attends } = convolution;
  return {
    "attention.head_count_kv": list(Int32Array.from(attends, (has) => has ? headCountKv : 0)),
    "shortconv.l_cache": u32(taps),
  };
}

/** All tensors, in the order of real files; matrices have the types that `quant` gives them. */
export function tinyTensors(
  shape: TinyShape,
  family: TinyFamily,
  quant: SynthQuant,
): TinyTensor[] {
  const tensors = allTensors(shape, family);
  const chosen = synthTypes(tensors.filter((each) => each.role !== "table"), quant);
  return tensors.map((tensor) =>
    tensor.role === "table" ? tensor : { ...tensor, type: chosen.get(tensor.name) ?? "F32" }
  );
}

function allTensors(shape: TinyShape, family: TinyFamily): TinyTensor[] {
  const { embeddingLength: width, vocabSize } = shape;
  const plan = new TensorPlan(family);
  plan.matrix("token_embd", [width, vocabSize], "embedding");
  if (family.layered) planModelInputs(plan, shape, family.layered);
  if (family.embeddingNorm) plan.norm("token_embd_norm", width);
  if (family.tokenKinds) plan.vector("token_types.weight", width, family.tokenKinds);
  if (family.learnedPositions) {
    plan.matrix("position_embd", [width, shape.contextLength], "embedding");
  }
  for (let block = 0; block < shape.blockCount; block++) {
    plan.prefix = `blk.${block}.`;
    const kind = family.stateSpace?.layers[block] ?? "heads";
    const own = layerShape(shape, family, block);
    const { timeMix } = family;
    if (family.scoreBuckets && block === 0) plan.scoreBiases(shape.headCount, family.scoreBuckets);
    if (timeMix || kind === "state" || kind === "neurons") {
      if (family.preNorms !== false) plan.norm("attn_norm", width);
    } else if (family.convolution?.attends[block] === false) planConvolution(plan, shape, family);
    else if (own.headCount > 0) planAttention(plan, own, family, block);
    if (timeMix) planTimeMix(plan, shape, { timeMix, block });
    if (kind === "state" || kind === "both") planStateSpace(plan, shape, family.stateSpace!);
    if (hasNeurons(family, kind) && !timeMix?.shiftsNeurons && own.feedForwardLength > 0) {
      planFeedForward(plan, shape, family, block);
    }
    if (family.keepsInputs) {
      for (const name of ["attn", "ffn"]) plan.vector(`${name}_res_score.weight`, width);
    }
    if (family.gated) planGated(plan, shape, family.gated, block);
    if (family.layered) planLayerEnd(plan, shape, family.layered);
    if (family.blockScales) plan.factors("layer_output_scale.weight", 1);
    if (family.blockScales === "all") {
      for (const name of ["attn_output", "ffn_down"]) plan.factors(`${name}.scale`, 1);
    }
  }
  if (family.guesses) planGuess(plan, shape, family);
  planWriting(plan, shape, family, {
    heads: () => planAttention(plan, shape, family, 0),
    neurons: () => planFeedForward(plan, shape, family, 0),
  });
  plan.prefix = "";
  if (family.secondStream) plan.factors("hrm.z_l_init", width);
  if (!family.sumNorms && !family.gated) plan.norm(family.outputNorm ?? "output_norm", width);
  planHyperEnd(plan, width, family);
  if (family.keepsInputs) plan.vector("output_res_score.weight", width);
  if (family.gated) planGatedEnd(plan, shape, family.gated);
  planTextHead(plan, width, family);
  if (!shape.tied) plan.matrix("output", [width, vocabSize], "output");
  if (family.outputBias) plan.bias("output", vocabSize);
  return plan.tensors;
}

/** A block that guesses; it has what the model's last one has. */
function planGuess(plan: TensorPlan, shape: TinyShape, family: TinyFamily): void {
  const { blockCount, embeddingLength: width } = shape;
  plan.prefix = `blk.${blockCount}.`;
  planAttention(plan, layerShape(shape, family, blockCount - 1), family, blockCount - 1);
  const { experts } = family.guesses === "dense" ? { experts: undefined } : family;
  planFeedForward(plan, shape, { ...family, experts }, blockCount - 1);
  plan.matrix("nextn.eh_proj", [2 * width, width]);
  for (const name of ["enorm", "hnorm", "shared_head_norm"]) plan.norm(`nextn.${name}`, width);
}

function hasNeurons({ stateSpace }: TinyFamily, kind: TinyStateSpace["layers"][number]): boolean {
  if (stateSpace?.isApart) return kind === "neurons";
  return stateSpace === undefined || stateSpace.layers.some((each) => each !== "state");
}

/** Collects tensors of a model or a layer. */
export class TensorPlan {
  readonly tensors: TinyTensor[] = [];
  /** What names begin with. */
  prefix = "";
  readonly #family: TinyFamily;

  constructor(family: TinyFamily) {
    this.#family = family;
  }

  matrix(name: string, dims: readonly number[], role: TensorRole = "matrix"): void {
    this.#add(`${name}.weight`, dims, role);
  }

  norm(name: string, length: number): void {
    if (this.#family.normWeights === false) return;
    this.wholeNorm(`${name}.weight`, length);
    if (this.#family.normBiases ?? this.#family.layerNorm) {
      this.#add(`${name}.bias`, [length], "bias");
    }
  }

  /** Without a bias, by its whole name. */
  wholeNorm(name: string, length: number): void {
    this.#add(name, [length], "norm");
  }

  /** Norms of queries or keys never have a bias. */
  headNorm(name: string, dims: readonly number[]): void {
    this.#add(`${name}.weight`, dims, "norm");
  }

  bias(name: string, ...dims: readonly number[]): void {
    this.vector(`${name}.bias`, ...dims);
  }

  /** Sinks are scores: as large as those of positions. */
  sinks(headCount: number): void {
    this.#add("attn_sinks.weight", [headCount], "norm");
  }

  /** So are biases by distance. */
  scoreBiases(headCount: number, buckets: number): void {
    this.#add("attn_rel_b.weight", [headCount, buckets], "norm");
  }

  /** Of whole numbers, by its whole name. */
  table(name: string, ...dims: readonly number[]): void {
    this.tensors.push({ name: this.prefix + name, role: "table", type: "I32", dims });
  }

  /** By its whole name; about 1. */
  factors(name: string, ...dims: readonly number[]): void {
    this.#add(name, dims, "norm");
  }

  /** By its whole name. */
  vector(name: string, ...dims: readonly number[]): void {
    this.#add(name, dims, "bias");
  }

  /** The biases of those that the family gives one. */
  biases(lengths: Readonly<Record<string, number>>): void {
    for (const [name, length] of Object.entries(lengths)) {
      if (this.#family.biases?.includes(name)) this.#add(`${name}.bias`, [length], "bias");
    }
  }

  #add(name: string, dims: readonly number[], role: TensorRole): void {
    const own = this.prefix + name;
    this.tensors.push({
      name: this.#family.scoreBuckets ? nameOfT5(own) : own,
      ...{ role, type: "F32", dims },
    });
  }
}

function planAttention(
  plan: TensorPlan,
  shape: TinyShape,
  family: TinyFamily,
  block: number,
): void {
  const { embeddingLength: width, headCount, headCountKv, headDim } = shape;
  const { valueDim = headDim } = family;
  const [queries, keys] = [headCount * headDim, headCountKv * headDim];
  const lacksNorm = family.lacksFirstNorm && block === 0;
  if (family.preNorms !== false && !lacksNorm) plan.norm("attn_norm", width);
  planUnused(plan, shape, family, block);
  if (family.compression) return planCompressed(plan, shape, family.compression, block);
  if (family.streams) planMixers(plan, width, { streams: family.streams, areMixed: false });
  if (family.latent) return planLatent(plan, shape, { ...family, latent: family.latent }, block);
  if (family.fusedQkv) plan.matrix("attn_qkv", [width, queries + keys + headCountKv * valueDim]);
  else {
    plan.matrix("attn_q", [width, family.gates === "turns" ? 2 * queries : queries]);
    if (family.gates === "apart") plan.matrix("attn_gate", [width, queries]);
    if (family.gates === "perHead") plan.matrix("attn_gate", [width, headCount]);
    if (hasKeys(family, shape, block)) plan.matrix("attn_k", [width, keys]);
    if (hasValues(family, shape, block)) plan.matrix("attn_v", [width, headCountKv * valueDim]);
  }
  plan.biases({ attn_q: queries, attn_k: keys, attn_v: keys, attn_qkv: queries + 2 * keys });
  if (family.headGains) plan.headNorm("attn_q_norm", [1, headCount]);
  if (family.headNorms) {
    const dims = (heads: number) => ({
      shared: [headDim],
      projection: [heads * headDim],
      perHead: [headDim, heads],
    });
    plan.headNorm("attn_q_norm", dims(headCount)[family.headNorms]);
    if (family.headBiases) {
      plan.bias("attn_q_norm", ...dims(headCount)[family.headNorms]);
      plan.bias("attn_k_norm", ...dims(headCountKv)[family.headNorms]);
    }
    if (hasKeys(family, shape, block)) {
      plan.headNorm("attn_k_norm", dims(headCountKv)[family.headNorms]);
    }
  }
  if (family.innerNorms) plan.norm("attn_sub_norm", queries);
  if (family.gated) planGroupIndexer(plan, shape, family.gated);
  plan.matrix("attn_output", [headCount * valueDim, width], "residual");
  plan.biases({ attn_output: width });
  const { sinks } = family;
  if (typeof sinks === "object" ? sinks[block] : sinks) plan.sinks(headCount);
  if (family.sumNorms) plan.norm("attn_output_norm", width);
  else if (family.postNormNames) plan.wholeNorm(family.postNormNames[0], width);
  else if (family.postNorms) plan.norm("post_attention_norm", width);
}

function planConvolution(plan: TensorPlan, shape: TinyShape, family: TinyFamily): void {
  const { embeddingLength: width } = shape;
  plan.norm("attn_norm", width);
  plan.matrix("shortconv.in_proj", [width, 3 * width]);
  plan.matrix("shortconv.conv", [family.convolution!.taps, width]);
  plan.matrix("shortconv.out_proj", [width, width], "residual");
}

function planFeedForward(
  plan: TensorPlan,
  shape: TinyShape,
  family: TinyFamily,
  block: number,
): void {
  const { embeddingLength: width, predictor } = shape;
  const { feedForwardLength: neurons } = layerShape(shape, family, block);
  if (family.parallel === "two") plan.norm("attn_norm_2", width);
  if (family.preNorms !== false && !family.parallel && !family.stateSpace?.isApart) {
    if (family.hasBareNorm) plan.factors("ffn_norm", width);
    else plan.norm(family.feedForwardNorm ?? "ffn_norm", width);
  }
  const rank = predictor && (predictor.layers?.includes(block) ?? true) ? predictor.rank : 0;
  const { leading = 0, period = 1, layers = [block] } = family.experts ?? {};
  const isMixture = block >= leading && (block + 1) % period === 0 && layers.includes(block);
  if (family.experts && isMixture) {
    const listedRows = block < (family.compression?.listed ?? 0) ? shape.vocabSize : 0;
    const length = family.experts.lengths?.[block] ?? family.experts.length;
    planExperts(plan, width, { ...family.experts, length, rank, listedRows });
  } else {
    if (family.innerNorms) plan.norm("ffn_sub_norm", neurons);
    if (!family.neurons) plan.matrix("ffn_gate", [width, neurons], "gate");
    plan.matrix("ffn_up", [width, family.neurons === "fused" ? 2 * neurons : neurons]);
    if (shape.hasDownTransposed) plan.matrix("ffn_down_t", [width, neurons], "residual");
    else plan.matrix("ffn_down", [neurons, width], "residual");
    if (rank > 0) {
      plan.matrix("fc1", [width, rank]);
      plan.matrix("fc2", [rank, neurons]);
    }
    plan.biases({ ffn_gate: neurons, ffn_up: neurons, ffn_down: width });
  }
  if (family.sumNorms) plan.norm("layer_output_norm", width);
  else if (family.postNormNames) plan.wholeNorm(family.postNormNames[1], width);
  else if (family.postNorms) plan.norm("post_ffw_norm", width);
}
