/**
 * Trains the layers of a model that are not trained yet: collects what some of them see, trains
 * their predictors on all threads, keeps each layer as it is done.
 */
import { loadKernelModule } from "../../../wasm/mod.ts";
import { TrainerPool } from "../../../workers/mod.ts";
import { UsageError } from "../../base/errors.ts";
import { MiB } from "../../base/units.ts";
import type { LoadedModel } from "../../llm/mod.ts";
import { type KeptLayers, type PredictorType, SAMPLES_MIN, trainLayer } from "../../train/mod.ts";
import { Interrupt } from "../interrupt.ts";
import { loadForVerb } from "../load.ts";
import { Progress } from "../progress.ts";
import type { TrainableModel } from "./check_trainable.ts";
import { collectSamples, cutWindows, planPasses, type Windows } from "./collect_samples.ts";

/** What a training works with. */
export interface TrainingJob {
  readonly input: string;
  readonly text: string;
  readonly trainable: TrainableModel;
  /** Goes in, and comes out with every layer. */
  readonly kept: KeptLayers;
  readonly options: TrainingSettings;
}

/** What users choose of it. */
export interface TrainingSettings {
  readonly rank: number | "auto";
  readonly recall: number;
  readonly tokens: number;
  readonly epochs: number;
  readonly type?: PredictorType;
  readonly memory: number;
  readonly seed: number;
  readonly threads?: number;
  readonly special?: boolean;
}

/** Tokens of a text that see one another. */
const WINDOW_TOKENS = 512;
/** What layers show of a step: a mixture of 47 billion weights shows 4 MiB a token. */
const OBSERVED_BYTES_MAX = 256 * MiB;
/** So many times the least are enough to learn from. */
const GOOD_FACTOR = 20;

/**
 * @throws {UsageError} when the text is too short.
 * @throws the reason of an interruption.
 */
export async function trainLayers(job: TrainingJob): Promise<void> {
  const { input, text, trainable, kept, options } = job;
  const layerCount = trainable.layers.length;
  const missing = trainable.layers.map((_, layer) => layer).filter((layer) => !kept.has(layer));
  if (missing.length === 0) return;
  await using model = await loadForVerb(input, {
    threads: options.threads,
    observe: ["fired", "residual", "chosen"],
    observeBytesMax: OBSERVED_BYTES_MAX,
    predictor: "off",
    contextLength: Math.min(WINDOW_TOKENS, trainable.contextLength),
  });
  // While it was loaded there was nothing to end in order.
  using interrupt = new Interrupt();
  const { signal } = interrupt;
  const windows = windowsOf(model, trainable, { text, options });
  const { sampleCount: samples } = windows;
  using progress = new Progress(`Training ${model.id}`);
  let doing = "";
  let predictors = 0;
  const show = () => progress.update(kept.count, layerCount, doing);
  const threads = options.threads ?? navigator.hardwareConcurrency;
  await using pool = new TrainerPool({
    ...{ threads, signal },
    module: await loadKernelModule(),
    onTrained(_samples, rank) {
      doing = `${kept.count} of ${layerCount} layers, ${predictors} predictors, now rank ${rank}`;
      show();
    },
  });
  for (const wanted of planPasses(trainable, missing, { samples, bytes: options.memory })) {
    const collected = await collectSamples(model, windows, {
      ...{ wanted, trainable, signal },
      onProgress(tokens) {
        doing = `${describeLayers(wanted)} have seen ${tokens} tokens`;
        show();
      },
    });
    const jobs = wanted.map((layer, i) => async () => {
      const { gateRowBytes, usedCount } = trainable.layers[layer];
      const result = await trainLayer(collected[i], {
        ...{ rank: options.rank, recall: options.recall, epochs: options.epochs },
        types: typesOf(trainable, options),
        ...{ seed: options.seed + layer, gateRowBytes, usedCount },
      }, async (samples, training) => {
        const predictor = await pool.train(samples, training);
        predictors++;
        return predictor;
      });
      kept.add(layer, result);
    });
    await runSome(jobs, layersAtOnce(trainable, wanted, threads));
  }
}

/** The types that predictors may get. */
export function typesOf(
  { types }: Pick<TrainableModel, "types">,
  { type }: Pick<TrainingSettings, "type">,
): readonly PredictorType[] {
  return type === undefined ? types : [type];
}

/** So many that no thread waits while the last experts of a layer are trained. */
function layersAtOnce(
  { layers }: TrainableModel,
  [first]: readonly number[],
  threads: number,
): number {
  return 1 + Math.ceil(threads / layers[first].blockCount);
}

/** Runs jobs in their order, some at a time. Rejects with the first failure once all have ended. */
async function runSome(jobs: readonly (() => Promise<void>)[], atOnce: number): Promise<void> {
  let next = 0;
  const work = async () => {
    while (next < jobs.length) await jobs[next++]();
  };
  const ends = await Promise.allSettled(Array.from({ length: atOnce }, work));
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}

function describeLayers(layers: readonly number[]): string {
  const [first, last] = [layers[0], layers[layers.length - 1]];
  return first === last ? `layer ${first}` : `layers ${first} to ${last}`;
}

function windowsOf(
  model: LoadedModel,
  { layers }: TrainableModel,
  { text, options: { tokens, special } }: Pick<TrainingJob, "text" | "options">,
): Windows {
  const { addBos, bosId } = model.tokenizer;
  const windows = cutWindows(model.tokenizer.encode(text, { special }), {
    length: model.contextLength,
    samples: tokens,
    bosId: addBos ? bosId : null,
  });
  // So many that experts of a layer get enough on average, and one of them does.
  const rarest = Math.max(...layers.map(({ blockCount, usedCount }) => blockCount / usedCount));
  const least = Math.ceil(SAMPLES_MIN * rarest);
  if (windows.sampleCount >= least) return windows;
  const isDense = rarest === 1;
  throw new UsageError(
    `Cannot train on ${windows.sampleCount} tokens: at least ${least} are needed` +
      `${isDense ? "" : ", for each is seen by few experts"}, and ` +
      `${isDense ? "some ten thousand" : least * GOOD_FACTOR} are good: give a longer text with ` +
      "--file, or more --tokens",
  );
}
