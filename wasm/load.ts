/** kernels.wasm as a module, and the module on a memory. Knows nothing of what the kernels do. */
import type { Kernels } from "./kernels.ts";

const WASM_URL = new URL("./kernels.wasm", import.meta.url);

/** Compiled once in an isolate: that takes 15 ms, and what V8 has optimised goes with a module. */
let kept: WebAssembly.Module | undefined;

/** kernels.wasm, compiled. The module can be posted to Workers. */
export async function loadKernelModule(): Promise<WebAssembly.Module> {
  return kept ??= await WebAssembly.compile(await Deno.readFile(WASM_URL));
}

/** The same without waiting, for scripts and tests. */
export function loadKernelModuleSync(): WebAssembly.Module {
  return kept ??= new WebAssembly.Module(Deno.readFileSync(WASM_URL));
}

/** What kernels of an instance do otherwise than those of another one. */
export interface KernelOptions {
  /**
   * Products of several tokens add up int8 products by fours, not by pairs: the same bits. Which is
   * faster is the machine's business (src/rank/load/tune.ts). Default false.
   */
  readonly sumsByFours?: boolean;
}

/**
 * The kernels over `memory`, which is shared and has a maximum of at most 65,536 pages. Any number
 * of instances, on any threads, may work on one memory: a kernel keeps no state.
 */
export function instantiateKernels(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  { sumsByFours = false }: KernelOptions = {},
): Kernels {
  const env = { memory, abort, sums_by_fours: sumsByFours ? 1 : 0 };
  return new WebAssembly.Instance(module, { env }).exports as unknown as Kernels;
}

/** What AssemblyScript calls for a failed assertion; the kernels are built without any. */
function abort(): never {
  throw new Error("Cannot go on: a kernel called abort()");
}
