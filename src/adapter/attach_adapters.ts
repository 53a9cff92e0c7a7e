/**
 * A model's header as it is with adapters beside its weights: the tensors that they change say what
 * is added to their products, for those who ask for it; their own types stay. Reads no weights.
 */
import type { AddedProduct, GgufFile, GgufTensor } from "../gguf/mod.ts";
import { dtypeByName, rowBytes } from "../model/dtypes.ts";
import { checkArchitecture, checkFits, factorOf } from "./apply_adapters.ts";
import type { Adapter } from "./read_adapter.ts";

/** An adapter that is attached, and what it is called. */
export interface AttachedAdapter {
  readonly id: string;
  readonly adapter: Adapter;
}

/**
 * The model with these adapters beside it, numbered in their order. How much of one counts is said
 * as tokens are computed.
 * @throws {UnsupportedModelError} when one is for another architecture, or does not fit.
 */
export function attachAdapters<File extends GgufFile>(
  file: File,
  attached: readonly AttachedAdapter[],
): File {
  if (attached.length === 0) return file;
  const parts = [...file.parts];
  const added = new Map<string, AddedProduct[]>();
  attached.forEach(({ id, adapter }, number) => {
    checkArchitecture(file, adapter);
    const firstPart = parts.length;
    parts.push(...adapter.file.parts.map((part) => ({ ...part, isBeside: true })));
    for (const [name, pair] of adapter.pairs) {
      checkFits(name, file.tensors.get(name), pair);
      const [right, left] = [pair.a, pair.b].map((half) => asFloats(half, { id, firstPart }));
      const product = {
        ...{ adapter: number, left, right, isRightTransposed: false },
        ...{ rank: pair.rank, scale: factorOf(adapter, pair, 1) },
      };
      added.set(name, [...added.get(name) ?? [], product]);
    }
  });
  const tensors = new Map([...file.tensors].map(([name, tensor]) => {
    const own = added.get(name);
    return [name, own === undefined ? tensor : { ...tensor, added: own }];
  }));
  return { ...file, tensors, parts };
}

/** By a name that no other adapter has, of floats, each of which is checked when it is read. */
function asFloats(
  half: GgufTensor,
  { id, firstPart }: { readonly id: string; readonly firstPart: number },
): GgufTensor {
  const base = { ...half, part: half.part + firstPart };
  const type = dtypeByName(half.type)!.blockElements === 1 ? half.type : "F32";
  const [columns, ...others] = half.dims;
  const sizeBytes = others.reduce((bytes, count) => bytes * count, rowBytes(type, columns));
  return { ...base, name: `${id}/${half.name}`, type, sizeBytes, adapted: { base, products: [] } };
}
