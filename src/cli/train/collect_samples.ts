/**
 * Samples of some layers, by running a text through the engine. What all layers of a large model
 * see does not fit into memory: it is collected in passes, a few layers each.
 */
import type { LayerObservation, LoadedModel } from "../../llm/mod.ts";
import { type BlockSamples, sampleBytes, SampleRecorder } from "../../train/mod.ts";
import type { TrainableLayer, TrainableModel } from "./check_trainable.ts";

/** What a text is cut into. */
export interface Windows {
  /** Ids of each, BOS first where the model adds one. */
  readonly ids: readonly (readonly number[])[];
  /** Tokens that they give samples of. */
  readonly sampleCount: number;
}

/**
 * Cuts a text's ids into windows. Each is a text of its own; its first token gives no sample: the
 * stream is like no other there, and a token that is generated is never the first.
 */
export function cutWindows(
  ids: readonly number[],
  { length, samples, bosId }: { length: number; samples: number; bosId: number | null },
): Windows {
  const windows: number[][] = [];
  const head = bosId === null ? [] : [bosId];
  const step = length - head.length;
  let sampleCount = 0;
  for (let begin = 0; begin < ids.length && sampleCount < samples; begin += step) {
    const missing = samples - sampleCount;
    const window = [...head, ...ids.slice(begin, begin + step)].slice(0, missing + 1);
    if (window.length < 2) break;
    windows.push(window);
    sampleCount += window.length - 1;
  }
  return { ids: windows, sampleCount };
}

/**
 * Which of the layers `wanted` are collected together, so that their samples take at most `bytes`,
 * if possible.
 */
export function planPasses(
  { layers }: Pick<TrainableModel, "layers">,
  wanted: readonly number[],
  { samples, bytes }: { samples: number; bytes: number },
): number[][] {
  const perLayer = samples * Math.max(...layers.map(sampleBytes));
  const most = Math.max(1, Math.floor(bytes / perLayer));
  // As many passes as are needed, all of nearly the same size.
  const passCount = Math.ceil(wanted.length / most);
  const beginOf = (pass: number) => Math.floor(pass * wanted.length / passCount);
  return Array.from(
    { length: passCount },
    (_, pass) => wanted.slice(beginOf(pass), beginOf(pass + 1)),
  );
}

/** What is collected of a model. */
interface Collected {
  /** Their numbers. */
  readonly wanted: readonly number[];
  readonly trainable: Pick<TrainableModel, "layers" | "shownNeurons">;
  readonly signal: AbortSignal;
  readonly onProgress: (doneTokens: number) => void;
}

/**
 * Runs the windows.
 * @returns the samples of each wanted layer: of its only block, or of each expert.
 */
export async function collectSamples(
  model: Pick<LoadedModel, "observe">,
  windows: Windows,
  { wanted, trainable, signal, onProgress }: Collected,
): Promise<BlockSamples[][]> {
  const { layers, shownNeurons } = trainable;
  const recorders = new Map(
    wanted.map((layer) => [layer, new SampleRecorder(layers[layer], windows.sampleCount)]),
  );
  let done = 0;
  for (const ids of windows.ids) {
    for await (const seen of model.observe(ids)) {
      signal.throwIfAborted();
      if (seen.layer === layers.length - 1) onProgress(done += seen.tokens);
      const recorder = recorders.get(seen.layer);
      if (recorder !== undefined) record(recorder, layers[seen.layer], shownNeurons, seen);
    }
  }
  return [...recorders.values()].map((recorder) => recorder.samples());
}

/** shownNeurons: a token's; those of a layer's blocks come first. */
function record(
  recorder: SampleRecorder,
  { isMixture, inputLength: d, neuronCount, blockCount }: TrainableLayer,
  shownNeurons: number,
  { firstToken, tokens, residual, fired, chosen }: LayerObservation,
): void {
  for (let t = firstToken === 0 ? 1 : 0; t < tokens; t++) {
    const neurons = t * shownNeurons;
    recorder.add(
      residual.subarray(t * d, (t + 1) * d),
      fired.subarray(neurons, neurons + blockCount * neuronCount),
      isMixture ? chosen.subarray(t * blockCount, (t + 1) * blockCount) : null,
    );
  }
}
