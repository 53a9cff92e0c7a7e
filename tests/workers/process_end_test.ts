/** The end of a process whose threads are still being torn down. */
import { assertEquals } from "@std/assert";
import { gpuTest } from "../support/gpu_model.ts";

/** Runs a program of its own; its status and what it said. */
async function ended(program: string) {
  const args = ["eval", "--no-check", program];
  const { code, stdout } = await new Deno.Command(Deno.execPath(), { args }).output();
  return { code, said: new TextDecoder().decode(stdout).trim() };
}

/** Says at the process's end whether it came at least so long after `startMs`. */
const sayWhether = (ms: number) =>
  `addEventListener("unload", () => console.log(performance.now() - startMs >= ${ms}));`;

const MODULE = JSON.stringify(new URL("../../workers/process_end.ts", import.meta.url));
const DELAYED = `
  import { delayProcessEnd } from ${MODULE};
  const startMs = performance.now();
  delayProcessEnd(200);
  delayProcessEnd(1);
  ${sayWhether(200)}`;

Deno.test("delayProcessEnd() holds for Deno.exit, and for a program that comes to its end", async () => {
  assertEquals(await ended(`${DELAYED} Deno.exit(3);`), { code: 3, said: "true" });
  assertEquals(await ended(DELAYED), { code: 0, said: "true" });
});

Deno.test("delayProcessEnd() waits at once in a worker, which hears nothing of the end", async () => {
  const inWorker = `
    import { delayProcessEnd } from ${MODULE};
    self.onmessage = async () => {
      const startMs = performance.now();
      await delayProcessEnd(200);
      postMessage(performance.now() - startMs >= 200);
    };`;
  const url = URL.createObjectURL(new Blob([inWorker], { type: "application/typescript" }));
  const worker = new Worker(url, { type: "module" });
  try {
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = (event) => reject(new Error(event.message));
    worker.postMessage("begin");
    assertEquals(await promise, true);
  } finally {
    worker.terminate();
    URL.revokeObjectURL(url);
  }
});

gpuTest("a process waits for the thread that had the GPU before it ends", async () => {
  const support = (name: string) => JSON.stringify(new URL(`../support/${name}`, import.meta.url));
  const closed = `
    import { GPU_ALONE } from ${support("gpu_model.ts")};
    import { withModel, withTinyFile } from ${support("loaded_model.ts")};
    let startMs = 0;
    await withTinyFile({ seed: 3, blockCount: 1 }, (path) =>
      withModel(path, GPU_ALONE, () => { startMs = performance.now(); }));
    ${sayWhether(1000)}
    Deno.exit(3);`;
  assertEquals(await ended(closed), { code: 3, said: "true" });
});
