/**
 * What a file's header tells about a model of any kind, also one that cannot be run here. Trusts
 * nothing but the header; knows nothing of families.
 */
import { elementCount } from "../model/dtypes.ts";
import type { GgufFile, GgufTensor } from "./types.ts";

/** A summary in the words of the command line's JSON. */
export interface GgufSummary {
  /** `general.architecture`; "unknown" where the file does not say. */
  readonly arch: string;
  /** Elements of all tensors. */
  readonly parameters: number;
  /** The mixture's name ("Q4_K_M") or the type of most weights ("Q4_0"); "none" without tensors. */
  readonly quant: string;
  /** Trained context in tokens; null where the file does not say. */
  readonly context: number | null;
  /** Blocks; null where the file does not say. */
  readonly layers: number | null;
  /** True for PowerInfer's files and others that carry predictors of active neurons. */
  readonly sparse: boolean;
  /** All parts together. */
  readonly file_bytes: number;
  /** How many tensors have each type. */
  readonly tensor_types: Readonly<Record<string, number>>;
}

/** Summarises a header. Never throws: keys that are missing or of a wrong type count as unsaid. */
export function describeGguf(file: GgufFile): GgufSummary {
  // Directions of control vectors are no tensors of the model.
  const tensors = [...file.tensors.values()].filter(({ summed }) => summed === undefined);
  const architecture = file.metadata.get("general.architecture");
  const arch = typeof architecture === "string" ? architecture : "unknown";
  return {
    arch,
    parameters: tensors.reduce((sum, tensor) => sum + elementCount(tensor.dims), 0),
    quant: quantName(file, tensors),
    context: numberOrNull(file, `${arch}.context_length`),
    layers: numberOrNull(file, `${arch}.block_count`),
    sparse: file.magic === "PWRI" || tensors.some(isPredictor),
    file_bytes: file.parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    tensor_types: countTypes(tensors),
  };
}

function numberOrNull(file: GgufFile, key: string): number | null {
  const value = file.metadata.get(key);
  return typeof value === "number" ? value : null;
}

/** Two matrices per block: PowerInfer's names, and those of experts'. */
function isPredictor({ name }: GgufTensor): boolean {
  return /^blk\.\d+\.(fc[12]|ffn_fc[12]_exps)\.weight$/.test(name);
}

function countTypes(tensors: readonly GgufTensor[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { type: own, ternary } of tensors) {
    const type = ternary?.type ?? own;
    counts[type] = (counts[type] ?? 0) + 1;
  }
  return counts;
}

/**
 * `general.file_type` names mixtures, but converters get it wrong: it is believed only when it
 * names a mixture of the kind that most weights have.
 */
function quantName(file: GgufFile, tensors: readonly GgufTensor[]): string {
  const main = mainType(tensors);
  const mixture = MIXTURES.get(numberOrNull(file, "general.file_type") ?? -1);
  return mixture && kindOf(mixture) === kindOf(main) ? mixture : main;
}

/** "Q4" of "Q4_K_M". */
function kindOf(name: string): string {
  return name.split("_")[0];
}

/** The type that most weights have. */
function mainType(tensors: readonly GgufTensor[]): string {
  const weights = new Map<string, number>();
  for (const { type: own, scaled, ternary, dims } of tensors) {
    const type = (scaled?.base ?? ternary)?.type ?? own;
    weights.set(type, (weights.get(type) ?? 0) + elementCount(dims));
  }
  const [first] = [...weights].sort((a, b) => b[1] - a[1]);
  return first?.[0] ?? "none";
}

/** The values of `general.file_type` that name mixtures; the others are names of types. */
const MIXTURES: ReadonlyMap<number, string> = new Map([
  [11, "Q3_K_S"],
  [12, "Q3_K_M"],
  [13, "Q3_K_L"],
  [14, "Q4_K_S"],
  [15, "Q4_K_M"],
  [16, "Q5_K_S"],
  [17, "Q5_K_M"],
  [21, "Q2_K_S"],
  [22, "IQ3_XS"],
  [27, "IQ3_M"],
  [29, "IQ2_M"],
  [38, "MXFP4_MOE"],
]);
