/**
 * One loading of a model beside one reading of its file, both from a warm page cache; prints a
 * `LoadSample`. Run as a process of its own: measure_load.ts MODEL THREADS
 */
import { openGguf } from "../../src/gguf/mod.ts";
import { loadModel } from "../../src/llm/mod.ts";
import { MiB } from "../../src/base/units.ts";
import type { LoadSample } from "./engine.ts";

const READ_BYTES = 4 * MiB;

const [modelPath, threads] = Deno.args;
const paths = openGguf(modelPath).parts.map((part) => part.path);
readFiles(paths); // into the page cache
const readStart = performance.now();
const fileBytes = readFiles(paths);
const readMs = performance.now() - readStart;

const loadStart = performance.now();
const model = await loadModel(modelPath, { threads: Number(threads) });
const loadMs = performance.now() - loadStart;
await model.close();
console.log(JSON.stringify({ loadMs, readMs, fileBytes } satisfies LoadSample));

/** Reads files from end to end into one buffer; returns their bytes. */
function readFiles(paths: readonly string[]): number {
  const buffer = new Uint8Array(READ_BYTES);
  let bytes = 0;
  for (const path of paths) {
    using file = Deno.openSync(path);
    for (let count = file.readSync(buffer); count !== null; count = file.readSync(buffer)) {
      bytes += count;
    }
  }
  return bytes;
}
