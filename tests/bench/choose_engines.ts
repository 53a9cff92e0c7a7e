/** Who takes part in a benchmark, and who does not, and why. */
import { basename } from "node:path";
import type { Engine } from "./engine.ts";
import { ganglion } from "./engine_ganglion.ts";
import { llamaBench } from "./engine_llama_bench.ts";
import { nodeLlamaCpp } from "./engine_node_llama_cpp.ts";
import { powerInfer } from "./engine_powerinfer.ts";
import { findChromium, wllama } from "./engine_wllama.ts";
import { installPeer } from "./install_peer.ts";
import type { BenchOptions, PeerChoice } from "./options.ts";

/** An engine that was asked for and is not in the results, or not in all of them. */
export interface Skipped {
  readonly engine: string;
  readonly reason: string;
}

/** Engines in the order of the table, ours first. */
export async function chooseEngines(
  { variants, peers, denseTwin }: Pick<BenchOptions, "variants" | "peers" | "denseTwin">,
  commit: string | null,
): Promise<{ engines: Engine[]; skipped: Skipped[] }> {
  const engines = variants.map((variant) => ganglion(variant, commit));
  const skipped: Skipped[] = [];
  for (const peer of peers) {
    try {
      const engine = await openPeer(peer);
      const readsAll = denseTwin === undefined || peer.name === "powerinfer";
      engines.push(readsAll ? engine : measuring(engine, denseTwin));
    } catch (error) {
      skipped.push({ engine: peer.name, reason: reasonOf(error) });
    }
  }
  return { engines, skipped };
}

/** What went wrong, in a line or a few. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The engine, given this model whatever the others get. */
function measuring(engine: Engine, modelPath: string): Engine {
  return {
    ...engine,
    settings: `${engine.settings}; measures ${basename(modelPath)}`,
    measure: (work) => engine.measure({ ...work, modelPath }),
  };
}

async function openPeer({ name, path }: PeerChoice): Promise<Engine> {
  switch (name) {
    case "node-llama-cpp":
      return nodeLlamaCpp(path ?? await installPeer("node-llama-cpp"));
    case "llama-bench":
      return await llamaBench(path ?? "");
    case "powerinfer":
      return await powerInfer(path ?? "");
    case "wllama": {
      const chromium = await findChromium();
      if (chromium === null) {
        throw new Error("no Chromium was found: install one, or name it in $CHROMIUM");
      }
      const sandbox = Deno.build.os === "windows" || Deno.uid() !== 0;
      return await wllama(path ?? await installPeer("@wllama/wllama"), { chromium, sandbox });
    }
    case "transformers":
      throw new Error(TRANSFORMERS_REASON);
  }
}

const TRANSFORMERS_REASON =
  "it reads ONNX and no GGUF. Q4_0 blocks could be rewritten for ONNX Runtime's MatMulNBits (4 " +
  "bits, blocks of 32), but the graph around them (protobuf, GroupQueryAttention, cache tensors, " +
  "config and tokenizer files) would have to be written as well, family by family, and k-quants " +
  "have no such operator: it cannot be given the same weights cheaply";
