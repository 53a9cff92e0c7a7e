/**
 * Samples of some layers, by running a text through the engine. What all layers of a large model
 * see does not fit into memory: it is collected in passes, a few layers each.
 */
import type { LoadedModel } from "../../llm/mod.ts";
import { type LayerSamples, sampleBytes, SampleRecorder } from "../../train/mod.ts";
import type { TrainableModel } from "./check_trainable.ts";

/** Layers first .. first + count − 1. */
export interface LayerRange {
  readonly first: number;
  readonly count: number;
}

/** What a text is cut into. */
export interface Windows {
  /** Ids of each, BOS first where the model adds one. */
  readonly ids: readonly (readonly number[])[];
  /** Samples of a layer that they give together. */
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

/** Which layers are collected together, so that their samples take at most `bytes`, if possible. */
export function planPasses(
  { layerCount, inputLength, neuronCount }: TrainableModel,
  { samples, bytes }: { samples: number; bytes: number },
): LayerRange[] {
  const perLayer = samples * sampleBytes(inputLength, neuronCount);
  const most = Math.max(1, Math.floor(bytes / perLayer));
  // As many passes as are needed, all of nearly the same size.
  const passCount = Math.ceil(layerCount / most);
  return Array.from({ length: passCount }, (_, pass) => {
    const first = Math.floor(pass * layerCount / passCount);
    return { first, count: Math.floor((pass + 1) * layerCount / passCount) - first };
  });
}

/** Runs the windows and returns the samples of each layer of the range. */
export async function collectSamples(
  model: Pick<LoadedModel, "observe">,
  windows: Windows,
  { layers, trainable, signal, onProgress }: {
    layers: LayerRange;
    trainable: TrainableModel;
    signal: AbortSignal;
    onProgress: (doneTokens: number) => void;
  },
): Promise<LayerSamples[]> {
  const { inputLength: d, neuronCount: n } = trainable;
  const room = windows.sampleCount;
  const recorders = Array.from(
    { length: layers.count },
    () => new SampleRecorder({ inputLength: d, neuronCount: n, room }),
  );
  let done = 0;
  for (const ids of windows.ids) {
    for await (const { layer, firstToken, tokens, residual, fired } of model.observe(ids)) {
      signal.throwIfAborted();
      if (layer === trainable.layerCount - 1) onProgress(done += tokens);
      const recorder = recorders[layer - layers.first];
      if (recorder === undefined) continue;
      for (let t = firstToken === 0 ? 1 : 0; t < tokens; t++) {
        recorder.add(residual.subarray(t * d, (t + 1) * d), fired.subarray(t * n, (t + 1) * n));
      }
    }
  }
  return recorders.map((recorder) => recorder.samples());
}
