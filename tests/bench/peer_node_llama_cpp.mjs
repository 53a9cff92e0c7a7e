/**
 * One measurement of node-llama-cpp (native llama.cpp from npm), run by Node.js, which is what the
 * package is made for. Reads a job from stdin, prints one JSON document; loading is not timed.
 *
 * job: { packageFolder, modelPath, threads, promptIds, genTokens }
 * prints: { version, prefillTps, decodeTps, ids }
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const WARMUP_TOKENS = 16;

const job = JSON.parse(readFileSync(0, "utf8"));
const home = join(job.packageFolder, "node_modules", "node-llama-cpp");
const { version } = JSON.parse(readFileSync(join(home, "package.json"), "utf8"));
const { getLlama, LlamaLogLevel } = await import(pathToFileURL(join(home, "dist", "index.js")));

const llama = await getLlama({
  gpu: false,
  build: "never",
  maxThreads: job.threads,
  logLevel: LlamaLogLevel.error,
  progressLogs: false,
});
const model = await llama.loadModel({ modelPath: job.modelPath });
const context = await model.createContext({
  contextSize: job.promptIds.length + job.genTokens + 8,
  batchSize: Math.max(512, WARMUP_TOKENS),
  threads: { ideal: job.threads, min: job.threads },
  flashAttention: true,
});
const sequence = context.getSequence();

await sequence.evaluateWithoutGeneratingNewTokens(job.promptIds.slice(0, WARMUP_TOKENS));
await decode(job.promptIds[0], WARMUP_TOKENS);
await sequence.clearHistory();

const prefillStart = performance.now();
await sequence.evaluateWithoutGeneratingNewTokens(job.promptIds);
const prefillMs = performance.now() - prefillStart;

// The last prompt token is taken back and decoded again: its logits choose the first new id.
const last = job.promptIds.length - 1;
await sequence.eraseContextTokenRanges([{ start: last, end: last + 1 }]);
const decodeStart = performance.now();
const ids = await decode(job.promptIds[last], job.genTokens);
const decodeMs = performance.now() - decodeStart;

console.log(JSON.stringify({
  version,
  prefillTps: job.promptIds.length / prefillMs * 1000,
  decodeTps: ids.length / decodeMs * 1000,
  ids,
}));
await llama.dispose();

/** Greedy decoding: one evaluated token per new id. */
async function decode(firstId, count) {
  const ids = [];
  if (count === 0) return ids;
  const options = { temperature: 0, yieldEogToken: true };
  for await (const id of sequence.evaluate([firstId], options)) {
    ids.push(id);
    if (ids.length === count) break;
  }
  return ids;
}
