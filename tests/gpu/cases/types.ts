import type { Gpu } from "../../../gpu/mod.ts";
import type { KernelName } from "../../../gpu/kernels.ts";

/** How shaders are held against their slow twins. */
export interface GpuCase {
  /** The shaders that it is about. */
  readonly kernels: readonly KernelName[];
  /** A sentence. */
  readonly name: string;
  /** Why the gate leaves it out: who runs its shaders there. Left out: the gate has it. */
  readonly deep?: string;
  /** Throws when they differ. */
  readonly run: (gpu: Gpu) => Promise<void>;
}
