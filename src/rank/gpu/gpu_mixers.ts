/**
 * What a layer on the GPU has that mixes tokens: heads, or a convolution in their place, or states,
 * which may be beside heads. Several of them read one norm, and their outcomes add up. Decides
 * which there are; each is a file of its own.
 */
import type { GpuMatrix, KvCache, ProgramBuilder, Rows } from "../../../gpu/mod.ts";
import { addConvolution, loadConvolution } from "./gpu_convolution.ts";
import { addHeads, headReaders, type HeadsStep } from "./gpu_heads.ts";
import type { GpuSpace } from "./gpu_space.ts";
import { addStates, loadStates } from "./gpu_states.ts";
import type { Stacked } from "./gpu_weights.ts";
import { type LayerLoading, loadAttention } from "./layer_weights.ts";

export interface Mixer {
  /** All matrices that read the norm. */
  readonly readers: readonly GpuMatrix[];
  /** What it gives, and what merges that. */
  readonly gives: Rows;
  readonly output: Stacked;
  /** Its keys and values; null: it has none. */
  readonly cache: KvCache | null;
  /** Adds its dispatches: `gives` = what it makes of `step.x`. */
  add(builder: ProgramBuilder, step: HeadsStep): void;
}

/** @throws {GpuOutOfMemoryError} when the GPU has no room for them. */
export async function loadMixers(input: LayerLoading & { space: GpuSpace }): Promise<Mixer[]> {
  const { space } = input;
  const mixers: Mixer[] = [];
  const heads = await loadAttention(input);
  if (heads !== null) {
    mixers.push({
      readers: headReaders(heads),
      ...{ gives: space.attention, output: heads.output, cache: heads.cache },
      add: (builder, step) => addHeads(builder, heads, input, step),
    });
  }
  const convolution = await loadConvolution(input);
  if (convolution !== null) {
    mixers.push({
      readers: convolution.projections.map(({ stacked: { matrix } }) => matrix),
      ...{ gives: space.attention, output: convolution.output, cache: null },
      add: (builder, step) => addConvolution(builder, convolution, space, step),
    });
  }
  const states = await loadStates(input);
  if (states !== null) {
    mixers.push({
      readers: states.projections.map(({ stacked: { matrix } }) => matrix),
      ...{ gives: space.scanned, output: states.output, cache: null },
      add: (builder, step) => addStates(builder, states, space, step),
    });
  }
  return mixers;
}
