import "../support/thread_pool.ts";
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { openForUse } from "../../src/llm/mod.ts";
import {
  encodeGguf,
  fingerprint,
  parseGguf,
  storedMetadata,
  TensorReader,
} from "../../src/gguf/mod.ts";
import { UnsupportedModelError } from "../../src/base/errors.ts";
import type { LoadOptions } from "../../src/llm/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { nmse } from "../support/compare.ts";
import { allLogits, withModel } from "../support/loaded_model.ts";
import {
  addedSlowly,
  tinyAdapter,
  type TinyAdapterOptions,
  type TinyTensor,
} from "../support/tiny_adapter.ts";
import { TINY_PROMPT, tinyModel, type TinyModelOptions } from "../support/tiny_model.ts";

const IDS = TINY_PROMPT.slice(0, 24);

interface Files {
  readonly model: string;
  readonly lora: string;
  readonly bytes: readonly [model: Uint8Array<ArrayBuffer>, adapter: Uint8Array<ArrayBuffer>];
}

/** A tiny model and an adapter of it, in files for as long as `use` runs. */
async function withFiles(
  options: TinyModelOptions,
  adapter: TinyAdapterOptions,
  use: (files: Files) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const files = { model: `${folder}/tiny.gguf`, lora: `${folder}/lora.gguf` };
    const model = tinyModel({ seed: 36, ...options });
    const bytes = [model, tinyAdapter(model, adapter)] as const;
    await Deno.writeFile(files.model, bytes[0]);
    await Deno.writeFile(files.lora, bytes[1]);
    await use({ ...files, bytes });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function slowLogits(bytes: Uint8Array<ArrayBuffer>): Float32Array {
  const reader = TensorReader.ofBytes(bytes);
  return new ReferenceModel(parseGguf(bytes), { reader }).forward(IDS);
}

const CASES: readonly [TinyModelOptions, TinyAdapterOptions, LoadOptions, bound: number][] = [
  [{ tied: true }, { targets: /(embd|attn_.|ffn_(up|down|gate))\.weight$/ }, {}, 1e-9],
  [{ type: "F16" }, {}, {}, 1e-6],
  [{ type: "F16" }, {}, { adapterType: "F32" }, 1e-9],
  // As far as activations that are rounded for quantised matrices alone are: 3e-4.
  [{ type: "Q4_0" }, {}, {}, 1e-3],
  [{ architecture: "llama-moe", type: "Q4_0" }, { targets: /ffn_up_exps/ }, {}, 1e-3],
];
for (const [options, adapter, load, bound] of CASES) {
  const what = `${options.architecture ?? "llama"}, ${options.type ?? "F32"}`;
  Deno.test(`loadModel() says what adapters make of it: ${what}, ${adapter.targets ?? ""}`, () =>
    withFiles(options, adapter, async ({ model: path, lora, bytes: [model, added] }) => {
      // A table that is the outputs, too, is changed where tokens go in only.
      const slow = options.tied
        ? addedSlowly(untied(model), added, -0.5 * 8 / 4)
        : addedSlowly(model, added, -0.5 * 8 / 4);
      const adapters = [{ path: lora, scale: -0.5 }];
      await withModel(path, { threads: 2, ...load, adapters }, async (loaded) => {
        const error = nmse(await allLogits(loaded, IDS), slowLogits(slow));
        assert(error < bound, `NMSE ${error}`);
      });
    }));
}

/** The same weights, the outputs' in a tensor of their own. */
function untied(model: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const file = parseGguf(model);
  const reader = TensorReader.ofBytes(model);
  const table = file.tensors.get("token_embd.weight")!;
  const all = [...file.tensors.values(), { ...table, name: "output.weight" }];
  return encodeGguf({
    metadata: storedMetadata(file),
    tensors: all.map((tensor) => ({ ...tensor, pieces: () => [reader.readAll(tensor)] })),
  });
}

Deno.test("a model with other adapters, or more of one, is another model to what is kept", () =>
  withFiles({}, {}, ({ model, lora }) => {
    const prints = [
      {},
      { adapters: [{ path: lora }] },
      { adapters: [{ path: lora, scale: 0.5 }] },
      { adapters: [{ path: lora }], adapterType: "F16" as const },
      { adapters: [{ path: lora }, { path: lora }] },
    ].map((options) => fingerprint(openForUse(model, options).file.parts));
    assertEquals(new Set(prints).size, prints.length);
    const again = openForUse(model, { adapters: [{ path: lora, scale: 1 }] });
    assertEquals(fingerprint(again.file.parts), prints[1]);
    return Promise.resolve();
  }));

Deno.test("openForUse() refuses scales that are no numbers, and adapters of adapters", () =>
  withFiles({}, {}, ({ model, lora }) => {
    const load = (path: string, scale: number) => () =>
      openForUse(path, { adapters: [{ path: lora, scale }] });
    assertThrows(load(model, NaN), RangeError, "NaN times");
    assertThrows(load(lora, 1), UnsupportedModelError, "it is an adapter");
    return Promise.resolve();
  }));

Deno.test("openForUse() tells of norms that are not used", () => {
  const change = (tensor: TinyTensor) =>
    tensor.name === "blk.0.attn_q.weight.lora_a"
      ? { ...tensor, name: "blk.0.attn_norm.weight" }
      : tensor.name === "blk.0.attn_q.weight.lora_b"
      ? null
      : tensor;
  return withFiles({}, { change }, ({ model, lora }) => {
    const said: string[] = [];
    openForUse(model, { adapters: [{ path: lora }], onNotice: ({ text }) => said.push(text) });
    assertEquals(said.length, 1);
    assertStringIncludes(said[0], '1 norms of the adapter "lora.gguf" are not used');
    return Promise.resolve();
  });
});
