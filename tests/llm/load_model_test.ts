/** Whole models, made from a seed: the engine against the reference, and against itself. */
import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { ModelFormatError, RequestError } from "../../src/base/errors.ts";
import { parseGguf, TensorReader } from "../../src/gguf/mod.ts";
import { loadModel, type LoadOptions } from "../../src/llm/mod.ts";
import type { Quant } from "../../src/quantize/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { argmax } from "../../src/reference/ops.ts";
import { lastRow, nmse } from "../support/compare.ts";
import { allLogits, greedyIds, withModel, withTinyFile } from "../support/loaded_model.ts";
import { Rng } from "../support/rng.ts";
import { tinyModel, type TinyModelOptions } from "../support/tiny_model.ts";
import "../support/thread_pool.ts";

/** Tolerances: f32 sums; f16 keys and values; int8 activations. */
const NMSE_MAX: Readonly<Partial<Record<Quant, number>>> = {
  F32: 1e-9,
  F16: 4e-6,
  BF16: 4e-6,
  Q8_0: 2e-3,
  Q4_0: 2e-3,
};

const MODELS: { name: string; options: TinyModelOptions }[] = [
  { name: "llama F32", options: { type: "F32" } },
  { name: "llama F16", options: { type: "F16" } },
  { name: "llama BF16", options: { type: "BF16" } },
  { name: "llama Q8_0", options: { type: "Q8_0" } },
  { name: "llama Q4_0, tied", options: { type: "Q4_0", tied: true } },
  { name: "llama, heads of 8, 172 neurons", options: { headCount: 8, feedForwardLength: 172 } },
  { name: "llama, window of 5", options: { slidingWindow: 5 } },
  { name: "llama, one key head", options: { headCountKv: 1, type: "Q8_0" } },
  { name: "llama, YaRN", options: { ropeScaling: yarn() } },
  { name: "llama, linear scaling", options: { ropeScaling: { ...yarn(), type: "linear" } } },
  { name: "llama, rope factors", options: { ropeFactors: true } },
  { name: "qwen2 F16", options: { architecture: "qwen2", type: "F16" } },
  { name: "qwen2 Q4_0, tied", options: { architecture: "qwen2", type: "Q4_0", tied: true } },
];

for (const [index, { name, options }] of MODELS.entries()) {
  Deno.test(`LoadedModel.logits() of ${name} agree with the reference`, async () => {
    const bytes = tinyModel(options);
    const ids = randomIds(40, 512);
    const reference = new ReferenceModel(parseGguf(bytes), { reader: TensorReader.ofBytes(bytes) });
    const exact = reference.forward(ids);
    await withTinyFile(options, async (path) => {
      for (const threads of index % 2 === 0 ? [1, 3] : [3]) {
        await withModel(path, { threads }, async (model) => {
          const error = nmse(await allLogits(model, ids), exact);
          assertLess(
            error,
            NMSE_MAX[(options.type ?? "F32") as keyof typeof NMSE_MAX] ?? 0,
            `${threads} threads`,
          );
        });
      }
    });
  });
}

Deno.test("generate() gives the same ids with 1 to 5 threads, small chunks and many arenas", async () => {
  // Arenas so small that each layer needs its own; five threads leave ranks without heads.
  const variants: LoadOptions[] = [
    { threads: 1 },
    { threads: 2 },
    { threads: 3, chunkTokens: 7 },
    { threads: 5, chunkTokens: 1 },
    { threads: 1, chunkTokens: 16, contextLength: 100, arenaBytesMax: 560_000 },
    { threads: 2, chunkTokens: 16, contextLength: 100, arenaBytesMax: 480_000 },
  ];
  const ids = randomIds(50, 512);
  for (const tied of [false, true]) {
    await withTinyFile({ blockCount: 3, tied }, async (path) => {
      let expected: number[] | null = null;
      for (const variant of variants) {
        await withModel(path, variant, async (model) => {
          if (variant.arenaBytesMax) assert(model.arenaCount > 1, "the model spans arenas");
          const found = await greedyIds(model, ids, 20);
          expected ??= found;
          assertEquals(found, expected, JSON.stringify({ ...variant, tied }));
        });
      }
    });
  }
});

Deno.test("generate() gives the same ids with and without a cached prefix", async () => {
  await withTinyFile({ type: "Q8_0" }, async (path) => {
    await withModel(path, { threads: 2, chunkTokens: 8 }, async (model) => {
      const ids = randomIds(70, 512);
      const other = [...ids.slice(0, 50), ...randomIds(29, 512, 5)];
      const sampling = { temperature: 0 };
      const ask = (prompt: number[]) =>
        model.generate({ ids: prompt, maxTokens: 32, sampling, ignoreEnd: true }).result;
      const cold = await ask(ids);
      assertEquals(cold.timings.cachedTokens, 0);
      const branch = await ask(other);
      assertEquals(branch.timings.cachedTokens, 50);
      const warm = await ask(ids);
      assertEquals(warm.timings.cachedTokens, 69);
      assertEquals(warm.ids, cold.ids);
      // What was generated is in the cache, too.
      const longer = await ask([...ids, ...cold.ids.slice(0, 28)]);
      assertEquals(longer.timings.cachedTokens, 97);
      assertEquals(longer.ids.slice(0, 4), cold.ids.slice(28));
    });
  });
});

Deno.test("generate() repeats its ids for a seed, and ends as asked", async () => {
  await withTinyFile({}, async (path) => {
    await withModel(path, { threads: 2 }, async (model) => {
      const ids = randomIds(10, 512);
      const sampling = { temperature: 1.5, topK: 0, topP: 1, minP: 0, seed: 7 };
      const ask = (seed: number, maxTokens: number) =>
        model.generate({ ids, maxTokens, sampling: { ...sampling, seed }, ignoreEnd: true }).result;
      const first = await ask(7, 30);
      assertEquals(first.finishReason, "length");
      assertEquals(first.ids.length, 30);
      assertEquals((await ask(7, 30)).ids, first.ids);
      assert((await ask(8, 30)).ids.join() !== first.ids.join());
      assertEquals((await ask(7, 0)).ids, []);
      const full = await model.generate({ ids, ignoreEnd: true, sampling }).result;
      assertEquals(full.ids.length, model.contextLength - ids.length);
    });
  });
});

Deno.test("generate() stops before a stop string and streams what result holds", async () => {
  await withTinyFile({}, async (path) => {
    await withModel(path, { threads: 2 }, async (model) => {
      const request = { ids: randomIds(10, 512), maxTokens: 60, sampling: { temperature: 0 } };
      const whole = await model.generate({ ...request, ignoreEnd: true }).result;
      const stop = whole.text.slice(20, 23);
      const generation = model.generate({ ...request, ignoreEnd: true, stop: [stop] });
      let streamed = "";
      for await (const chunk of generation) streamed += chunk.text;
      const result = await generation.result;
      assertEquals(result.finishReason, "stop");
      assertEquals(streamed, result.text);
      assertEquals(result.text, whole.text.slice(0, whole.text.indexOf(stop)));
    });
  });
});

Deno.test("generate() ends soon after an abort, in the prompt and in the answer", async () => {
  await withTinyFile({ contextLength: 4000 }, async (path) => {
    await withModel(path, { threads: 2 }, async (model) => {
      const before = await greedyIds(model, randomIds(9, 512), 5);
      const inPrompt = new AbortController();
      const long = model.generate({ ids: randomIds(3900, 512), signal: inPrompt.signal });
      setTimeout(() => inPrompt.abort(), 5);
      const first = await long.result;
      assertEquals([first.finishReason, first.ids.length], ["cancelled", 0]);
      const inAnswer = new AbortController();
      const generation = model.generate({
        ids: randomIds(9, 512),
        ignoreEnd: true,
        signal: inAnswer.signal,
      });
      let seen = 0;
      for await (const chunk of generation) {
        seen += chunk.ids.length;
        if (seen > 3) inAnswer.abort();
      }
      const second = await generation.result;
      assertEquals(second.finishReason, "cancelled");
      assertLess(second.ids.length, 2000);
      // What was left behind in the cache is not used.
      assertEquals(await greedyIds(model, randomIds(9, 512), 5), before);
    });
  });
});

Deno.test("encodePrompt() and its like refuse what cannot fit before they count tokens", () =>
  withTinyFile({}, (path) =>
    withModel(path, { threads: 1, contextLength: 64 }, (model) => {
      const text = "a".repeat(100_000);
      const messages = [{ role: "user", content: text }];
      const ways = [
        () => model.encodePrompt(text, { mustFit: true }),
        () => model.encodeChat(messages, { mustFit: true }),
        () => model.encodeText(text, { mustFit: true }),
      ];
      for (const encode of ways) {
        const error = assertThrows(encode, RequestError, "at least");
        assertEquals([error.status, error.code], [400, "context_length_exceeded"]);
      }
      // Who only counts may, and what might fit is for its tokens to say.
      assert(model.encodePrompt(text).length > 64);
      assert(model.encodeText(text).length > 64);
      const ids = model.encodePrompt("b".repeat(63), { mustFit: true });
      assertEquals(ids, model.encodePrompt("b".repeat(63)));
      return Promise.resolve();
    })));

Deno.test("generate() refuses at once what cannot be served, and queues the rest in order", async () => {
  await withTinyFile({}, async (path) => {
    await withModel(path, { threads: 1, maxWaiting: 1, contextLength: 64 }, async (model) => {
      const refuse = (ids: number[], code: string) => {
        const error = assertThrows(() => model.generate({ ids }), RequestError);
        assertEquals([error.status, error.code], [400, code]);
      };
      refuse([], "empty_prompt");
      refuse(randomIds(64, 512), "context_length_exceeded");
      refuse([1, 512], "invalid_token_id");
      refuse([1, -1], "invalid_token_id");
      const request = { ids: [1, 2, 3], maxTokens: 20, ignoreEnd: true };
      const running = model.generate(request);
      const waiting = model.generate(request);
      const error = assertThrows(() => model.generate(request), RequestError);
      assertEquals([error.status, error.code], [503, "queue_full"]);
      assertEquals(model.load, { running: 1, waiting: 1 });
      assertEquals((await running.result).ids.length, 20);
      assertEquals((await waiting.result).ids.length, 20);
      assertEquals(model.load, { running: 0, waiting: 0 });
    });
  });
});

// fault 23: cut while it loads.
Deno.test("loadModel() reports a file that is cut while it loads, and leaves no thread behind", async () => {
  await withTinyFile({}, async (path) => {
    const { size } = await Deno.stat(path);
    await Deno.truncate(path, size - 1000);
    await assertRejects(() => loadModel(path, { threads: 3 }), ModelFormatError);
  });
});

Deno.test("loadModel() tells its progress up to the whole", async () => {
  await withTinyFile({ type: "Q4_0" }, async (path) => {
    const seen: number[] = [];
    let totalBytes = 0;
    const onProgress = (progress: { loadedBytes: number; totalBytes: number }) => {
      seen.push(progress.loadedBytes);
      totalBytes = progress.totalBytes;
    };
    await withModel(path, { threads: 3, onProgress }, async () => {});
    assertEquals(seen.toSorted((a, b) => a - b), seen);
    assertEquals(seen.at(-1), totalBytes);
  });
});

Deno.test("LoadedModel.logits() of layers of different types agree with the reference", async () => {
  for (const halfLayer of [0, 1]) {
    const typeOf = (name: string) =>
      name.startsWith(`blk.${halfLayer}.`) && /attn_output|ffn_down/.test(name) ? "F16" : undefined;
    const options: TinyModelOptions = { type: "Q8_0", typeOf };
    const ids = randomIds(20, 512);
    const exact = referenceLogits(options, ids);
    await withTinyFile(options, async (path) => {
      for (const threads of [1, 2, 3]) {
        await withModel(path, { threads }, async (model) => {
          const error = nmse(await allLogits(model, ids), exact);
          assertLess(error, NMSE_MAX.Q8_0, `${threads} threads, halves in layer ${halfLayer}`);
        });
      }
    });
  }
});

Deno.test("generate() gives the same ids where addresses are beyond 2^31", async () => {
  const ids = randomIds(30, 512);
  await withTinyFile({ type: "Q8_0" }, async (path) => {
    let expected: number[] = [];
    await withModel(path, { threads: 1, contextLength: 100 }, async (model) => {
      expected = await greedyIds(model, ids, 20);
    });
    // Layer 1 begins at 1.7 GiB and its values at 2.5; 50 positions of the 14 million are touched.
    await withModel(path, { threads: 1, contextLength: 14_000_000 }, async (model) => {
      assertEquals(model.arenaCount, 1);
      assertGreater(model.memory.kvBytes, 3 * 2 ** 30);
      assertEquals(await greedyIds(model, ids, 20), expected);
    });
  });
});

Deno.test("generate() of a quantised model gives the same ids over several arenas", async () => {
  const ids = randomIds(30, 512);
  for (const type of ["Q8_0", "Q4_0"] as const) {
    for (const tied of [false, true]) {
      await withTinyFile({ type, tied, blockCount: 3 }, async (path) => {
        const options: LoadOptions = { threads: 2, chunkTokens: 16, contextLength: 100 };
        let expected: number[] = [];
        await withModel(path, options, async (model) => {
          assertEquals(model.arenaCount, 1);
          expected = await greedyIds(model, ids, 20);
        });
        const arenaBytesMax = SMALL_ARENA_BYTES[type];
        await withModel(path, { ...options, arenaBytesMax }, async (model) => {
          assertGreater(model.arenaCount, 1);
          assertEquals(await greedyIds(model, ids, 20), expected);
        });
      });
    }
  }
});

Deno.test("generate() after a prompt that leaves room for one id gives exactly one", async () => {
  const ids = randomIds(63, 512);
  const best = argmaxOfLast(referenceLogits({}, ids));
  await withTinyFile({}, async (path) => {
    await withModel(path, { threads: 2, contextLength: 64 }, async (model) => {
      const sampling = { temperature: 0 };
      const { result } = model.generate({ ids, maxTokens: 9, sampling, ignoreEnd: true });
      const { ids: found, finishReason } = await result;
      assertEquals([found, finishReason], [[best], "length"]);
    });
  });
});

Deno.test("a last chunk of one token agrees with the reference", async () => {
  const ids = randomIds(17, 512);
  const exact = referenceLogits({}, ids);
  await withTinyFile({}, async (path) => {
    for (const threads of [1, 2]) {
      await withModel(path, { threads, chunkTokens: 8 }, async (model) => {
        assertEquals(await greedyIds(model, ids, 1), [argmaxOfLast(exact)]);
        assertLess(nmse(await allLogits(model, ids), exact), NMSE_MAX.F32);
      });
    }
  });
});

Deno.test("loadModel() refuses options that are no whole numbers of their range", async () => {
  const refused: Record<string, number[]> = {
    threads: [0, 1.5, -1, 65, NaN, Infinity],
    contextLength: [0, 2.5, NaN, 2 ** 31],
    chunkTokens: [0, 0.5, 1025, NaN],
    maxWaiting: [-1, 0.5, NaN, Infinity],
    speculate: [-1, 1.5, 16, NaN],
  };
  for (const [name, values] of Object.entries(refused)) {
    for (const value of values) {
      // Before the file is looked at: there is none.
      const load = () => loadModel("/nowhere/model.gguf", { [name]: value });
      const error = await assertRejects(load, RangeError, `with ${name} ${value}:`);
      assertMatch(error.message, /a whole number (from|of at least) \d/);
    }
  }
  await withTinyFile({}, async (path) => {
    const least = { threads: 1, contextLength: 1, chunkTokens: 1, maxWaiting: 0 };
    await withModel(path, least, async (model) => {
      assertLess(nmse(await allLogits(model, [5]), referenceLogits({}, [5])), NMSE_MAX.F32);
    });
  });
});

Deno.test("loadModel() says how many bytes the system has no room for", async () => {
  const { Memory } = WebAssembly;
  class FullMemory extends Memory {
    constructor(descriptor: WebAssembly.MemoryDescriptor) {
      if (descriptor.initial > 1) throw new RangeError("could not allocate memory");
      super(descriptor);
    }
  }
  await withTinyFile({}, async (path) => {
    WebAssembly.Memory = FullMemory;
    try {
      const load = () => loadModel(path, { threads: 1 });
      const error = await assertRejects(load, RangeError, "Cannot reserve");
      assertMatch(error.message, /reserve [\d.]+ [KMG]iB .*--ctx-size/);
    } finally {
      WebAssembly.Memory = Memory;
    }
  });
});

/** Room for one layer or two beside embedding table and workspace, not for all three. */
const SMALL_ARENA_BYTES = { Q8_0: 360_000, Q4_0: 300_000 };

function referenceLogits(options: TinyModelOptions, ids: readonly number[]): Float32Array {
  const bytes = tinyModel(options);
  const model = new ReferenceModel(parseGguf(bytes), { reader: TensorReader.ofBytes(bytes) });
  return model.forward(ids);
}

function argmaxOfLast(logits: Float32Array): number {
  return argmax(lastRow(logits, 512));
}

function yarn() {
  return { type: "yarn" as const, factor: 4, originalContextLength: 64 };
}

function randomIds(count: number, vocabSize: number, seed = 3): number[] {
  const rng = new Rng(seed);
  return Array.from({ length: count }, () => 3 + rng.int(vocabSize - 3));
}
