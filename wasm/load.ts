/** kernels.wasm as a module, and the module on a memory. Knows nothing of what the kernels do. */
import type { Kernels } from "./kernels.ts";

const WASM_URL = new URL("./kernels.wasm", import.meta.url);

/** Compiles kernels.wasm. The module can be posted to Workers. */
export async function loadKernelModule(): Promise<WebAssembly.Module> {
  return await WebAssembly.compile(await Deno.readFile(WASM_URL));
}

/** The same without waiting, for scripts and tests. */
export function loadKernelModuleSync(): WebAssembly.Module {
  return new WebAssembly.Module(Deno.readFileSync(WASM_URL));
}

/**
 * The kernels over `memory`, which is shared and has a maximum of at most 65,536 pages. Any number
 * of instances, on any threads, may work on one memory: a kernel keeps no state.
 */
export function instantiateKernels(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
): Kernels {
  const instance = new WebAssembly.Instance(module, { env: { memory, abort } });
  return instance.exports as unknown as Kernels;
}

/** What AssemblyScript calls for a failed assertion; the kernels are built without any. */
function abort(): never {
  throw new Error("Cannot go on: a kernel called abort()");
}
