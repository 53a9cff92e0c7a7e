/** What a request says of sampling, with every default filled in and forced into range. */
import type { SamplingOptions } from "../llm/types.ts";
import { SAMPLER_STEPS, type SamplerStep } from "../base/sampler_steps.ts";

/** What the sampler goes by. */
export interface Settings {
  readonly temperature: number;
  /** 1 to vocabSize, which is all. */
  readonly topK: number;
  readonly typicalP: number;
  readonly topP: number;
  readonly minP: number;
  readonly topNSigma: number;
  readonly xtcProbability: number;
  readonly xtcThreshold: number;
  readonly temperatureRange: number;
  readonly temperatureExponent: number;
  readonly repeatPenalty: number;
  /** -1 = all. */
  readonly repeatLastN: number;
  readonly frequencyPenalty: number;
  readonly presencePenalty: number;
  readonly dryMultiplier: number;
  readonly dryBase: number;
  readonly dryAllowedLength: number;
  /** -1 = all. */
  readonly dryLastN: number;
  readonly mirostat: number;
  readonly mirostatTau: number;
  readonly mirostatEta: number;
  /** -1 = off. */
  readonly adaptiveTarget: number;
  readonly adaptiveDecay: number;
  readonly biasIds: Int32Array;
  readonly biases: Float64Array;
  /** How many of the best ids the steps begin with: `topK`, where it comes first. */
  readonly firstK: number;
  /** The others, in their order, of those that leave something out. */
  readonly steps: readonly SamplerStep[];
  /** Nothing but top-k, top-p, min-p and the temperature is on, in this order. */
  readonly isUsual: boolean;
}

/** Steps that a GPU takes, too, in their order. */
const USUAL_STEPS: readonly SamplerStep[] = ["topP", "minP", "temperature"];

export function readSettings(options: SamplingOptions, vocabSize: number): Settings {
  const bias = [...options.logitBias ?? []].filter(([id]) =>
    Number.isInteger(id) && id >= 0 && id < vocabSize
  );
  const values = readValues(options, vocabSize);
  const order = readOrder(options.steps ?? SAMPLER_STEPS, values, vocabSize);
  return boxed({
    ...values,
    ...order,
    isUsual: values.mirostat === 0 && values.adaptiveTarget < 0 &&
      values.temperatureRange === 0 && isPartOf(order.steps, USUAL_STEPS) &&
      order.steps.includes("temperature"),
    biasIds: Int32Array.from(bias, ([id]) => id),
    biases: Float64Array.from(bias, ([, value]) => value),
  });
}

type Values = Omit<Settings, "biasIds" | "biases" | "firstK" | "steps" | "isUsual">;

function readValues(options: SamplingOptions, vocabSize: number): Values {
  const topK = Math.floor(options.topK ?? 40);
  const { repeatPenalty = 1, mirostat = 0, adaptiveTarget = -1 } = options;
  return {
    // Finite, so that an infinite distance from the best stays infinite.
    temperature: clamp(options.temperature ?? 0.8, 0, Number.MAX_VALUE),
    topK: topK > 0 ? Math.min(topK, vocabSize) : vocabSize,
    typicalP: clamp(options.typicalP ?? 1, 0, 1),
    topP: clamp(options.topP ?? 0.95, 0, 1),
    minP: clamp(options.minP ?? 0.05, 0, 1),
    topNSigma: clamp(options.topNSigma ?? 0, 0, Infinity),
    xtcProbability: clamp(options.xtcProbability ?? 0, 0, 1),
    xtcThreshold: clamp(options.xtcThreshold ?? 0.1, 0, 1),
    temperatureRange: clamp(options.temperatureRange ?? 0, 0, Number.MAX_VALUE),
    temperatureExponent: clamp(options.temperatureExponent ?? 1, 0, Infinity),
    repeatPenalty: repeatPenalty > 0 ? repeatPenalty : 1,
    repeatLastN: Math.max(-1, Math.floor(options.repeatLastN ?? 64)),
    frequencyPenalty: options.frequencyPenalty ?? 0,
    presencePenalty: options.presencePenalty ?? 0,
    dryMultiplier: options.dryMultiplier ?? 0,
    dryBase: options.dryBase ?? 1.75,
    dryAllowedLength: Math.max(0, Math.floor(options.dryAllowedLength ?? 2)),
    dryLastN: Math.max(-1, Math.floor(options.dryLastN ?? -1)),
    mirostat: mirostat === 1 || mirostat === 2 ? mirostat : 0,
    mirostatTau: clamp(options.mirostatTau ?? 5, 0, 100),
    mirostatEta: clamp(options.mirostatEta ?? 0.1, 0, 1),
    adaptiveTarget: adaptiveTarget >= 0 ? Math.min(1, adaptiveTarget) : -1,
    adaptiveDecay: clamp(options.adaptiveDecay ?? 0.9, 0, 0.99),
  };
}

/** The steps that leave something out, but for a top-k that comes first. */
function readOrder(
  asked: readonly SamplerStep[],
  values: Values,
  vocabSize: number,
): Pick<Settings, "firstK" | "steps"> {
  const isOn: Readonly<Record<SamplerStep, boolean>> = {
    topNSigma: values.topNSigma > 0,
    topK: values.topK < vocabSize,
    typicalP: values.typicalP < 1,
    topP: values.topP < 1,
    minP: values.minP > 0,
    xtc: values.xtcProbability > 0 && values.xtcThreshold <= 0.5,
    temperature: true,
  };
  const steps = asked.filter((step) => isOn[step]);
  return steps[0] === "topK"
    ? { firstK: values.topK, steps: steps.slice(1) }
    : { firstK: vocabSize, steps };
}

/** Whether `some` are of `all`, in their order, each once. */
function isPartOf<T>(some: readonly T[], all: readonly T[]): boolean {
  let at = -1;
  return some.every((each) => {
    const next = all.indexOf(each);
    const follows = next > at;
    at = next;
    return follows;
  });
}

/**
 * The settings with numbers that stay objects: one that V8 keeps unboxed in a field would be boxed
 * anew at each call that it does not inline. What began as null is kept as it is put there.
 */
function boxed(settings: Settings): Settings {
  const nothing = Object.keys(settings).map((name) => [name, null] as const);
  return Object.assign(Object.fromEntries(nothing), settings);
}

/** The nearest number from `min` to `max`; `min` for NaN. */
function clamp(value: number, min: number, max: number): number {
  return value > min ? Math.min(max, value) : min;
}
