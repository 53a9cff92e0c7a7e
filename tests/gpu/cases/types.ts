import type { Gpu } from "../../../gpu/mod.ts";
import type { KernelName } from "../../../gpu/kernels.ts";

/** How shaders are held against their slow twins. */
export interface GpuCase {
  /** The shaders that it is about. */
  readonly kernels: readonly KernelName[];
  /** A sentence. */
  readonly name: string;
  /** Not in the gate: others run the shaders, too, by other types or readings. */
  readonly isDeep?: boolean;
  /** Throws when they differ. */
  readonly run: (gpu: Gpu) => Promise<void>;
}
