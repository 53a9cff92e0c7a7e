/** Where everything lies in a packed file. Pure arithmetic, the same for who writes and reads. */
import { alignUp } from "../base/check.ts";
import type { GgufFile } from "../gguf/types.ts";
import { tensorBytes } from "../model/dtypes.ts";
import { chunkCount, sumsBytes } from "./checksums.ts";
import { FILE_PAGE_BYTES } from "./format.ts";
import { tableSize } from "./unit_table.ts";
import type { UnitShape } from "./units.ts";

const GGUF_ALIGNMENT_DEFAULT = 32;

export interface LayoutInput {
  /** Bytes of the GGUF header. */
  readonly ggufBytes: number;
  readonly metadata: GgufFile["metadata"];
  /** In the order of the header. */
  readonly tensors: readonly TensorShape[];
  readonly units: readonly UnitShape[];
  readonly hasRates: boolean;
}

interface TensorShape {
  readonly name: string;
  readonly type: string;
  readonly dims: readonly number[];
}

/** Where a unit lies. */
export interface UnitPlace {
  readonly factorsOffsetBytes: number;
  readonly offsetBytes: number;
  /** Where its last bundle ends. */
  readonly endBytes: number;
}

/** Offsets in the file. */
export interface FileLayout {
  /** Where offsets of the GGUF header are counted from. */
  readonly dataOffsetBytes: number;
  /** Of each tensor; those of units have places behind the file's end. */
  readonly tensorOffsets: readonly number[];
  /** Which tensors have bytes of their own, by index. */
  readonly isFixed: readonly boolean[];
  readonly tableOffsetBytes: number;
  readonly tableBytes: number;
  readonly units: readonly UnitPlace[];
  /** Where the checksums begin: they cover all before. */
  readonly sumsOffsetBytes: number;
  readonly fileBytes: number;
}

export function layOutFile(input: LayoutInput): FileLayout {
  const { tensors, units } = input;
  const alignment = Number(input.metadata.get("general.alignment") ?? GGUF_ALIGNMENT_DEFAULT);
  const dataOffsetBytes = FILE_PAGE_BYTES + alignUp(input.ggufBytes, alignment);
  const packed = new Set(units.flatMap(({ gate, up, down }) => {
    return [up.tensor, down.tensor, ...gate === null ? [] : [gate.tensor]];
  }));
  const isFixed = tensors.map(({ name }) => !packed.has(name));
  const tensorOffsets = tensors.map(() => 0);
  let end = dataOffsetBytes;
  const place = (index: number) => {
    tensorOffsets[index] = end;
    const { type, dims } = tensors[index];
    end = dataOffsetBytes + alignUp(end - dataOffsetBytes + tensorBytes(type, dims), alignment);
  };
  tensors.forEach((_, index) => isFixed[index] && place(index));
  const tableOffsetBytes = alignUp(end, FILE_PAGE_BYTES);
  const tableBytes = tableSize(units, input.hasRates);
  end = tableOffsetBytes + tableBytes;
  const places = units.map(({ factorsSizeBytes, neurons, bundleBytes }): UnitPlace => {
    const factorsOffsetBytes = alignUp(end, FILE_PAGE_BYTES);
    const offsetBytes = alignUp(factorsOffsetBytes + factorsSizeBytes, FILE_PAGE_BYTES);
    end = offsetBytes + neurons * bundleBytes;
    return { factorsOffsetBytes, offsetBytes, endBytes: end };
  });
  const sumsOffsetBytes = end;
  const fileBytes = sumsOffsetBytes + sumsBytes(chunkCount(sumsOffsetBytes));
  end = dataOffsetBytes + alignUp(fileBytes - dataOffsetBytes, alignment);
  tensors.forEach((_, index) => isFixed[index] || place(index));
  return {
    ...{ dataOffsetBytes, tensorOffsets, isFixed, tableOffsetBytes, tableBytes },
    ...{ units: places, sumsOffsetBytes, fileBytes },
  };
}
