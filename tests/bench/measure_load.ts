/**
 * One loading of a model beside two readings of its file, all from a warm page cache: by one thread
 * into one small buffer, and by as many threads as load into memory that nobody touched before,
 * which is the least that loading has to do. Prints a `LoadSample`. Run as a process of its own:
 * measure_load.ts MODEL THREADS
 */
import { openGguf } from "../../src/gguf/mod.ts";
import { loadModel } from "../../src/llm/mod.ts";
import { MiB } from "../../src/base/units.ts";
import type { LoadSample } from "./engine.ts";

const READ_BYTES = 4 * MiB;
/** Threads that were ended still give gigabytes back; nothing else should be measured meanwhile. */
const TEARDOWN_MS = 400;

const [modelPath, threads] = Deno.args;
const paths = openGguf(modelPath).parts.map((part) => part.path);
readFiles(paths); // into the page cache
const readStart = performance.now();
const fileBytes = readFiles(paths);
const readMs = performance.now() - readStart;

// Memory that a virtual machine has to ask its host for takes several times as long: the first
// reading is for that, and is not counted.
await readFresh(paths, Number(threads));
const freshReadMs = await readFresh(paths, Number(threads));

const loadStart = performance.now();
const model = await loadModel(modelPath, { threads: Number(threads) });
const loadMs = performance.now() - loadStart;
await model.close();
console.log(JSON.stringify({ loadMs, readMs, freshReadMs, fileBytes } satisfies LoadSample));

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

/** Milliseconds of reading files into memory of their size, each thread its part of every file. */
async function readFresh(paths: readonly string[], threadCount: number): Promise<number> {
  const workers = Array.from(
    { length: threadCount },
    () => new Worker(new URL("./read_fresh_worker.ts", import.meta.url), { type: "module" }),
  );
  await Promise.all(workers.map((worker) => answerOf(worker, { paths: [], part: 0, parts: 1 })));
  const start = performance.now();
  const parts = threadCount;
  await Promise.all(workers.map((worker, part) => answerOf(worker, { paths, part, parts })));
  const ms = performance.now() - start;
  for (const worker of workers) worker.terminate();
  await new Promise((resolve) => setTimeout(resolve, TEARDOWN_MS));
  return ms;
}

/** What the thread says when it has read; rejects when it fails. */
function answerOf(worker: Worker, request: unknown): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.onmessage = () => resolve();
    worker.onerror = (event) => reject(new Error(event.message));
    worker.postMessage(request);
  });
}
