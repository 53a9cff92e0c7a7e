/**
 * Decides what a GPU computes of a model: everything, a share beside the threads, or nothing, by
 * what was asked for, what there is and what `doctor` measured. Loads nothing.
 */
import { describeGpu, type GpuDescription } from "../../gpu/planning.ts";
import { UnsupportedModelError } from "../base/errors.ts";
import type { BundleUnit } from "../bundle/types.ts";
import { isSilentKind } from "../model/mod.ts";
import { type GpuOptions, STEP_TOKENS } from "../rank/plan/plan.ts";
import { besideObstacle, gpuObstacle } from "../rank/gpu/obstacle.ts";
import { unitsObstacle } from "../rank/gpu/unit_share.ts";
import { chooseLongSteps } from "./choose_long_steps.ts";
import { fittingContexts, fittingLayers, hasExperts } from "./gpu_memory.ts";
import { expectedSpeeds } from "./gpu_speeds.ts";
import { type GpuMode, hotSharesOf, type LoadOptions } from "./load_options.ts";
import { type DescribedPacked, packedShares } from "./packed_share.ts";
import type { DescribedModel } from "./plan_load.ts";

/** A GPU's part of a model. */
export interface GpuPart {
  readonly share: GpuOptions;
  /** No other thread computes. */
  readonly isAlone: boolean;
  /**
   * Where nobody says how many requests are answered at once: so many have a whole context's keys
   * and values. Left out: one, which all share.
   */
  readonly contexts?: number;
  /** What long steps bring it, for people; left out: nothing. */
  readonly longStepsText?: string;
  /** A software adapter may be used. */
  readonly mayBeSoftware: boolean;
  /** How often neurons fire is known: the GPU has the most frequent ones, not the first ones. */
  readonly isByFrequency: boolean;
  readonly priority: "normal" | "background";
}

export interface GpuDecision {
  /**
   * In the order in which they are tried: one that does not fit the GPU's memory is followed by a
   * smaller one, at first by the same with less room for requests. Empty: the GPU computes nothing.
   */
  readonly parts: readonly GpuPart[];
  /** Where even the last part fails, the threads compute all: only where nobody insists. */
  readonly mayBeWithout: boolean;
  /** What computes and why, for people. */
  readonly reason: string;
  /** Decoded tokens per second that measured rates promise; null: there are none. */
  readonly expectedDecodeTps: number | null;
}

/** The GPU must be so much faster to be worth its noise. */
export const GAIN_MIN = 1.2;
/** Shares that are tried where not all fits. */
const SMALLER_SHARES = [0.5, 0.25];
/**
 * Of silent neurons, where nobody says: PowerInfer-2 has 50 % for one token, 70 % for several (57
 * and 63 are between them) and all for a prompt. 2 to 7 tokens are one size here: they take what 3
 * have. More than 70 % are not held where not all fit.
 */
const HOT_SHARES = [0.5, 0.63, 0.7];

/** @throws {UnsupportedModelError} when a GPU is insisted on that cannot do it. */
export async function chooseGpu(
  of: DescribedModel,
  options: LoadOptions,
  { describe = describeGpu }: { describe?: () => Promise<GpuDescription> } = {},
): Promise<GpuDecision> {
  const { gpu: mode = "auto" } = options;
  if (mode === "off") return without("it was switched off");
  const obstacle = gpuObstacle(of, options);
  if (obstacle !== null) return refuse(mode, obstacle);
  // Whoever wants no part of the GPU for a model that a machine never measured is not kept waiting.
  if (mode === "auto" && options.profile?.gpu === undefined) {
    return without("its speed was never measured: `ganglion doctor` does");
  }
  const description = await describe();
  if (!description.available) return refuse(mode, description.reason ?? "there is none");
  const isSoftware = description.adapter?.isFallback === true;
  if (isSoftware && mode !== "force") {
    return refuse(mode, "there is only a software adapter: `--gpu force` uses it all the same");
  }
  const speeds = expectedSpeeds(of, options);
  const asked = options.gpuLayers !== undefined || options.hotShare !== undefined;
  if (mode === "auto" && !asked && speeds !== null && speeds.gpu < GAIN_MIN * speeds.cpu) {
    return without(
      `it would ${speeds.does} ${speeds.gpu.toFixed(1)} tok/s, the threads ` +
        speeds.cpu.toFixed(1),
    );
  }
  const some = withContexts(partsFor(of, options, isSoftware), of, options);
  const beside = besideObstacle(of.model);
  const parts = some.filter(({ isAlone }) => isAlone || beside === null);
  if (parts.length === 0) {
    return refuse(mode, some.length > 0 ? beside! : "what it may take is no room for a layer");
  }
  const [{ share, isAlone }] = parts;
  // What is brought is said with the part; why nothing is, here.
  const more = isAlone || share.longSteps !== undefined || share.layers === 0
    ? ""
    : `; ${whyNoMore(of, options, share)}`;
  return {
    parts,
    mayBeWithout: mode === "auto",
    reason: `${describePart(parts[0])}${more}`,
    expectedDecodeTps: parts[0].isAlone && speeds?.does === "decode" ? speeds.gpu : null,
  };
}

/** Why a GPU that has a part gets nothing besides. */
function whyNoMore(of: DescribedModel, options: LoadOptions, share: GpuOptions): string {
  return of.packed ? ofPacked(of, of.packed.units) : chooseLongSteps(of, options, share).reason;
}

/** What holds for packed files alone. */
function ofPacked(of: DescribedModel, units: readonly BundleUnit[]): string {
  return unitsObstacle(of, units) ?? "of a packed file the same ones in steps of any length";
}

function without(reason: string): GpuDecision {
  return {
    parts: [],
    mayBeWithout: true,
    reason: `the threads compute all of it; the GPU nothing: ${reason}`,
    expectedDecodeTps: null,
  };
}

function refuse(mode: GpuMode, reason: string): GpuDecision {
  if (mode === "auto") return without(reason);
  throw new UnsupportedModelError(
    `Cannot use the GPU: ${reason}: leave out --gpu ${mode} to compute on the CPU`,
  );
}

/** Heads, and neurons that fire most often, beside the threads that read the others. */
function partsOfPacked(
  of: DescribedPacked,
  options: LoadOptions,
  isSoftware: boolean,
): GpuPart[] {
  return packedShares(of, options).map(({ layers, neurons }) => ({
    share: { heads: 1, neurons: [neurons], hasOutput: layers > 0, layers },
    isAlone: false,
    mayBeSoftware: isSoftware,
    isByFrequency: of.packed.units.every(({ rates }) => rates !== null),
    priority: options.priority ?? "normal",
  }));
}

function partsFor(of: DescribedModel, options: LoadOptions, isSoftware: boolean): GpuPart[] {
  const { packed = null } = of;
  if (packed !== null) return partsOfPacked({ ...of, packed }, options, isSoftware);
  const { config } = of.model;
  const { besideGpu = false, priority = "normal" } = options;
  const layers = Math.min(config.blockCount, options.gpuLayers ?? config.blockCount);
  const asked = hotSharesOf(options);
  // Experts are whole on one side or the other.
  const neurons = config.experts === null ? asked ?? [1] : [hasExperts(of, options) ? 1 : 0];
  const isAlone = neurons[0] === 1 && layers === config.blockCount && !besideGpu;
  const part = (share: GpuOptions, isAlone: boolean): GpuPart => {
    const { longSteps, reason } = isAlone
      ? { longSteps: null, reason: "" }
      : chooseLongSteps(of, options, share);
    return {
      ...{ isAlone, priority },
      share: longSteps === null ? share : { ...share, longSteps },
      longStepsText: longSteps === null ? undefined : reason,
      mayBeSoftware: isSoftware,
      isByFrequency: options.firing !== undefined,
    };
  };
  const whole = { heads: 1, neurons, hasOutput: layers > 0, layers };
  const isSilent = config.experts === null && isSilentKind(config.feedForward.activation);
  // Where experts are too large, heads may still have room.
  const headsOnly = config.experts !== null && neurons[0] === 1
    ? headsParts(of, options, part, layers)
    : [];
  const fitting = fittingLayers(of, options);
  if (fitting < layers) return [...within(fitting, whole, part), ...headsOnly];
  // Of silent neurons the threads have little to compute, of others a layer is as good as another.
  const most = neurons[neurons.length - 1];
  const smaller = SMALLER_SHARES.map((share) =>
    part(
      isSilent && most > 0
        ? { ...whole, neurons: atMost(asked ?? HOT_SHARES, most * share) }
        : { ...whole, layers: Math.floor(layers * share), hasOutput: false },
      false,
    )
  );
  const grows = isSilent && asked === null && most > 0;
  const usual = grows ? [part({ ...whole, neurons: HOT_SHARES }, false)] : [];
  // Heads of all layers are more than none of any.
  const some = smaller.filter(({ share }) => share.layers > 0 || headsOnly.length === 0);
  return [part(whole, isAlone), ...usual, ...some, ...headsOnly];
}

/** Heads of as many layers as there is room for, and no experts; none where there is no room. */
function headsParts(
  of: DescribedModel,
  options: LoadOptions,
  part: (share: GpuOptions, isAlone: boolean) => GpuPart,
  most: number,
): GpuPart[] {
  const layers = Math.min(most, fittingLayers(of, { ...options, hotShare: 0 }));
  return layers === 0 ? [] : [part({ heads: 1, neurons: [0], layers, hasOutput: false }, false)];
}

/** The first part with contexts for several requests before it, where nobody says for how many. */
function withContexts(
  parts: readonly GpuPart[],
  of: DescribedModel,
  options: LoadOptions,
): readonly GpuPart[] {
  const isAuto = options.parallel === "auto" && !of.model.config.isEncoder && !of.packed;
  const contexts = isAuto ? fittingContexts(of, options) : 1;
  return parts.length === 0 || contexts === 1 ? parts : [{ ...parts[0], contexts }, ...parts];
}

/** Shares by step size, none above `most`; the last one is that of longer steps, too. */
function atMost(shares: readonly number[], most: number): number[] {
  const end = shares.findIndex((share) => share >= most);
  return end < 0 ? [...shares] : [...shares.slice(0, end), most];
}

/** So many layers, fewer where that was too hopeful, at last none but what long steps bring. */
function within(
  fitting: number,
  whole: GpuOptions,
  part: (share: GpuOptions, isAlone: boolean) => GpuPart,
): GpuPart[] {
  const counts = new Set([fitting, fitting - 1, Math.floor(fitting / 2), 0]);
  const parts = [...counts]
    .filter((layers) => layers >= 0)
    .map((layers) => part({ ...whole, layers, hasOutput: false }, false));
  // A GPU that has nothing and is brought nothing is none.
  return parts.filter(({ share }) => share.layers > 0 || share.longSteps !== undefined);
}

/** What a GPU computes, for people; null: nothing. */
export function describePart(part: GpuPart): string;
export function describePart(part: GpuPart | null): string | null;
export function describePart(part: GpuPart | null): string | null {
  if (part === null) return null;
  if (part.isAlone) return "the GPU computes all of it";
  const { longStepsText, share: { heads, neurons: [neurons, ...more], layers, hasOutput } } = part;
  const percent = (share: number) => `${Math.round(100 * share)} %`;
  const brought = longStepsText === undefined ? "" : `; ${longStepsText}`;
  if (layers === 0) return `the threads compute all of it${brought}`;
  const longer = more.map((share, step) => `${percent(share)} from ${STEP_TOKENS[step + 1]} on`);
  const bySize = longer.length === 0 ? "" : ` in steps of 1 token (${longer.join(", ")})`;
  const isAllOrNone = more.length === 0 && (neurons === 0 || neurons === 1);
  const which = isAllOrNone
    ? ""
    : part.isByFrequency
    ? ", those that fire most often"
    : ", the first ones (--stats names those that fire most often)";
  return `the GPU computes, of the last ${layers} layers, ${percent(heads)} of the heads and ` +
    `${percent(neurons)} of the neurons${bySize}${which}${hasOutput ? ", and the output" : ""}; ` +
    `threads the rest${brought}`;
}
