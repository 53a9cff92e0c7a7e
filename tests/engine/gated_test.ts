/** Gated streams, groups of keys, and rows that several tokens name (Qwen 4): the engine. */
import "../support/thread_pool.ts";
import { assertEquals, assertLess, assertStringIncludes } from "@std/assert";
import { describeModel } from "../../src/model/mod.ts";
import { openGguf, parseGguf, u32 } from "../../src/gguf/mod.ts";
import { describeForUse, planModel } from "../../src/llm/mod.ts";
import { NgramRows } from "../../src/rank/blocks/ngram_rows.ts";
import { gpuObstacle } from "../../src/rank/gpu/obstacle.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { loadKernelModule } from "../../wasm/mod.ts";
import { answersHere, logitsHere } from "../support/answers_here.ts";
import {
  checkBest,
  checkLogits,
  checkPoisoned,
  checkSeveralArenas,
  checkThreads,
  checkTogether,
} from "../support/attention_checks.ts";
import { nmse } from "../support/compare.ts";
import { allLogits, withFile, withModel, withTinyFile } from "../support/loaded_model.ts";
import { idsOf, referenceOf, someRows } from "../support/given_rows.ts";
import { FEW_SLOTS, READERS, withPacked } from "../support/packed_model.ts";
import { randomIds, Rng } from "../support/rng.ts";
import { TINY_FAMILIES } from "../support/tiny_families.ts";
import { TINY_PROMPT, tinyModel } from "../support/tiny_model.ts";
import { exactLogits } from "../support/known_logits.ts";

/** 37 groups of four, of which tokens attend to two. */
const IDS = randomIds(150, { from: 3, end: 512, seed: 7 });
const GATED = { architecture: "qwen4exp", seed: 3 } as const;
const { gated } = TINY_FAMILIES.qwen4exp;
const withGroups = (ratios: readonly number[], keys: number) =>
  ({
    ...GATED,
    changes: { gated: { ...gated!, ratios, indexer: { ...gated!.indexer, keys } } },
  }) as const;
const F32_NMSE = 1e-12;

Deno.test("the engine gates streams, chooses groups and names rows as the reference does", () =>
  withTinyFile(GATED, (path) => checkThreads(path, IDS, F32_NMSE)));

Deno.test("groups may be single positions, or as long as a block, and choices several blocks", async () => {
  for (const model of [withGroups([0, 1, 0, 1], 16), withGroups([0, 32, 0, 8], 64)]) {
    await withTinyFile(model, async (path) => {
      const exact = exactLogits(path, IDS);
      const alone = await logitsHere(path, IDS, { chunkTokens: 16 });
      assertLess(nmse(alone, exact), F32_NMSE);
      const short = await logitsHere(path, IDS, { chunkTokens: 16, kvType: "i16" });
      assertLess(nmse(short, exact), 1e-4);
    });
  }
});

Deno.test("groups' keys are turned by the file's factors, as all else that is turned", async () => {
  const scaling = { type: "linear", factor: 2, originalContextLength: 64 } as const;
  const made = [[2, undefined], [1, scaling]] as const;
  const logits: Float32Array[] = [];
  for (const [factor, ropeScaling] of made) {
    const changes = { rotatedDims: 16 };
    const bytes = tinyModel({ ...GATED, changes, ropeFactors: true, ropeScaling });
    const { offsetBytes, dims } = parseGguf(bytes).tensors.get("rope_freqs.weight")!;
    new Float32Array(bytes.buffer, offsetBytes, dims[0]).fill(factor);
    await withFile(bytes, async (path) => {
      const exact = exactLogits(path, IDS);
      const alone = await logitsHere(path, IDS, { chunkTokens: 16 });
      assertLess(nmse(alone, exact), F32_NMSE, `${factor}`);
      logits.push(alone);
    });
  }
  assertEquals(logits[0], logits[1], "twice as slow is twice as slow");
});

Deno.test("layers may choose no groups, and tokens name nothing", async () => {
  const changes = { gated: { ...gated!, ratios: [0, 0, 0, 0], ngrams: undefined } };
  const made = { ...GATED, changes };
  await withTinyFile(made, (path) => checkLogits(path, IDS, F32_NMSE, { chunkTokens: 64 }));
});

/**
 * llama.cpp's best logits of TINY_PROMPT at 10, where all is chosen, and at 47, where its choice
 * is cut at whole groups: without that it takes some positions of one group more.
 */
const LLAMA_CPP = [
  [10, [[85, 3.8285], [68, 2.971], [170, 2.8924]]],
  [47, [[145, 3.7917], [327, 2.4096], [453, 2.3193]]],
] as const;

Deno.test("ReferenceModel gates streams, chooses groups and names rows as llama.cpp does", () =>
  withTinyFile(GATED, (path) => {
    checkBest(path, { ids: TINY_PROMPT, best: LLAMA_CPP, cuts: [5, 23] });
    return Promise.resolve();
  }));

Deno.test("nothing that is dead is read where streams are gated", async () => {
  // Rows of 72 numbers end within what a product reads at once.
  for (const embeddingLength of [64, 72]) {
    const of = { ...GATED, embeddingLength };
    await withTinyFile(of, (path) => checkPoisoned(path, IDS, F32_NMSE));
  }
});

Deno.test("an image's rows name what one token does, and groups stand where their first row does", () =>
  withTinyFile(
    { ...GATED, metadata: [["qwen4exp.ple.image_token_id", u32(300)]] },
    async (path) => {
      const image = { firstId: -7, values: someRows(5, { count: 12, width: 64 }), seesAll: false };
      const own = idsOf({ ...image, grid: null }, 64);
      const prompt = {
        ids: [...IDS.slice(0, 10), ...own, ...IDS.slice(10, 60)],
        given: [{ ...image, grid: { rows: 3, columns: 4 } }],
      };
      const { ofPrompt } = await answersHere(path, IDS.slice(0, 20), { chunkTokens: 64 }, prompt);
      const model = new ReferenceModel(openGguf(path));
      const exact = model.forward(prompt.ids, 0, referenceOf(prompt, 64));
      assertLess(nmse(ofPrompt!, exact), F32_NMSE);
    },
  ));

Deno.test("experts come from a packed file as from memory, and rows of names, too", () =>
  withPacked({ ...GATED, type: "Q8_0" }, async (path, packed) => {
    const logits: Float32Array[] = [];
    const options = { ...READERS, streaming: FEW_SLOTS };
    for (const [file, more] of [[path, {}], [packed, options]] as const) {
      await withModel(file, { threads: 2, gpu: "off", ...more }, async (model) => {
        logits.push(await allLogits(model, IDS.slice(0, 60)));
      });
    }
    assertLess(nmse(logits[1], logits[0]), 1e-3);
  }));

Deno.test("requests together are answered as alone where tokens name rows", () =>
  withTinyFile(GATED, (path) => checkTogether(path, IDS)));

Deno.test("keys of groups and rows of names of 16 and 8 bits are nearly as good", () =>
  withTinyFile(GATED, async (path) => {
    await checkLogits(path, IDS, 1e-3, { kvType: "i16" });
    // Rows of the table are whole blocks: of two tokens one head each.
    const ngrams = { length: 3, heads: 1, taps: 3 };
    const changes = { gated: { ...gated!, rank: 32, ngrams } };
    const quantised = { ...GATED, type: "Q8_0", changes } as const;
    await withTinyFile(quantised, (path) => checkLogits(path, IDS, 5e-2));
  }));

Deno.test("streams are gated, and groups chosen, in several arenas", () =>
  withTinyFile(GATED, (path) => checkSeveralArenas(path, IDS, { share: 0.75, nmseMax: F32_NMSE })));

Deno.test("a thread without heads keeps no keys of groups", () =>
  withTinyFile(GATED, async (path) => {
    const options = { threads: 5, contextLength: 160, chunkTokens: 32 };
    const file = openGguf(path), module = await loadKernelModule();
    const plans = planModel({ file, model: describeForUse(file, options) }, module, options);
    const kept = plans.map(({ layers }) => layers[1].indexedKeysOffsetBytes > 0);
    assertEquals(kept.filter((each) => each).length, 4);
    const exact = exactLogits(path, IDS);
    await withModel(path, { ...options, gpu: "off" }, async (model) => {
      assertLess(nmse(await allLogits(model, IDS), exact), F32_NMSE);
    });
  }));

Deno.test("gpuObstacle() says that gated streams are the threads'", () =>
  withTinyFile(GATED, (path) => {
    const file = openGguf(path);
    const obstacle = gpuObstacle({ model: describeModel(file), file }, {});
    assertStringIncludes(obstacle!, "residual streams that are gated are the threads'");
    return Promise.resolve();
  }));

Deno.test("NgramRows names the rows that integers of 64 bits name, ends of texts between", () => {
  const rng = new Rng(5);
  const multipliers = [0xffffffffffffffffn, 0x9e3779b97f4a7c15n, 0x8000000000000001n];
  const heads = [[0, 2 ** 31 - 1], [7, 3], [11, 65537], [2 ** 20, 1]] as const;
  const config = {
    ...{ layer: 0, length: 3, rowLength: 16, tableRows: 2 ** 31, endToken: 9, givenToken: 9 },
    taps: 3,
    heads: heads.map(([start, count]) => ({ start, count })),
    multipliers: Float64Array.from(
      { length: 12 },
      (_, i) => Number(multipliers[i >> 2] >> BigInt(16 * (i & 3)) & 0xffffn),
    ),
  };
  const names = new NgramRows(config);
  const ids = Array.from({ length: 40 }, (_, i) => i % 11 === 5 ? 9 : rng.int(2 ** 31 - 1));
  names.begin();
  ids.forEach((id, at) => {
    // Half way another one goes on.
    if (at === 20) {
      const kept = new Int32Array(2);
      names.leave(kept, 0);
      names.begin();
      names.goOn(kept, 0);
    }
    names.take(id);
    const before = [ids[at - 1] ?? 9, ids[at - 2] ?? 9];
    const seen = [id, before[0], before[0] === 9 ? 9 : before[1]];
    const mixed = (count: number) =>
      seen.slice(0, count).reduce(
        (all, each, back) => all ^ BigInt.asUintN(64, BigInt(each) * multipliers[back]),
        0n,
      );
    const expected = heads.map(([start, count], head) =>
      start + Number(mixed(head < 2 ? 2 : 3) % BigInt(count))
    );
    assertEquals([...names.rows], expected, `token ${at}`);
  });
});
