/** What lies in packed files, back as it was in the file that they were packed from. */
import { assert, assertEquals } from "@std/assert";
import { COLUMN_SCRATCH_BYTES } from "../../src/memory/column_layout.ts";
import { ColumnValues, hasColumnValues } from "../../src/rank/load/column_values.ts";
import { RowUnpacker } from "../../src/rank/load/unpacked_rows.ts";
import {
  blockWeights,
  byColumnsRowBytes,
  canLieByColumns,
  columnQuantBytes,
  isQuantType,
  QUANT_TYPES,
  typeId,
  WEIGHT_TYPES,
  type WeightType,
} from "../../src/rank/plan/weight_types.ts";
import { instantiateKernels, loadKernelModuleSync } from "../../wasm/mod.ts";
import { randomBlocks } from "../kernels/data.ts";
import { Rng } from "../support/rng.ts";

const MODULE = loadKernelModuleSync();

/** A row of a file as it is packed. */
function packed(type: WeightType, row: Uint8Array, columns: number, bytes: number): Uint8Array {
  const [source, target] = [1024, 1 << 17];
  const memory = new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });
  const kernels = instantiateKernels(MODULE, memory);
  const all = new Uint8Array(memory.buffer);
  all.set(row, source);
  if (isQuantType(type)) {
    const blocks = columns / blockWeights(type);
    kernels.repack(typeId(type), source, row.length, target, bytes, 1, blocks, 0);
  } else kernels.repack_float(source, row.length, target, bytes, 1, row.length);
  return all.slice(target, target + bytes);
}

Deno.test("RowUnpacker gives back rows of every type that packing does not compute with", () => {
  const rng = new Rng(5);
  for (const type of WEIGHT_TYPES) {
    // Nine superblocks; rows that end in the middle of a superblock.
    for (const columns of [9 * 256, ...blockWeights(type) <= 32 ? [96] : []]) {
      const unpacker = RowUnpacker.learn(MODULE, type, columns);
      assertEquals(unpacker === null, type.startsWith("NVFP4"), type);
      if (unpacker === null) continue;
      const { fileBytes, packedBytes } = unpacker;
      for (let time = 0; time < 3; time++) {
        const row = Uint8Array.from({ length: fileBytes }, () => rng.int(256));
        const back = new Uint8Array(fileBytes).fill(255);
        unpacker.unpack(packed(type, row, columns, packedBytes), back);
        assertEquals(back, row, `${type}, ${columns} columns`);
      }
      // More rows than are moved together, here and there.
      const files = Array.from(
        { length: 35 },
        () => Uint8Array.from({ length: fileBytes }, () => rng.int(256)),
      );
      const starts = Float64Array.from(files, (_, i) => i * (packedBytes + 3));
      const all = new Uint8Array(starts.at(-1)! + packedBytes);
      files.forEach((file, i) => all.set(packed(type, file, columns, packedBytes), starts[i]));
      const rows = new Uint8Array(files.length * fileBytes).fill(255);
      unpacker.unpackRows(all, starts, rows);
      files.forEach((file, i) => {
        const own = rows.subarray(i * fileBytes, (i + 1) * fileBytes);
        assertEquals(own, file, `${type}, row ${i}`);
      });
    }
  }
});

Deno.test("ColumnValues are the weights of every type that lies by columns", () => {
  const rng = new Rng(6);
  const [rows, columns, chosen] = [128, 512, [0, 1, 15, 16, 31, 32, 255, 256, 400, 511]];
  for (const type of QUANT_TYPES.filter((type) => canLieByColumns(type, rows))) {
    assertEquals(hasColumnValues(type), !type.startsWith("NVFP4"), type);
    if (!hasColumnValues(type)) continue;
    const files = Array.from({ length: rows }, () => randomBlocks(rng, type, columns, "random"));
    const stride = files[0].bytes.length;
    const memory = new WebAssembly.Memory({ initial: 16, maximum: 16, shared: true });
    const bytes = new Uint8Array(memory.buffer);
    const [source, target] = [1 << 15, 1 << 19];
    files.forEach((file, row) => bytes.set(file.bytes, source + row * stride));
    const blocks = columns / blockWeights(type);
    const kernels = instantiateKernels(MODULE, memory);
    assert(COLUMN_SCRATCH_BYTES <= source, "the scratch lies before the rows");
    kernels.repack_columns(typeId(type), source, stride, target, rows, 0, rows, blocks, 0);
    const codeBytes = columnQuantBytes(type, rows);
    const all = byColumnsRowBytes(type, columns) * rows;
    const factors = bytes.subarray(target + columns * codeBytes, target + all);
    const values = new ColumnValues(type, rows, factors);
    const [first, end, stride2] = [64, 128, chosen.length + 1];
    const into = new Float32Array((end - first) * stride2);
    chosen.forEach((column, at) => {
      const codes = bytes.subarray(target + column * codeBytes, target + (column + 1) * codeBytes);
      values.write(codes, column, { first, end, into, stride: stride2, at });
    });
    for (let row = first; row < end; row++) {
      const own = Array.from(into.subarray((row - first) * stride2, (row - first + 1) * stride2));
      const expected = chosen.map((column) => Math.fround(files[row].weights[column]));
      assertEquals(own.slice(0, -1), expected, `${type}, row ${row}`);
    }
  }
});
