/** The door of the kernels: compile once, instantiate per thread, call. Contracts: kernels.ts. */
export type { Kernels } from "./kernels.ts";
export { instantiateKernels, loadKernelModule, loadKernelModuleSync } from "./load.ts";
