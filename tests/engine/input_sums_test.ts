/**
 * What ranks sum up of what products read, against the same of the reference, family by family, on
 * small models made from a seed: threads that have rows or columns of a matrix, chunks of a text,
 * several texts.
 */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import { openGguf } from "../../src/gguf/mod.ts";
import { describeForUse, type LoadOptions, planModel } from "../../src/llm/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { PAGE_BYTES } from "../../src/memory/arena.ts";
import { deepTest } from "../support/deep.ts";
import { withModel, withTinyFile } from "../support/loaded_model.ts";
import { Rng } from "../support/rng.ts";
import { TINY_FAMILIES, type TinyFamilyName } from "../support/tiny_families.ts";
import { loadKernelModule } from "../../wasm/mod.ts";

const rng = new Rng(11);
/** No multiples of a step's tokens. */
const TEXTS = [37, 21].map((length) => Array.from({ length }, () => rng.int(512)));
const FAMILIES = Object.keys(TINY_FAMILIES) as TinyFamilyName[];

/** By tensors: sums of squares and counts of their matrices. */
type Sums = ReadonlyMap<string, { readonly squares: Float64Array; readonly counts: Float64Array }>;

const MEASURED: LoadOptions = { measureInputs: true, kvType: "f32", sparse: false };

async function measured(path: string, options: LoadOptions, readsOutput = true): Promise<Sums> {
  const sums = await withModel(path, { ...MEASURED, ...options }, async (model) => {
    for (const ids of TEXTS) await model.measureInputs(ids, { readsOutput });
    return await model.inputSums();
  });
  return new Map(sums.map((each) => [each.name, each]));
}

/** The first rows' of each matrix: the others of a tensor read the same as a rule. */
function expected(path: string): Sums {
  const file = openGguf(path);
  const byRows = new Map<string, Map<number, { squares: Float64Array; count: number }>>();
  const onProduct = (
    { tensor, rowStart, columns }: { tensor: string; rowStart: number; columns: number },
    x: ArrayLike<number>,
  ) => {
    const own = byRows.get(tensor) ?? new Map<number, { squares: Float64Array; count: number }>();
    const sums = own.get(rowStart) ?? { squares: new Float64Array(columns), count: 0 };
    for (let i = 0; i < x.length; i++) sums.squares[i % columns] += x[i] * x[i];
    sums.count += x.length / columns;
    byRows.set(tensor, own.set(rowStart, sums));
  };
  for (const ids of TEXTS) new ReferenceModel(file, { onProduct }).forward(ids);
  return new Map([...byRows].map(([name, own]) => {
    const [columns, rows, ...others] = file.tensors.get(name)!.dims;
    const count = others.reduce((product, dimension) => product * dimension, 1);
    const squares = new Float64Array(columns * count), counts = new Float64Array(count);
    for (const first of [...own.keys()].sort((a, b) => a - b)) {
      const slab = others.length === 0 ? 0 : Math.floor(first / rows);
      if (counts[slab] > 0) continue;
      squares.set(own.get(first)!.squares, slab * columns);
      counts[slab] = own.get(first)!.count;
    }
    return [name, { squares, counts }];
  }));
}

/**
 * What ranks read otherwise: what a norm inside of a block has not divided yet, streams before they
 * are divided by their length, tokens that chose two experts of a group as one, and groups of heads
 * of which `expected` takes the first.
 */
const OTHERWISE: Partial<Record<TinyFamilyName, RegExp>> = {
  "bitnet": /attn_output|ffn_down/,
  "bitnet-b1.58": /attn_output|ffn_down/,
  "minimax-01": /attn_output/,
  "grovemoe": /chexps/,
  ...{ "hy_v4": /hc_/, "hy_v4-chosen": /hc_/, "deepseek4": /hc_|output_a/ },
};
/** What the reference reads is as many times as much for every token. */
const MANY_TIMES = {
  "gemma4-moe": [/ffn_gate_inp/, 64],
  "gemma3n": [/altup_router/, 4096],
} as const;
/** Heads' matrices that the reference does not read latents' parts by, and what F32 alone is. */
const RANKS_ALONE = /attn_(k|v|kv)_b|res_score/;
/** Measured 1e-7 in most; over 26 layers what rounding makes different grows. */
const DIFFERENCE_MAX = 3e-6;
const DIFFERENCE_MAX_DEEP = 1e-4;

/** How much the means of a matrix' columns differ by, of their sum. */
function difference(sums: Sums, exact: Sums, name: string, times = 1): number {
  const own = sums.get(name)!, other = exact.get(name)!;
  const columns = own.squares.length / own.counts.length;
  let [differing, all] = [0, 0];
  own.squares.forEach((sum, i) => {
    const matrix = Math.floor(i / columns);
    const [count, ofOther] = [own.counts[matrix], other.counts[matrix]];
    // The reference makes some products twice, and counts each group's.
    assert(count === ofOther || 2 * count === ofOther, `${name}: ${count}, ${ofOther}`);
    if (count === 0) return assertEquals(sum, 0);
    differing += Math.abs(sum / times / count - other.squares[i] / ofOther);
    all += other.squares[i] / ofOther;
  });
  assert(all > 0, name);
  return differing / all;
}

/** One of each kind; of all others it is the same code. */
const KINDS: readonly TinyFamilyName[] = [
  ...[
    "llama",
    "llama-moe",
    "qwen2moe",
    "phi3",
    "gemma2",
    "gpt-oss",
    "deepseek2-grouped",
    "plm",
  ] as const,
  ...["granitehybrid-moe", "rwkv6", "kimi-linear", "gemma4-moe", "qwen35"] as const,
];

for (const architecture of FAMILIES) {
  const why = KINDS.includes(architecture) ? undefined : "others are of the same kinds";
  deepTest(`ranks sum up what ${architecture}'s products read`, why, async () => {
    await withTinyFile({ architecture, seed: 3 }, async (path) => {
      const most = architecture === "deepseek2" ? DIFFERENCE_MAX_DEEP : DIFFERENCE_MAX;
      const exact = expected(path);
      const alone = await measured(path, { threads: 1, chunkTokens: 5 });
      const names = [...alone.keys()];
      assert(names.length > 5, `${names.length} matrices`);
      assertEquals(names.filter((name) => !exact.has(name) && !RANKS_ALONE.test(name)), []);
      assertEquals([...exact.keys()].filter((name) => !alone.has(name)), []);
      const [pattern, factor] = architecture in MANY_TIMES
        ? MANY_TIMES[architecture as keyof typeof MANY_TIMES]
        : [/^$/, 1];
      for (const name of names.filter((each) => exact.has(each))) {
        if (OTHERWISE[architecture]?.test(name)) continue;
        const times = pattern.test(name) ? factor : 1;
        assertLess(difference(alone, exact, name, times), most, name);
      }
      const three = await measured(path, { threads: 3, chunkTokens: 64 });
      assertEquals([...three.keys()], names);
      for (const name of names) assertLess(difference(three, alone, name), most, name);
    });
  });
}

Deno.test("ranks sum up activations as they are before they are rounded", () =>
  withTinyFile({ type: "Q8_0", seed: 5 }, async (path) => {
    const exact = expected(path);
    const sums = await measured(path, { threads: 2 });
    for (const kind of ["q", "k", "v"]) {
      assertLess(difference(sums, exact, `blk.0.attn_${kind}.weight`), 1e-6);
    }
    // Behind them products are of int8.
    for (const name of sums.keys()) assertLess(difference(sums, exact, name), 0.02, name);
  }));

for (const type of ["F32", "Q8_0"] as const) {
  Deno.test(`sums are of all neurons where a model in ${type} leaves out silent ones`, () =>
    withTinyFile({ architecture: "relu-llama", type, seed: 3 }, async (path) => {
      // The last step of a text has one token: only of such are some left out.
      const options: LoadOptions = { threads: 2, chunkTokens: 4 };
      const all = await measured(path, options);
      const sums = await measured(path, { ...options, sparse: undefined });
      assertEquals(sums, all);
      assert(sums.has("blk.0.ffn_down.weight"));
    }));
}

Deno.test("sums lie in each arena of a model that needs several", () =>
  withTinyFile({ seed: 3 }, async (path) => {
    const options: LoadOptions = { ...MEASURED, threads: 2, contextLength: 64, chunkTokens: 16 };
    const all = await measured(path, options);
    const file = openGguf(path), model = describeForUse(file, options);
    const module = await loadKernelModule();
    const arenasOf = (more: LoadOptions) =>
      planModel({ file, model }, module, { ...options, ...more })[0].arenas;
    const arenaBytesMax = 0.7 * PAGE_BYTES * arenasOf({})[0].pageCount;
    assert(arenasOf({ arenaBytesMax }).length > 1);
    assertEquals(await measured(path, { ...options, arenaBytesMax }), all);
  }));

Deno.test("what the output reads is summed up where it is asked for, and nothing where it is not", () =>
  withTinyFile({}, async (path) => {
    const without = await measured(path, { threads: 2 }, false);
    const sums = await measured(path, { threads: 2 });
    assertEquals([...sums.keys()].filter((name) => !without.has(name)), ["output.weight"]);
    assertEquals([...sums.get("output.weight")!.counts], [58]);
    const plain = await measured(path, { threads: 2, measureInputs: false });
    assertEquals(plain.size, 0);
  }));

Deno.test("measureInputs() ends when it is told to, and measures on after it", () =>
  withTinyFile({}, (path) =>
    withModel(path, { ...MEASURED, threads: 2 }, async (model) => {
      const signal = AbortSignal.abort(new Error("enough"));
      const measuring = model.measureInputs(TEXTS[0], { readsOutput: false, signal });
      await assertRejects(() => measuring, Error, "enough");
      await model.measureInputs(TEXTS[1], { readsOutput: false });
      const [{ counts }] = await model.inputSums();
      assertEquals([...counts], [TEXTS[1].length]);
      await assertRejects(() => model.measureInputs([], { readsOutput: false }), Error, "empty");
    })));
