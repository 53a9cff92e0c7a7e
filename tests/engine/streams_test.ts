/** Streams side by side around gated latents whose keys are chosen (Hunyuan 4): the engine. */
import "../support/thread_pool.ts";
import { assertStringIncludes } from "@std/assert";
import { describeModel } from "../../src/model/mod.ts";
import { openGguf } from "../../src/gguf/mod.ts";
import { gpuObstacle } from "../../src/rank/gpu/obstacle.ts";
import {
  checkLogits,
  checkPoisoned,
  checkRestored,
  checkSeveralArenas,
  checkThreads,
  checkTogether,
} from "../support/attention_checks.ts";
import { withTinyFile } from "../support/loaded_model.ts";
import { randomIds } from "../support/rng.ts";
import { SINGULAR_FAMILIES } from "../support/tiny_singular_families.ts";

/** 150 positions, of which tokens attend to 16. */
const IDS = randomIds(150, { from: 3, end: 512, seed: 7 });
const CHOSEN = { architecture: "hy_v4-chosen", seed: 3 } as const;
const F32_NMSE = 2e-12;

Deno.test("the engine keeps streams side by side as the reference does, far behind the choice", () =>
  withTinyFile(CHOSEN, (path) => checkThreads(path, IDS, F32_NMSE)));

Deno.test("nothing that is dead is read where streams are side by side", () =>
  withTinyFile(CHOSEN, (path) => checkPoisoned(path, IDS.slice(0, 60), F32_NMSE)));

Deno.test("requests together are answered as alone where streams are side by side", () =>
  withTinyFile(CHOSEN, (path) => checkTogether(path, IDS)));

Deno.test("streams are side by side in several arenas", () =>
  withTinyFile(CHOSEN, (path) => checkSeveralArenas(path, IDS, { share: 0.6, nmseMax: F32_NMSE })));

Deno.test("chosen keys of gated latents go into a file of keys and values, and come back", () =>
  withTinyFile(CHOSEN, (path) => checkRestored(path, IDS)));

Deno.test("gates, mixers and indexers may be quantised, each where nothing else of a layer is", async () => {
  const ids = IDS.slice(0, 40);
  const changes = { latent: { ...SINGULAR_FAMILIES["hy_v4-chosen"].latent, query: 64 } };
  for (const names of [/attn_gate/, /hc_\w+_fn/, /indexer\.(attn|proj)/]) {
    const typeOf = (name: string) => names.test(name) ? "Q8_0" : undefined;
    const made = { ...CHOSEN, changes, typeOf };
    await withTinyFile(made, (path) => checkLogits(path, ids, 2e-2, { chunkTokens: 16 }));
  }
});

Deno.test("keys of 16 bits, and weights of four, are nearly as good beside streams", async () => {
  await withTinyFile(CHOSEN, (path) => checkLogits(path, IDS, 1e-2, { kvType: "i16" }));
  // All keys are attended to: of chosen ones rounding chooses others.
  const quantised = { architecture: "hy_v4", seed: 3, type: "Q4_0" } as const;
  await withTinyFile(quantised, (path) => checkLogits(path, IDS, 5e-3, { threads: 3 }));
});

Deno.test("gpuObstacle() leaves streams that layers mix to the threads", () =>
  withTinyFile({ architecture: "hy_v4", seed: 3 }, (path) => {
    const file = openGguf(path);
    assertStringIncludes(gpuObstacle({ file, model: describeModel(file) }, {})!, "streams");
    return Promise.resolve();
  }));
