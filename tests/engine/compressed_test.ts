/** Keys of several tokens' and streams that layers mix (DeepSeek 4): the engine. */
import "../support/thread_pool.ts";
import { assertEquals, assertLess, assertRejects, assertStringIncludes } from "@std/assert";
import { describeModel } from "../../src/model/mod.ts";
import { openGguf, u32 } from "../../src/gguf/mod.ts";
import { describeForUse, type LoadOptions, planModel } from "../../src/llm/mod.ts";
import { loadKernelModule } from "../../wasm/mod.ts";
import { gpuObstacle } from "../../src/rank/gpu/obstacle.ts";
import { logitsHere } from "../support/answers_here.ts";
import {
  checkBest,
  checkLogits,
  checkPoisoned,
  checkRestored,
  checkSeveralArenas,
  checkThreads,
  checkTogether,
} from "../support/attention_checks.ts";
import { nmse } from "../support/compare.ts";
import { allLogits, greedyIds, withModel, withTinyFile } from "../support/loaded_model.ts";
import { FEW_SLOTS, READERS, withPacked } from "../support/packed_model.ts";
import { randomIds } from "../support/rng.ts";
import { exactLogits } from "../support/known_logits.ts";

/** One key of 128 tokens, and 37 of four, of which tokens attend to four. */
const IDS = randomIds(150, { from: 3, end: 512, seed: 7 });
const COMPRESSED = { architecture: "deepseek4", seed: 3 } as const;
/** 50 tokens of their own and 20 keys of four, of which there are 37. */
const WIDE = {
  ...COMPRESSED,
  metadata: [
    ["deepseek4.attention.sliding_window", u32(50)],
    ["deepseek4.attention.indexer.top_k", u32(20)],
  ],
} as const;
const F32_NMSE = 1e-12;

// Of three threads one has no heads: there are two groups of them.
Deno.test("the engine compresses keys and mixes streams as the reference does", () =>
  withTinyFile(COMPRESSED, (path) => checkThreads(path, IDS, F32_NMSE)));

/** llama.cpp's best logits at two of IDS: where the key of 128 tokens is made, and at the end. */
const LLAMA_CPP = [
  [127, [[177, 6.0391], [303, 5.9883], [228, 5.6821]]],
  [149, [[130, 5.3017], [475, 5.037], [69, 4.6994]]],
] as const;

Deno.test("ReferenceModel compresses keys of 4 and of 128 tokens as llama.cpp does", () =>
  withTinyFile(COMPRESSED, (path) => {
    checkBest(path, { ids: IDS, best: LLAMA_CPP, cuts: [5, 130] });
    return Promise.resolve();
  }));

Deno.test("nothing that is dead is read where keys are compressed", () =>
  withTinyFile(COMPRESSED, (path) => checkPoisoned(path, IDS, F32_NMSE)));

Deno.test("windows and chosen keys go on over several blocks, side by side", () =>
  withTinyFile(WIDE, async (path) => {
    const exact = exactLogits(path, IDS);
    const alone = await logitsHere(path, IDS, { chunkTokens: 16 });
    assertLess(nmse(alone, exact), F32_NMSE);
    const short = await logitsHere(path, IDS, { chunkTokens: 16, kvType: "i16" });
    assertLess(nmse(short, exact), 1e-4);
  }));

Deno.test("requests together are answered as alone where keys are compressed", () =>
  withTinyFile(COMPRESSED, (path) => checkTogether(path, IDS)));

Deno.test("compressed keys of 16 bits, and quantised weights, are nearly as good", () =>
  withTinyFile(COMPRESSED, async (path) => {
    await checkLogits(path, IDS, 1e-3, { kvType: "i16" });
    const quantised = { ...COMPRESSED, type: "Q8_0" } as const;
    await withTinyFile(quantised, (path) => checkLogits(path, IDS, 5e-2));
  }));

Deno.test("keys are compressed, and streams mixed, in several arenas", () =>
  withTinyFile(
    COMPRESSED,
    (path) => checkSeveralArenas(path, IDS, { share: 0.75, nmseMax: F32_NMSE }),
  ));

Deno.test("a thread without heads keeps nothing of compressed keys", () =>
  withTinyFile(COMPRESSED, async (path) => {
    const options = { threads: 3, contextLength: 160, chunkTokens: 32 };
    const file = openGguf(path), module = await loadKernelModule();
    const plans = planModel({ file, model: describeForUse(file, options) }, module, options);
    const kept = plans.map(({ layers }) => layers[1].indexedKeysOffsetBytes > 0);
    assertEquals(kept, [true, false, true]);
  }));

Deno.test("compressed keys go into a file of keys and values, and come back", () =>
  withTinyFile(COMPRESSED, (path) => checkRestored(path, IDS)));

Deno.test("experts that tokens list come from a packed file as from memory", () =>
  withPacked({ ...COMPRESSED, type: "Q8_0" }, async (path, packed) => {
    const ask = async (file: string, options: LoadOptions) => {
      let answer: { logits: Float32Array; ids: number[] } = {
        logits: new Float32Array(0),
        ids: [],
      };
      await withModel(file, { threads: 2, gpu: "off", ...options }, async (model) => {
        const logits = await allLogits(model, IDS.slice(0, 60));
        answer = { logits, ids: await greedyIds(model, IDS.slice(0, 60), 8) };
      });
      return answer;
    };
    const whole = await ask(path, {});
    const streamed = await ask(packed, { ...READERS, streaming: FEW_SLOTS });
    assertLess(nmse(streamed.logits, whole.logits), 1e-3);
    assertEquals(streamed.ids[0], whole.ids[0]);
  }));

Deno.test("a table that names an expert that there is not, or one twice, is refused", () =>
  withTinyFile(COMPRESSED, async (path) => {
    const name = "blk.0.ffn_gate_tid2eid.weight";
    const { offsetBytes } = openGguf(path).tensors.get(name)!;
    const whole = await Deno.readFile(path);
    const load = async (change: (table: DataView) => void) => {
      const bytes = whole.slice();
      change(new DataView(bytes.buffer, offsetBytes));
      await Deno.writeFile(path, bytes);
      return String(
        await assertRejects(() =>
          withModel(path, { threads: 1, gpu: "off" }, () => Promise.resolve())
        ),
      );
    };
    const tooLarge = await load((table) => table.setInt32(4 * 7, 8, true));
    assertStringIncludes(tooLarge, `"${name}": number 7 of it is 8, the model has 8 experts`);
    const negative = await load((table) => table.setInt32(4 * 7, -1, true));
    assertStringIncludes(negative, "number 7 of it is -1, the model");
    // Rows of an expert would be more than a step has tokens, for which there is room.
    const twice = await load((table) => table.setInt32(4 * 8, table.getInt32(4 * 6, true), true));
    assertStringIncludes(twice, `"${name}": number 8 of it is`);
    assertStringIncludes(twice, "as is another one of its token, 2");
  }));

Deno.test("a file may compress no keys, or choose more of them than a context has", async () => {
  const all = [["deepseek4.attention.indexer.top_k", u32(2 ** 31 - 1)]] as const;
  const files = [{ ...COMPRESSED, metadata: all }, { ...COMPRESSED, blockCount: 1 }];
  await Promise.all(files.map((shape) =>
    withTinyFile(shape, async (path) => {
      const exact = exactLogits(path, IDS);
      const logits = await logitsHere(path, IDS, { chunkTokens: 16, contextLength: 2 ** 15 });
      assertLess(nmse(logits, exact), F32_NMSE);
    })
  ));
});

Deno.test("gpuObstacle() leaves compressed keys to the threads", () =>
  withTinyFile(COMPRESSED, (path) => {
    const file = openGguf(path);
    assertStringIncludes(gpuObstacle({ file, model: describeModel(file) }, {})!, "compressed");
    return Promise.resolve();
  }));
