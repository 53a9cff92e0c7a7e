/** What a thread is told of the GPU that its rank is to be on: plain data, can be posted. */
import type { TensorReader } from "../../gguf/tensor_reader.ts";

/** Which GPU, and how it is used. */
export interface GpuSetup {
  /** A software adapter may be used. */
  readonly mayBeSoftware: boolean;
  readonly priority: "normal" | "background";
  /** What `doctor` found to be fastest there (gpu/autotune.ts); null: it is tried now. */
  readonly tuning: string | null;
  /** Most bytes on it; null: what it gives. */
  readonly memoryBytes: number | null;
  /** It is lost in the step of that number, counted from 1 (for tests); null: never. */
  readonly lossAtStep: number | null;
  /**
   * The most that tokens of one wait take together, ms; null: as many as nobody notices, and on
   * software one.
   */
  readonly waitMs: number | null;
}

/** What a page does otherwise than a thread of Deno does. */
export interface GpuHost {
  /** The model's bytes; left out: its files are opened. */
  readonly reader?: TensorReader;
  /** Whoever runs a step awaits `RankRunner.arrived` after it; left out: steps wait on the spot. */
  readonly awaitsLogits?: boolean;
}
