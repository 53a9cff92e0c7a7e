/** Windowed layers with latents of their own beside layers that choose keys (dots3note). */
import "../support/thread_pool.ts";
import { assertEquals, assertStringIncludes } from "@std/assert";
import { describeModel } from "../../src/model/mod.ts";
import { openGguf } from "../../src/gguf/mod.ts";
import { describeForUse, planModel } from "../../src/llm/mod.ts";
import { gpuObstacle } from "../../src/rank/gpu/obstacle.ts";
import { loadKernelModule } from "../../wasm/mod.ts";
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

/** 150 positions, of which tokens attend to 16, or to the last 8. */
const IDS = randomIds(150, { from: 3, end: 512, seed: 7 });
const CHOSEN = { architecture: "dots3note-chosen", seed: 3 } as const;
const LATENTS = SINGULAR_FAMILIES["dots3note-chosen"].latent;
const F32_NMSE = 2e-12;

// Of three threads one has no heads in windowed layers.
Deno.test("the engine computes latents that differ as the reference does, far behind the choice", () =>
  withTinyFile(CHOSEN, (path) => checkThreads(path, IDS, F32_NMSE)));

Deno.test("latents of windowed layers may be the longer ones, and their heads the more", async () => {
  const windowed = { ...LATENTS.windowed, heads: 6, length: 96, plain: 48, value: 16 };
  const changes = { latent: { ...LATENTS, windowed } };
  const of = { ...CHOSEN, changes };
  await withTinyFile(of, (path) => checkPoisoned(path, IDS.slice(0, 60), F32_NMSE));
});

Deno.test("nothing that is dead is read where latents differ", () =>
  withTinyFile(CHOSEN, (path) => checkPoisoned(path, IDS.slice(0, 60), F32_NMSE)));

Deno.test("requests together are answered as alone where latents differ", () =>
  withTinyFile(CHOSEN, (path) => checkTogether(path, IDS)));

Deno.test("latents differ in several arenas", () =>
  withTinyFile(CHOSEN, (path) => checkSeveralArenas(path, IDS, { share: 0.6, nmseMax: F32_NMSE })));

Deno.test("latents that differ go into a file of keys and values, and come back", () =>
  withTinyFile(CHOSEN, (path) => checkRestored(path, IDS)));

Deno.test("layers keep as much of a token as their own latents take", () =>
  withTinyFile(CHOSEN, async (path) => {
    const options = { threads: 1, contextLength: 160, chunkTokens: 32 };
    const file = openGguf(path), module = await loadKernelModule();
    const [plan] = planModel({ file, model: describeForUse(file, options) }, module, options);
    const { regions } = plan.arenas[0];
    const bytes = [0, 1].map((layer) =>
      ["keys", "values", "indexed"].map((name) =>
        regions.find((region) => region.name === `blk.${layer}.${name}`)?.sizeBytes ?? 0
      )
    );
    // Turned and latent, the latent, and an indexer's key, of 160 positions.
    assertEquals(bytes, [[64, 32, 0], [96, 64, 64]].map((dims) => dims.map((dim) => 640 * dim)));
  }));

Deno.test("what lies between products has room for the largest of all layers' latents", async () => {
  const windowed = { ...LATENTS.windowed, heads: 6, length: 96, plain: 48 };
  const changes = { latent: { ...LATENTS, windowed } };
  await withTinyFile({ ...CHOSEN, changes }, async (path) => {
    const options = { threads: 1, contextLength: 64, chunkTokens: 16 };
    const file = openGguf(path), module = await loadKernelModule();
    const [plan] = planModel({ file, model: describeForUse(file, options) }, module, options);
    const { places } = plan.workspaces[0].intermediates;
    const bytes = ["latent.plain", "latent.mixed"].map((name) =>
      places.find((place) => place.name === name)!.sizeBytes
    );
    assertEquals(bytes, [48, 96].map((dim) => 16 * 4 * 6 * dim));
  });
});

Deno.test("keys of 16 bits, and weights of four, are nearly as good where latents differ", async () => {
  await withTinyFile(CHOSEN, (path) => checkLogits(path, IDS, 1e-2, { kvType: "i16" }));
  // All keys are attended to, or a window of them: of chosen ones rounding chooses others.
  const quantised = { architecture: "dots3note", seed: 2, type: "Q4_0" } as const;
  await withTinyFile(quantised, (path) => checkLogits(path, IDS, 2e-2, { threads: 3 }));
});

Deno.test("gpuObstacle() leaves gates of heads that latents make to the threads", () =>
  withTinyFile({ architecture: "dots3note", seed: 3 }, (path) => {
    const file = openGguf(path);
    assertStringIncludes(gpuObstacle({ file, model: describeModel(file) }, {})!, "gates");
    return Promise.resolve();
  }));
