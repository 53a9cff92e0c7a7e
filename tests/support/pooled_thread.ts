/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/** A thread's side of thread_pool.ts: is the thread of one script after another. */
import { boundSpin } from "../../src/memory/control.ts";
import { sharedDevice } from "./shared_device.ts";
import { sizesAsData, type SizesOptions } from "./sizes_as_data.ts";

/** What the pool says to a thread. */
export type ToPool = Begin | { readonly pool: "end" };

interface Begin {
  readonly pool: "begin";
  readonly script: string;
  readonly turn: number;
  /** As the test's own thread has it: sizes_as_data.ts. */
  readonly sizes: SizesOptions | null;
}

/** What a thread says to the pool. */
export type FromPool =
  | { readonly pool: "begun"; readonly turn: number }
  | { readonly pool: "ended"; readonly hadGpu: boolean };

const close = self.close.bind(self);
const device = sharedDevice();
/** What came while the script was being loaded; null: it is. */
let early: MessageEvent[] | null = null;

// Another part of the suite has a core, too. A sleep costs no more than so many probes, 20 µs.
boundSpin(500);

// A script that ends its thread only stops being it.
Object.defineProperty(self, "close", { value: () => {} });

self.addEventListener("message", (event: MessageEvent) => {
  const message: Partial<ToPool> = event.data;
  if (message.pool === undefined) {
    if (early === null) return; // to the script's own listener
    event.stopImmediatePropagation();
    early.push(event);
    return;
  }
  event.stopImmediatePropagation();
  if (message.pool === "end") end();
  else begin(event.data);
});

async function begin({ script, turn, sizes }: Begin): Promise<void> {
  early = [];
  if (sizes !== null) sizesAsData(sizes);
  self.onmessage = null;
  // What a blob's address has behind "?" is part of its name.
  await import(`${script}${script.startsWith("blob:") ? "#" : "?"}turn=${turn}`);
  // Else nothing it is asked would ever be answered: the test would hang.
  if (self.onmessage === null) {
    throw new Error(`${script} hears nothing in turn ${turn}: what it imports is not run again`);
  }
  self.postMessage({ pool: "begun", turn } satisfies FromPool);
  const messages = early;
  early = null;
  for (const { data } of messages) self.dispatchEvent(new MessageEvent("message", { data }));
}

function end(): void {
  const hadGpu = device.close();
  self.postMessage({ pool: "ended", hadGpu } satisfies FromPool);
  close();
}
