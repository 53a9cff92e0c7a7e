/**
 * A model's header as it is with adapters: the tensors that they change get the type of the sum,
 * and what it is made of; the adapters' files become parts, so that threads can open them. Reads no
 * weights; `merge_rows.ts` adds them up when somebody reads the tensor.
 */
import { UnsupportedModelError } from "../base/errors.ts";
import { getString, type GgufFile, type GgufTensor, type LowRankProduct } from "../gguf/mod.ts";
import { dtypeByName, rowBytes } from "../model/dtypes.ts";
import { DEQUANTIZED_TYPES, refuseCompanion } from "../model/mod.ts";
import { isWeightType } from "../quantize/encode.ts";
import { type Adapter, type AdapterPair, isLookedUp } from "./read_adapter.ts";

/** How an adapter is to be used. */
export interface UsedAdapter {
  readonly adapter: Adapter;
  /** Multiplies what it adds; 1: as it was trained. */
  readonly scale: number;
}

/**
 * The type of sums. "auto": that of the model's tensor where it has floats, else Q8_0, which adds a
 * tenth or less of what rounding to fewer bits has cost already. "same": always that of the tensor.
 */
export type SumType = "auto" | "same" | "F32" | "F16" | "BF16" | "Q8_0";

export const SUM_TYPES: readonly SumType[] = ["auto", "same", "F32", "F16", "BF16", "Q8_0"];

const OUTPUT = "output.weight";
const TABLE = "token_embd.weight";

/**
 * The model with these adapters, in order; their products are added.
 * @throws {UnsupportedModelError} when one is for another architecture, or does not fit.
 */
export function applyAdapters<File extends GgufFile>(
  file: File,
  used: readonly UsedAdapter[],
  type: SumType = "auto",
): File {
  if (used.length === 0) return file;
  refuseCompanion(file);
  const tensors = new Map(file.tensors);
  const parts = [...file.parts];
  const products = new Map<string, LowRankProduct[]>();
  for (const { adapter, scale } of used) {
    checkArchitecture(file, adapter);
    // Nothing is added: what the model's matrices are stored as is not changed for that.
    if (scale === 0) {
      for (const [name, pair] of adapter.pairs) checkFits(name, tensors.get(name), pair);
      continue;
    }
    const firstPart = parts.length;
    const use = `adapter, ${scale} times, as ${type}`;
    parts.push(...adapter.file.parts.map((part) => ({ ...part, use })));
    for (const [name, pair] of adapter.pairs) {
      checkFits(name, tensors.get(name), pair);
      const product = productOf(name, pair, { factor: factorOf(adapter, pair, scale), firstPart });
      products.set(name, [...products.get(name) ?? [], product]);
    }
  }
  // A model's outputs are its own: an adapter of what goes in changes one of the two uses only.
  if (products.has(TABLE) && !tensors.has(OUTPUT) && !seesAll(file)) {
    tensors.set(OUTPUT, { ...tensors.get(TABLE)!, name: OUTPUT });
  }
  for (const [name, added] of products) {
    tensors.set(name, sumOf(tensors.get(name)!, added, type));
  }
  return { ...file, tensors, parts };
}

/** True for encoders, which have no outputs. */
function seesAll({ metadata }: GgufFile): boolean {
  return metadata.get(`${metadata.get("general.architecture")}.attention.causal`) === false;
}

/** @throws {UnsupportedModelError} when it is for models of another kind. */
export function checkArchitecture({ metadata }: GgufFile, { architecture }: Adapter): void {
  const own = getString(metadata, "general.architecture");
  if (own === architecture) return;
  throw refusal(
    `it is for models of architecture ${JSON.stringify(architecture)}, and this one's is ` +
      `${JSON.stringify(own)}: give the model that it was trained on`,
  );
}

/** @throws {UnsupportedModelError} when there is no such tensor, or it has another shape. */
export function checkFits(
  name: string,
  target: GgufTensor | undefined,
  { a, b }: AdapterPair,
): void {
  const rank = b.dims[0];
  if (target === undefined) {
    throw refusal(`the model has no tensor "${name}": give the model that it was trained on`);
  }
  const [columns, rows = 1, experts = 1] = target.dims;
  const isFlipped = isLookedUp(name);
  const [own, other] = isFlipped ? [b.dims[1], a.dims[1]] : [a.dims[0], b.dims[1]];
  const fits = own === columns && other === rows && (a.dims[2] ?? 1) === experts &&
    (b.dims[2] ?? 1) === experts && target.dims.length >= 2 && target.dims.length <= 3;
  if (!fits) {
    throw refusal(
      `what it adds to "${name}" is of [${[own, other, ...a.dims.slice(2)]}], the model's tensor ` +
        `of [${target.dims}]: give the model that it was trained on`,
    );
  }
  // No trainer makes one, and adding it would take as long as whoever made it likes.
  if (rank > Math.max(columns, rows)) {
    throw refusal(`"${name}" has the rank ${rank} in it, more than the tensor has rows or columns`);
  }
  if (DEQUANTIZED_TYPES.includes(target.type)) return;
  throw refusal(`the model's tensor "${name}" has the type ${target.type}, which it cannot change`);
}

/** What the product of a pair is multiplied by, where the adapter counts `scale` times. */
export function factorOf({ alpha }: Adapter, { rank }: AdapterPair, scale: number): number {
  return alpha === 0 ? scale : scale * alpha / rank;
}

function productOf(
  name: string,
  { a, b, rank }: AdapterPair,
  { factor: scale, firstPart }: { readonly factor: number; readonly firstPart: number },
): LowRankProduct {
  const [inA, inB] = [a, b].map((tensor) => ({ ...tensor, part: tensor.part + firstPart }));
  const common = { rank, scale };
  return isLookedUp(name)
    ? { left: inA, right: inB, isRightTransposed: true, ...common }
    : { left: inB, right: inA, isRightTransposed: false, ...common };
}

function sumOf(
  base: GgufTensor,
  products: readonly LowRankProduct[],
  asked: SumType,
): GgufTensor {
  const [columns, ...others] = base.dims;
  const type = typeOf(base, asked);
  const sizeBytes = others.reduce((bytes, count) => bytes * count, rowBytes(type, columns));
  return { ...base, type, sizeBytes, adapted: { base, products } };
}

/** What rows do not fit into blocks of stays as exact. */
function typeOf({ name, type, dims: [columns] }: GgufTensor, asked: SumType): string {
  if (asked === "same") {
    if (isWeightType(type)) return type;
    throw refusal(
      `the model's tensor "${name}" has the type ${type}, which this version does not write: ` +
        "leave out --lora-type same",
    );
  }
  const isFloat = dtypeByName(type)!.blockElements === 1;
  const wanted = asked !== "auto" ? asked : isFloat ? type : "Q8_0";
  return columns % dtypeByName(wanted)!.blockElements === 0 ? wanted : "F32";
}

function refusal(why: string): UnsupportedModelError {
  return new UnsupportedModelError(`Cannot use this adapter: ${why}`);
}
