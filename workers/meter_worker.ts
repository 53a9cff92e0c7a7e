/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/** Entry of a thread that only reads memory, beside others that do: how fast all of them can. */
import { instantiateKernels } from "../wasm/mod.ts";
import { answerCalls, leave } from "./answer.ts";

const PAGE_BYTES = 65536;

answerCalls("meter", {
  readMemory({ module, sizeBytes, passes, arrivals, threads }) {
    const pages = sizeBytes / PAGE_BYTES;
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    new Uint8Array(memory.buffer).fill(1); // pages that were never written are not there to be read
    const kernels = instantiateKernels(module, memory);
    const ms: number[] = [];
    for (let pass = 0; pass < passes; pass++) {
      waitForAll(new Int32Array(arrivals), (pass + 1) * threads);
      const startMs = performance.now();
      kernels.read_only(0, sizeBytes);
      ms.push(performance.now() - startMs);
    }
    return { ms };
  },
  close() {
    leave();
    return {};
  },
});

/** Arrives, and sleeps until `count` arrivals were counted. */
function waitForAll(arrivals: Int32Array, count: number): void {
  let seen = Atomics.add(arrivals, 0, 1) + 1;
  Atomics.notify(arrivals, 0);
  while (seen < count) {
    Atomics.wait(arrivals, 0, seen);
    seen = Atomics.load(arrivals, 0);
  }
}
