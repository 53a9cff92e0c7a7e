import { assert, assertEquals, assertThrows } from "@std/assert";
import { applyAdapters, readAdapter, RowMerger, type SumType } from "../../src/adapter/mod.ts";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { type GgufFile, parseGguf, TensorReader } from "../../src/gguf/mod.ts";
import { dequantize } from "../../src/model/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { ADAPTER_LOGITS, ADAPTER_SCALE } from "../golden/tiny_adapters.ts";
import { nmse } from "../support/compare.ts";
import { addedSlowly, tinyAdapter, type TinyAdapterOptions } from "../support/tiny_adapter.ts";
import { TINY_PROMPT, tinyModel, type TinyModelOptions } from "../support/tiny_model.ts";

const UP = "blk.0.ffn_up.weight";

/** A model's bytes and an adapter's, as one file, with a reader of it. */
function open(
  model: Uint8Array<ArrayBuffer>,
  adapters: readonly Uint8Array<ArrayBuffer>[],
  { scale = 1, type }: { readonly scale?: number; readonly type?: SumType } = {},
): { file: GgufFile; reader: TensorReader } {
  const used = adapters.map((bytes) => ({ adapter: readAdapter(parseGguf(bytes)), scale }));
  const file = applyAdapters(parseGguf(model), used, type);
  return { file, reader: TensorReader.ofAll([model, ...adapters], new RowMerger()) };
}

function pair(model: TinyModelOptions, adapter: TinyAdapterOptions) {
  const bytes = tinyModel(model);
  return { model: bytes, adapter: tinyAdapter(bytes, adapter) };
}

/** The tensor as numbers. */
function floats({ file, reader }: ReturnType<typeof open>, name: string): Float32Array {
  const tensor = file.tensors.get(name)!;
  return dequantize(tensor.type, reader.readAll(tensor));
}

function slowly(bytes: Uint8Array<ArrayBuffer>, name: string): Float32Array {
  const { tensors } = parseGguf(bytes);
  return dequantize("F32", TensorReader.ofBytes(bytes).readAll(tensors.get(name)!));
}

for (const { architecture, targets, best } of ADAPTER_LOGITS) {
  Deno.test(`what adapters add is what llama.cpp computes beside ${architecture}'s`, () => {
    const { model, adapter } = pair({ architecture, seed: 36 }, { targets });
    const merged = addedSlowly(model, adapter, ADAPTER_SCALE * 8 / 4);
    const slow = new ReferenceModel(parseGguf(merged), { reader: TensorReader.ofBytes(merged) });
    const { file, reader } = open(model, [adapter], { scale: ADAPTER_SCALE });
    const logits = new ReferenceModel(file, { reader }).forward(TINY_PROMPT);
    assert(nmse(logits, slow.forward(TINY_PROMPT)) < 1e-12);
    [11, 47].forEach((position, i) => {
      for (const [id, logit] of best[i]) {
        const own = logits[position * 512 + id];
        assert(Math.abs(own - logit) < 2e-4, `${position}, ${id}: ${own}, not ${logit}`);
      }
    });
  });
}

Deno.test("RowMerger adds products of any rank, and of several adapters", () => {
  for (const rank of [1, 8, 11, 16]) {
    const { model, adapter } = pair({}, { rank, alpha: rank, targets: /ffn_up/ });
    const other = tinyAdapter(model, { rank: 2, alpha: 2, seed: 9, targets: /ffn_up/ });
    const both = addedSlowly(addedSlowly(model, adapter, 0.5), other, 0.5);
    const own = floats(open(model, [adapter, other], { scale: 0.5 }), UP);
    assert(nmse(own, slowly(both, UP)) < 1e-13, `rank ${rank}`);
  }
});

Deno.test("RowMerger rounds sums once, to the type that they are stored as", () => {
  const bounds = { F16: 1e-7, BF16: 1e-5, Q8_0: 1e-4 } as const;
  for (const type of ["Q4_0", "F16"] as const) {
    const { model, adapter } = pair({ type }, { targets: /ffn_up/ });
    const exact = slowly(addedSlowly(model, adapter, 2), UP);
    assert(nmse(floats(open(model, [adapter], { type: "F32" }), UP), exact) < 1e-13);
    for (const [sum, bound] of Object.entries(bounds)) {
      const error = nmse(floats(open(model, [adapter], { type: sum as SumType }), UP), exact);
      assert(error > 0 && error < bound, `${type} to ${sum}: ${error}`);
    }
  }
});

Deno.test("RowMerger gives any range of bytes as it gives the whole", () => {
  const { model, adapter } = pair({ type: "Q4_0" }, { targets: /ffn_up/ });
  const { file, reader: atOnce } = open(model, [adapter]);
  const tensor = file.tensors.get(UP)!;
  const whole = atOnce.readAll(tensor);
  // Two rows at a time.
  const reader = TensorReader.ofAll([model, adapter], new RowMerger(130));
  assertEquals(reader.readAll(tensor), whole);
  for (const [start, end] of [[0, 1], [67, 69], [68, 68 * 3], [100, 3000], [6527, 6528]]) {
    const part = new Uint8Array(new SharedArrayBuffer(end - start));
    reader.read(tensor, start, part);
    assertEquals(part.slice(), whole.slice(start, end));
  }
});

Deno.test("RowMerger refuses numbers that are none, and sums that a type does not hold", () => {
  const spoiling = (value: number): TinyAdapterOptions => ({
    targets: /ffn_up/,
    change: (tensor) => ({ ...tensor, values: tensor.values.with(7, value) }),
  });
  const broken = pair({}, spoiling(NaN));
  assertThrows(
    () => floats(open(broken.model, [broken.adapter]), UP),
    ModelFormatError,
    "number 7 is NaN",
  );
  const large = pair({}, spoiling(1e7));
  assertThrows(
    () => floats(open(large.model, [large.adapter], { type: "F16" }), UP),
    UnsupportedModelError,
    "which F16 does not hold",
  );
  floats(open(large.model, [large.adapter]), UP);
});

Deno.test("TensorReader.read() gives nothing of a sum to who does not know adapters", () => {
  const { model, adapter } = pair({}, { targets: /ffn_up/ });
  const { file } = open(model, [adapter]);
  const reader = TensorReader.ofBytes(model);
  assertThrows(() => reader.readAll(file.tensors.get(UP)!), Error, "by who knows adapters");
});
