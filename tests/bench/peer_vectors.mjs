/**
 * Vectors of a text by node-llama-cpp, for tests/bench/vectors.ts: reads {packageFolder, modelPath,
 * threads, ids, rounds} from stdin, prints {ms, vector}, the best of its rounds.
 */
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";

const { packageFolder, modelPath, threads, ids, rounds } = JSON.parse(await text(process.stdin));
const home = join(packageFolder, "node_modules", "node-llama-cpp");
const { getLlama, LlamaLogLevel } = await import(pathToFileURL(join(home, "dist", "index.js")));
const llama = await getLlama({ gpu: false, build: "never", logLevel: LlamaLogLevel.error });
const model = await llama.loadModel({ modelPath });
const contextSize = ids.length + 1;
const context = await model.createEmbeddingContext({
  contextSize,
  batchSize: contextSize,
  threads,
});
// It would put marks of its own around the ids.
context._prepareInput = () => {};
let ms = Infinity;
let vector = [];
for (let round = 0; round < rounds; round++) {
  const startMs = performance.now();
  ({ vector } = await context.getEmbeddingFor(ids));
  ms = Math.min(ms, performance.now() - startMs);
}
console.log(JSON.stringify({ ms, vector: [...vector] }));
process.exit(0);
