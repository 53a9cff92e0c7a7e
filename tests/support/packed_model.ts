/** Packed copies of tiny models, for tests. */
import { fingerprint, openGguf } from "../../src/gguf/mod.ts";
import { describeModel, layerNeurons } from "../../src/model/mod.ts";
import { packFile } from "../../src/pack/mod.ts";
import type { FiringStats } from "../../src/stats/mod.ts";
import type { SynthType } from "../../src/synth/synth_types.ts";
import { withTinyFile } from "./loaded_model.ts";
import { Rng } from "./rng.ts";
import type { TinyModelOptions } from "./tiny_model.ts";

/** Slots for one block's neurons: what a layer needs has left when it is needed again. */
export const FEW_SLOTS = {
  ...{ residentUnits: 0, hasResidentGates: true, slotCount: 128, hotShare: 0 },
  ...{ pieceBytes: 16384, piecesAhead: 2 },
};

/** Threads read, or Linux' kernel where the tests may ask it (`deno task test:ffi`). */
export const READERS = Deno.permissions.querySync({ name: "ffi" }).state === "granted"
  ? {}
  : { ioWorkers: 2 };

/** `typeOf` of tiny models whose down projections have a type that neurons can be read from. */
export function downsIn(type: SynthType): NonNullable<TinyModelOptions["typeOf"]> {
  return (name) => name.includes("ffn_down") ? type : undefined;
}

/** A packed copy of a tiny model, in an order of its own, for as long as `use` runs. */
export async function withPacked(
  tiny: TinyModelOptions,
  use: (path: string, packed: string) => Promise<void>,
): Promise<void> {
  await withTinyFile(tiny, async (path) => {
    const packed = path.replace(/\.gguf$/, ".ganglion");
    try {
      await packFile({ input: path, out: packed, stats: shuffled(path), alignBytes: 64 });
      await use(path, packed);
    } finally {
      await Deno.remove(packed).catch(() => {});
    }
  });
}

/** Statistics that put neurons into any order but their own. */
function shuffled(path: string): FiringStats {
  const { config } = describeModel(openGguf(path));
  const [layerCount, neuronCount] = [config.blockCount, layerNeurons(config)];
  const rng = new Rng(11);
  const counts = Uint32Array.from({ length: layerCount * neuronCount }, () => rng.int(1000));
  return {
    subject: {
      ...{ architecture: "", modelFingerprint: fingerprint(openGguf(path).parts), layerCount },
      ...{ neuronCount, activation: "", textHash: "", windowTokens: 1, groupCount: 1 },
      sparsity: null,
    },
    ...{ groupsDone: 1, thresholds: null, loudness: null, measured: [] },
    units: { 1: 1000, 2: 0, 3: 0, 4: 0, prefill: 0 },
    counts: { 1: counts, 2: counts, 3: counts, 4: counts, prefill: counts },
  };
}
