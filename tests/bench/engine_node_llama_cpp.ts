/** Native llama.cpp as npm's node-llama-cpp brings it, run by Node.js. */
import { fileURLToPath } from "node:url";
import { hashIds } from "../../src/cli/bench_prompt.ts";
import type { Engine } from "./engine.ts";
import { runJson } from "./run_json.ts";

const PEER = fileURLToPath(new URL("peer_node_llama_cpp.mjs", import.meta.url));

/** What the peer's script prints. */
interface PeerReport {
  readonly version: string;
  readonly prefillTps: number;
  readonly decodeTps: number;
  readonly ids: readonly number[];
}

/** node-llama-cpp in the node_modules of `packageFolder`. */
export function nodeLlamaCpp(packageFolder: string): Engine {
  return {
    name: "node-llama-cpp",
    // With flash attention it reads prompts up to 1.4 times as fast: peers run at their best.
    settings: "prebuilt CPU build, flash attention, greedy",
    isOurs: false,
    measuresContexts: true,
    async measure({ modelPath, threads, promptIds, genTokens }) {
      const job = { packageFolder, modelPath, threads, promptIds, genTokens };
      const stdin = JSON.stringify(job);
      const { ids, ...report } = await runJson("node", [PEER], { stdin }) as PeerReport;
      return { ...report, idsHash: await hashIds(ids) };
    },
  };
}
