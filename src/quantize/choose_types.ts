/**
 * Which type each tensor of a model gets: llama.cpp's rules, so that files of the same name hold
 * the same types. Knows names and shapes; reads no weights.
 */
import { dtypeByName } from "../model/dtypes.ts";
import { WEIGHT_TYPES, type WeightType } from "./encode.ts";

/** A name that stands for several types: more bits for the tensors that need them most. */
export type Mixture = "Q3_K_M" | "Q4_K_M" | "Q5_K_M";

/** What a model may be quantised to: one type for all matrices, or a mixture. */
export type Quant = WeightType | Mixture;

/** All of them. */
export const QUANTS: readonly Quant[] = [...WEIGHT_TYPES, "Q3_K_M", "Q4_K_M", "Q5_K_M"];

/**
 * `general.file_type` of such a file. Types that have no number there share a mixture's; of our own
 * type it is the tensors' number, which ggml does not know either.
 */
export const FILE_TYPES: Readonly<Record<Quant, number>> = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q4_1: 3,
  Q8_0: 7,
  Q5_0: 8,
  Q5_1: 9,
  Q2_K: 10,
  Q3_K: 11,
  Q3_K_M: 12,
  Q4_K: 14,
  Q4_K_M: 15,
  Q5_K: 16,
  Q5_K_M: 17,
  Q6_K: 18,
  IQ4_NL: 25,
  IQ4_XS: 30,
  BF16: 32,
  MXFP4: 38,
  NVFP4: 39,
  E0M4: dtypeByName("E0M4")!.id,
};

/** What a choice depends on, of one tensor. */
export interface TensorShape {
  readonly name: string;
  /** ggml order: columns first. */
  readonly dims: readonly number[];
}

/** The type of a tensor; `wanted` is the one that its shape ruled out, if any. */
export interface ChosenType {
  readonly type: WeightType;
  readonly wanted: WeightType;
}

/**
 * The type of each tensor that is to be stored anew, by name; the others stay as they are.
 * outputType: of what gives logits; left out, as `quant` has it.
 */
export function chooseTypes(
  tensors: readonly TensorShape[],
  quant: Quant,
  { outputType }: { readonly outputType?: WeightType } = {},
): Map<string, ChosenType> {
  const model = modelFacts(tensors);
  const chosen = new Map<string, ChosenType>();
  for (const tensor of tensors) {
    if (!isMatrix(tensor) || isKeptAsItIs(tensor.name)) continue;
    const isOutput = outputType !== undefined && givesLogits(tensor, model);
    const wanted = isOutput ? outputType : wantedType(tensor, quant, model);
    chosen.set(tensor.name, { wanted, type: fittingType(wanted, tensor.dims[0]) });
  }
  return chosen;
}

/** Vectors may have further dimensions of 1. */
function isMatrix({ dims }: TensorShape): boolean {
  return dims.slice(1).some((dimension) => dimension > 1);
}

/**
 * Small tensors that decide much: norms, routers, positions, convolutions, predictors, what mixes
 * streams; and tables of whole numbers.
 */
function isKeptAsItIs(name: string): boolean {
  return !name.endsWith("weight") || name.endsWith("_norm.weight") ||
    /(^|\.)(ffn_gate_inp|position_embd|token_types|ssm_conv1d|shortconv\.conv|attn_rel_b)\.weight$/
      .test(name) ||
    /^blk\.\d+\.(fc[12]|ffn_fc[12]_exps|laurel_.*|time_mix_([wavg]\d|lerp_fused))\.weight$/.test(
      name,
    ) ||
    /\.(ple_conv1d|ple_norm_\w+|indexer\.[qk]_proj|hc_(attn|ffn)_inject)\.weight$/.test(name) ||
    /(_compressor_ape|\.hc_(attn|ffn)_fn|output_hc_fn|ffn_gate_tid2eid)\.weight$/.test(name) ||
    name.includes("altup_") ||
    name.includes("per_layer_model_proj");
}

function wantedType(tensor: TensorShape, quant: Quant, model: ModelFacts): WeightType {
  if (isMixture(quant)) return mixedType(tensor, quant, model);
  // llama.cpp's "MXFP4_MOE": experts alone are worth so few bits.
  if (quant === "MXFP4" && model.expertCount > 1 && !tensor.name.includes("_exps.")) return "Q8_0";
  return quant;
}

function givesLogits({ name }: TensorShape, { isTied }: ModelFacts): boolean {
  return name === (isTied ? "token_embd.weight" : "output.weight");
}

function isMixture(quant: Quant): quant is Mixture {
  return quant.endsWith("_M");
}

/** What mixtures depend on, of the whole model. */
interface ModelFacts {
  readonly blockCount: number;
  /** Blocks that have values of their own, in order. */
  readonly valueBlocks: readonly number[];
  /** 1 without experts. */
  readonly expertCount: number;
  /** True where several heads share keys and values. */
  readonly isGrouped: boolean;
  /** True where the embedding table is also the output projection. */
  readonly isTied: boolean;
}

function modelFacts(tensors: readonly TensorShape[]): ModelFacts {
  const rowsOf = (name: string) => tensors.find((each) => each.name === name)?.dims[1] ?? 0;
  const valueBlocks = tensors.filter(({ name }) => VALUE_LIKE.test(name))
    .map(({ name }) => blockOf(name)).sort((a, b) => a - b);
  const experts = tensors.find(({ name }) => /ffn_(gate|up|down)_exps\.weight$/.test(name));
  return {
    blockCount: 1 + tensors.reduce((last, { name }) => Math.max(last, blockOf(name)), -1),
    valueBlocks,
    expertCount: experts?.dims[2] ?? 1,
    isGrouped: rowsOf("blk.0.attn_k.weight") < rowsOf("blk.0.attn_q.weight"),
    isTied: !tensors.some(({ name }) => name === "output.weight"),
  };
}

const VALUE_LIKE = /\.attn_(v|qkv|kv_b)\.weight$/;
/** The only model of 80 blocks with grouped heads: its values are few and worth more bits. */
const BLOCKS_OF_70B = 80;
/** Mixtral's number of experts, for which attention is worth more bits. */
const EXPERTS_OF_MIXTRAL = 8;

const MAIN_TYPE = { Q3_K_M: "Q3_K", Q4_K_M: "Q4_K", Q5_K_M: "Q5_K" } as const;

function mixedType(tensor: TensorShape, mixture: Mixture, model: ModelFacts): WeightType {
  const { name, dims } = tensor;
  const main = MAIN_TYPE[mixture];
  const isMixtral = model.expertCount === EXPERTS_OF_MIXTRAL;
  if (givesLogits(tensor, model)) {
    return fits("Q6_K", dims[0]) ? "Q6_K" : "Q8_0";
  }
  if (VALUE_LIKE.test(name)) return isMixtral ? "Q8_0" : valueType(name, mixture, model);
  if (name.endsWith(".attn_k.weight") && isMixtral) return "Q8_0";
  if (name.includes("ffn_down")) return downType(name, mixture, model);
  if (name.endsWith(".attn_output.weight")) {
    if (isMixtral) return "Q5_K";
    return mixture === "Q3_K_M" ? "Q4_K" : main;
  }
  return main;
}

function valueType(name: string, mixture: Mixture, model: ModelFacts): WeightType {
  const { valueBlocks, blockCount, isGrouped } = model;
  const order = valueBlocks.indexOf(blockOf(name));
  const is70b = blockCount === BLOCKS_OF_70B && isGrouped;
  if (mixture === "Q3_K_M") return order < 2 || is70b ? "Q5_K" : "Q4_K";
  if (deservesMore(order, valueBlocks.length)) return "Q6_K";
  return is70b ? "Q5_K" : MAIN_TYPE[mixture];
}

function downType(name: string, mixture: Mixture, { blockCount }: ModelFacts): WeightType {
  const block = blockOf(name);
  if (mixture === "Q3_K_M") return block < Math.floor(blockCount / 16) ? "Q5_K" : "Q4_K";
  return deservesMore(block, blockCount) ? "Q6_K" : MAIN_TYPE[mixture];
}

/** The first and the last eighth of the blocks, and every third between. */
function deservesMore(block: number, count: number): boolean {
  const eighth = Math.floor(count / 8);
  return block < eighth || block >= Math.floor(7 * count / 8) || (block - eighth) % 3 === 2;
}

/** N of "blk.N.…"; -1 elsewhere. */
function blockOf(name: string): number {
  return Number(/^blk\.(\d+)\./.exec(name)?.[1] ?? -1);
}

/** What stands in for a type of larger blocks where rows are no multiple of them. */
const SMALLER_BLOCKS: Readonly<Partial<Record<WeightType, WeightType>>> = {
  Q2_K: "Q4_0",
  Q3_K: "Q4_0",
  Q4_K: "Q5_0",
  Q5_K: "Q5_1",
  Q6_K: "Q8_0",
  IQ4_XS: "IQ4_NL",
  NVFP4: "Q4_0",
};

/** `wanted`, or the next best whose blocks divide rows of `columns` weights. */
function fittingType(wanted: WeightType, columns: number): WeightType {
  if (fits(wanted, columns)) return wanted;
  const smaller = SMALLER_BLOCKS[wanted];
  return smaller !== undefined && fits(smaller, columns) ? smaller : "F16";
}

function fits(type: WeightType, columns: number): boolean {
  return columns % dtypeByName(type)!.blockElements === 0;
}
