/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/**
 * The engine's thread, with faults: a prompt that ends with one of FAULTS' ids, or with DIES, makes
 * it hang, trap or die. Everything else is the real one.
 */
import { arm } from "./faulty_kernels.ts";

/** Ids of the tiny models' vocabulary that no test needs otherwise. */
const FAULTS: Readonly<Record<number, () => void>> = {
  101: hang,
  102: () => {
    throw new WebAssembly.RuntimeError("unreachable");
  },
};
const DIES = 103;

/** Threads cannot be ended from outside: this hang ends by itself, long after it was noticed. */
const HANG_MS = 1_500;

function hang(): void {
  const startMs = performance.now();
  while (performance.now() - startMs < HANG_MS);
  throw new Error("the hang is over");
}

/** As often as this script: a thread of a pool (thread_pool.ts) has it several times. */
const { search } = new URL(import.meta.url);
const real = import(`../../workers/engine_worker.ts${search}`).then(() => {
  const answer = self.onmessage as (event: MessageEvent) => void;
  self.onmessage = receive;
  return answer;
});
self.onmessage = receive;

async function receive(
  event: MessageEvent<{ call: string; params: { ids?: number[] } }>,
): Promise<void> {
  const answer = await real;
  const { call, params } = event.data;
  const ids = call === "generate" ? idsOf(params) : [];
  const last = ids.at(-1) ?? -1;
  if (last === DIES) {
    setTimeout(() => {
      throw new Error("uncaught");
    }, 0);
    return;
  }
  if (last in FAULTS) arm(FAULTS[last]);
  answer(event);
}

/** Of a request, or of a message that holds one. */
function idsOf(params: { ids?: number[]; request?: { ids?: number[] } }): number[] {
  return params.ids ?? params.request?.ids ?? [];
}
