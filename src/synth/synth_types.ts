/**
 * The types that random weights can be made in: those that floats can be encoded in, and those
 * whose codes a quantiser would have to search for, and nobody here does. Knows names and shapes;
 * makes no weights.
 */
import { check } from "../base/check.ts";
import { dtypeByName } from "../model/dtypes.ts";
import {
  chooseTypes,
  FILE_TYPES,
  isWeightType,
  type Quant,
  QUANTS,
  type TensorShape,
  type WeightType,
} from "../quantize/mod.ts";

/** `general.file_type` of files in types that floats cannot be encoded in here. */
const RANDOM_FILE_TYPES = {
  IQ1_S: 24,
  IQ1_M: 31,
  IQ2_XXS: 19,
  IQ2_XS: 20,
  IQ2_S: 28,
  IQ3_XXS: 23,
  IQ3_S: 26,
  TQ1_0: 36,
  TQ2_0: 37,
  Q1_0: 40,
  Q2_0: 41,
} as const;

/** A type whose weights are made at random only. */
export type RandomType = keyof typeof RANDOM_FILE_TYPES;

/** All of them. */
export const RANDOM_TYPES = Object.keys(RANDOM_FILE_TYPES) as readonly RandomType[];

/** What a tensor of random weights can be stored in. */
export type SynthType = WeightType | RandomType;

/** What a model of random weights can be of: one type for all matrices, or a mixture. */
export type SynthQuant = Quant | RandomType;

/** All of them. */
export const SYNTH_QUANTS: readonly SynthQuant[] = [...QUANTS, ...RANDOM_TYPES];

/** True of types that floats cannot be encoded in. */
export function isRandomType(type: string): type is RandomType {
  return Object.hasOwn(RANDOM_FILE_TYPES, type);
}

/** `general.file_type` of a file of that name. */
export function fileTypeOf(quant: SynthQuant): number {
  return isRandomType(quant) ? RANDOM_FILE_TYPES[quant] : FILE_TYPES[quant];
}

/**
 * The type of each matrix, by name. Rows that blocks of the type do not divide have the nearest
 * type of 32 weights: looked-up codes become IQ4_NL, scaled ones Q4_0.
 */
export function synthTypes(
  tensors: readonly TensorShape[],
  quant: SynthQuant,
): Map<string, SynthType> {
  const smaller = quant.startsWith("IQ") ? "IQ4_NL" : "Q4_0";
  const chosen = chooseTypes(tensors, isRandomType(quant) ? smaller : quant);
  const types = new Map<string, SynthType>();
  for (const { name, dims } of tensors) {
    const choice = chosen.get(name);
    if (choice === undefined) continue;
    const fits = isRandomType(quant) && dims[0] % dtypeByName(quant)!.blockElements === 0;
    types.set(name, fits ? quant : choice.type);
  }
  return types;
}

/** The type of a tensor that floats are encoded in. */
export function encodableType({ name, type }: { name: string; type: SynthType }): WeightType {
  check(isWeightType(type), `weights of ${name} cannot be set in ${type}`);
  return type;
}
