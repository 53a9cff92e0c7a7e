/**
 * Counts how often the neurons of a model fire while it reads a text, group after group of four
 * windows. Can be stopped between groups and go on from there. Knows nothing of files.
 */
import { activation, type ActivationName } from "../reference/activation_ops.ts";
import type { LayerObservation } from "../llm/mod.ts";
import { thresholdsFor } from "./firing_stats.ts";
import { GroupMarks } from "./group_marks.ts";
import { LOUDNESS_BINS, loudnessBin } from "./loudness.ts";
import { type FiringStats, GROUP_WINDOWS } from "./types.ts";

/** A model that shows its neurons: `LoadedModel`. */
export interface Observed {
  observe(ids: readonly number[]): AsyncIterable<LayerObservation>;
}

export interface ProfileInput {
  readonly model: Observed;
  /** Ids of the windows in order, each a text of its own; a group is four of them. */
  readonly windows: readonly (readonly number[])[];
  /** Is added to; whole groups only. */
  readonly stats: FiringStats;
  /** Called when a group is in. */
  readonly onGroup?: (stats: FiringStats) => void;
  /** Called with the tokens that were read so far, those of an unfinished group included. */
  readonly onTokens?: (tokens: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Counts what is not counted yet.
 * @throws the signal's reason when it is aborted; the statistics then end with a whole group.
 */
export async function profileText(input: ProfileInput): Promise<void> {
  const { stats, windows, onGroup } = input;
  const groupOf = (index: number) =>
    windows.slice(index * GROUP_WINDOWS, (index + 1) * GROUP_WINDOWS);
  const marks = new GroupMarks(stats.subject);
  if (stats.loudness !== null && stats.thresholds === null) {
    await listen(input, groupOf(0), stats.loudness);
    stats.thresholds = thresholdsFor(stats, stats.subject.sparsity ?? 0);
    // The first group is heard once more with the others.
    stats.loudness.fill(0);
  }
  while (stats.groupsDone < stats.subject.groupCount) {
    await markGroup(input, groupOf(stats.groupsDone), marks);
    marks.countInto(stats);
    marks.clear();
    stats.groupsDone++;
    onGroup?.(stats);
  }
}

/** Adds the loudness of a group's activations. */
async function listen(
  input: ProfileInput,
  group: readonly (readonly number[])[],
  loudness: Float64Array,
): Promise<void> {
  const act = actOf(input);
  for (const window of group) {
    for await (const { layer, gate } of observe(input, window)) {
      for (let i = 0; i < gate.length; i++) {
        loudness[layer * LOUDNESS_BINS + loudnessBin(act(gate[i]))]++;
      }
    }
  }
}

/** Marks who fires in a group; loudness is added only when the group is whole. */
async function markGroup(
  input: ProfileInput,
  group: readonly (readonly number[])[],
  marks: GroupMarks,
): Promise<void> {
  const { thresholds, loudness } = input.stats;
  const act = actOf(input);
  const heard = new Float64Array(loudness?.length ?? 0);
  const { layerCount, windowTokens } = input.stats.subject;
  let tokens = input.stats.groupsDone * GROUP_WINDOWS * windowTokens;
  for (let window = 0; window < GROUP_WINDOWS; window++) {
    for await (const seen of observe(input, group[window])) {
      const { layer, firstToken, fired, gate } = seen;
      const at = { layer, window, firstToken };
      if (layer === layerCount - 1) input.onTokens?.(tokens += seen.tokens);
      if (thresholds === null) {
        marks.addFired(at, fired);
        continue;
      }
      const threshold = thresholds[layer];
      marks.add({ ...at, length: gate.length }, (i) => {
        const value = Math.abs(act(gate[i]));
        heard[layer * LOUDNESS_BINS + loudnessBin(value)]++;
        return value > threshold;
      });
    }
  }
  loudness?.forEach((count, bin) => loudness[bin] = count + heard[bin]);
}

async function* observe(
  { model, signal }: ProfileInput,
  ids: readonly number[],
): AsyncGenerator<LayerObservation, void> {
  for await (const seen of model.observe(ids)) {
    signal?.throwIfAborted();
    yield seen;
  }
}

function actOf({ stats: { subject } }: ProfileInput): (gate: number) => number {
  const name = subject.activation as ActivationName;
  return (gate) => activation(name, gate);
}
