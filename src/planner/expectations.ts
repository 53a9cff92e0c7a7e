/**
 * What a model that is run in some way is expected to do, with so many slots: of plans that are
 * weighed, and of the one that was laid out, which may have other room than its planner thought.
 * Knows no budget.
 */
import { withLookUps } from "./looked_up.ts";
import { HOT_SHARE_MAX, PREDICTED_PER_ACTIVE, PREFILL_MACS_PER_THREAD } from "./calibration.ts";
import { type DecodeInput, expectDecode } from "./decode_time.ts";
import { type FiringRates, firingRates } from "./firing_rates.ts";
import { hitRate, ratesOfBatch } from "./hit_rate.ts";
import {
  canPredict,
  type FixedModel,
  fixedModel,
  fixedWeightCount,
  sumUnits,
  type UnitSums,
} from "./model_bytes.ts";
import type { ExpectedDecode, MemoryPlan, PlanInput } from "./plan_types.ts";
import { answeringLayers } from "./source_share.ts";
import { sum } from "./sums.ts";
import { expectWholeUnits, missingBytes } from "./whole_units.ts";

const HOT_STEPS = 16;

/** How a model was laid out. */
export interface LaidOut extends Pick<MemoryPlan, "way" | "slots" | "chunkTokens" | "ioWorkers"> {
  /** Share of its neurons, or of its units where these come as wholes, that have room. */
  readonly residentShare: number;
  /** Units that come as wholes, but for those that every token needs. Left out: these, too. */
  readonly keepsCommon?: boolean;
}

/** What is expected of a model as it was laid out, whatever was thought of the way before. */
export function expectLaidOut(
  input: PlanInput,
  { way, slots, residentShare, keepsCommon, ...choice }: LaidOut,
): Pick<MemoryPlan, "expected" | "prefillTokensPerSecond" | "hotFractions"> {
  const isWhole = way === "units";
  const expectations = new Expectations(isWhole ? { ...input, isSparse: false } : input);
  const { sums, rates } = expectations;
  const kept = { residentShare, keepsCommon };
  const comingShare = isWhole
    ? missingBytes(sums, input.units.length, kept).ofAll / Math.max(1, sums.bundleBytes)
    : 1 - residentShare;
  const prefillTokensPerSecond = expectations.prefill(choice.chunkTokens, 1 - comingShare);
  if (way === "resident") {
    const expected = expectations.ofResident(choice.chunkTokens);
    return { expected, prefillTokensPerSecond, hotFractions: [1] };
  }
  if (isWhole) {
    const fixed = expectations.fixedOf({ way: "gates", ...choice });
    const of = { input, sums, fixed, firing: rates.perToken };
    const expected = expectWholeUnits(of, kept);
    return { expected, prefillTokensPerSecond, hotFractions: [0] };
  }
  const hot = expectations.hot(slots);
  return {
    expected: expectations.decode(way, choice, { rate: hot[0].rate, share: residentShare }),
    prefillTokensPerSecond,
    hotFractions: hot.map(({ share }) => share),
  };
}

export class Expectations {
  readonly sums: UnitSums;
  readonly rates: FiringRates;
  readonly ways: readonly ("gates" | "predictor")[];
  readonly #in: PlanInput;
  readonly #fixed = new Map<string, FixedModel>();

  constructor(input: PlanInput) {
    this.#in = input;
    this.sums = sumUnits(input);
    const { model: { config }, units, stats, isSparse } = input;
    const activation = isSparse === false ? "silu" : config.feedForward.activation;
    const feedForward = { ...config.feedForward, activation };
    this.rates = firingRates(units, { ...config, feedForward }, stats);
    const { ways = ["gates", "predictor"] } = input;
    const canAsk = isSparse !== false && canPredict(input);
    this.ways = canAsk ? ways : ["gates"];
  }

  fixedOf({ way, chunkTokens }: { way: "gates" | "predictor"; chunkTokens: number }): FixedModel {
    const key = `${way} ${chunkTokens}`;
    let fixed = this.#fixed.get(key);
    if (fixed === undefined) {
      fixed = fixedModel(this.#in, { hasPredictors: way === "predictor", chunkTokens });
      this.#fixed.set(key, fixed);
    }
    return fixed;
  }

  /**
   * rate: of firings that find their neuron; share: of neurons that have slots. Who is named in
   * vain nearly fires, as often as who does, or is anyone: half and half (NOTES.md).
   */
  decode(
    way: DecodeInput["way"],
    choice: Pick<LaidOut, "chunkTokens" | "ioWorkers">,
    { rate, share }: { rate: number; share: number },
  ): ExpectedDecode {
    const { profile, threads, contextLength, model: { config } } = this.#in;
    const fixed = this.fixedOf({ ...choice, way: way === "predictor" ? way : "gates" });
    return expectDecode({
      ...{ way, profile, threads, contextLength, sums: this.sums, hitRate: rate },
      ioWorkers: choice.ioWorkers,
      layers: answeringLayers(config),
      isSparse: this.rates.source !== "all",
      firing: this.rates.perToken,
      fixedBytes: fixed.readPerToken,
      predictorBytes: fixed.readPerToken -
        this.fixedOf({ ...choice, way: "gates" }).readPerToken,
      predictedPerActive: this.#in.predictedPerActive ?? PREDICTED_PER_ACTIVE,
      vainHitRate: this.#in.predictedPerActive === undefined ? rate : (rate + share) / 2,
      contextBytes: sum(fixed.ranks.map(({ context }) => context)),
      readsGatesFirst: this.#in.readsGatesFirst,
    });
  }

  /** A piece of a prompt reads all neurons once, in long reads, while it computes. */
  prefill(chunkTokens: number, residentShare: number): number {
    const { profile, threads } = this.#in;
    const weights = fixedWeightCount(this.#in) + this.sums.usedWeights;
    const computing = chunkTokens * weights / (threads * PREFILL_MACS_PER_THREAD);
    const bytes = this.sums.bundleBytes * Math.max(0, 1 - residentShare);
    return chunkTokens / Math.max(computing, bytes / profile.disk.sequentialBytesPerS);
  }

  hotShareMax(more: number): number {
    // Without counts nobody knows which clusters are hot.
    return this.rates.source === "assumed" ? 0 : HOT_SHARE_MAX[more];
  }

  /** The best of some shares of the slots that may be hot while `more` + 1 sequences decode. */
  bestHot(
    more: number,
    slots: number,
    shares: readonly number[],
  ): { share: number; rate: number } {
    const bins = ratesOfBatch(this.rates.bins, more + 1);
    return shares
      .map((share) => ({ share, rate: hitRate(bins, slots, Math.floor(share * slots)) }))
      .reduce((best, each) => each.rate > best.rate ? each : best);
  }

  /** In memory, too, predictors are asked where that is faster than all gates. */
  ofResident(chunkTokens: number): ExpectedDecode {
    const [gates, predicted] = (["resident", "predictor"] as const)
      .map((way) => this.decode(way, { chunkTokens, ioWorkers: 1 }, { rate: 1, share: 1 }));
    const isPredicted = this.ways.includes("predictor") &&
      predicted.tokensPerSecond > gates.tokensPerSecond;
    return withLookUps(this.#in, isPredicted ? predicted : gates);
  }

  /** The best shares of so many slots that are hot, by how many sequences are decoded. */
  hot(slots: number): { share: number; rate: number }[] {
    return HOT_SHARE_MAX.map((_, more) => {
      const most = this.hotShareMax(more);
      const steps = most === 0 ? 0 : HOT_STEPS;
      const tried = Array.from({ length: steps + 1 }, (_, i) => most * i / HOT_STEPS);
      return this.bestHot(more, slots, tried);
    });
  }
}
