/** `plan MODEL`: what would go where within a memory budget, and the speed to expect. */
import type { Command } from "commander";
import { loadKernelModule } from "../../../wasm/mod.ts";
import { UsageError } from "../../base/errors.ts";
import { formatBytes, formatNeeded } from "../../base/units.ts";
import { sourceFingerprint } from "../../bundle/mod.ts";
import {
  chooseGpu,
  describeForUse,
  openForUse,
  type PlannedModel,
  planWhole,
  planWithin,
} from "../../llm/mod.ts";
import { layerNeurons } from "../../model/mod.ts";
import type { ModelConfig } from "../../model/types.ts";
import type { MemoryPlan } from "../../planner/mod.ts";
import { type FiringStats, readStats } from "../../stats/mod.ts";
import { type AdapterFlags, addAdapterOptions } from "../adapter_options.ts";
import {
  addGpuOptions,
  fileCacheOption,
  gatesFirstOption,
  type LoadFlags,
  predictorOption,
  threadCount,
  toLoadOptions,
  writeOutOption,
} from "../load.ts";
import { machineProfile } from "../machine.ts";
import { byteSize, wholeNumber } from "../option_values.ts";
import { ratesOf } from "../quiet_neurons.ts";
import { writeJson, writeOutLine } from "../output.ts";
import { formatPlan } from "../plan/format_plan.ts";
import { createPlanReport } from "../plan/plan_report.ts";
import { createDataVerb, requireModel } from "../verb.ts";

type GpuFlags = "gpu" | "gpuLayers" | "hotShare" | "gpuMemory" | "gpuStreamFrom" | "priority";
type PlanFlags = Pick<
  LoadFlags,
  "threads" | "ctxSize" | "dense" | "predictor" | "gatesFirst" | "fileCache" | "writeOut" | GpuFlags
>;

interface Options extends PlanFlags, AdapterFlags {
  readonly memory?: number;
  readonly stats?: string;
  readonly parallel?: number;
  readonly json?: boolean;
}

/** Of the memory that is free, what a model may take when nobody says. */
const SHARE_OF_AVAILABLE = 0.9;

export function planVerb(): Command {
  const verb = createDataVerb("plan", "Print what goes where in memory, and the speed to expect.")
    .argument("[model]", "a .gguf or .ganglion file")
    .option(
      "--memory <size>",
      "most memory that all of it may take (default: 90 % of what is free)",
      byteSize,
    )
    .option("--threads <n>", "threads that compute (default: one per core)", threadCount)
    .option("--ctx-size <n>", "tokens of prompt and answer together", wholeNumber({ min: 1 }))
    .option(
      "--parallel <n>",
      "requests at the same time, each with keys and values of its own (default: 1, as run has; " +
        "serve has up to 4)",
      wholeNumber({ min: 1, max: 64 }),
    )
    .option("--dense", "compute every neuron, also of models whose neurons are mostly silent")
    .addOption(predictorOption())
    .addOption(gatesFirstOption())
    .addOption(fileCacheOption())
    .addOption(writeOutOption())
    .option("--stats <file>", "statistics of the model, by profile: how often neurons fire")
    .action(plan);
  return addAdapterOptions(addGpuOptions(verb));
}

async function plan(path: string | undefined, options: Options): Promise<void> {
  const modelPath = requireModel(path);
  const { parallel } = options;
  const load = { ...toLoadOptions({ ...options, stats: undefined }), parallel };
  const { file, packed } = openForUse(modelPath, load);
  const model = describeForUse(file, load);
  const source = () => sourceFingerprint({ file, packed });
  const stats = options.stats === undefined ? null : statsOf(options.stats, model.config, source);
  const profile = machineProfile();
  const budgetBytes = options.memory ??
    Math.floor(Deno.systemMemoryInfo().available * SHARE_OF_AVAILABLE);
  const module = await loadKernelModule();
  const firing = stats === null ? undefined : ratesOf(stats);
  const gpu = await chooseGpu({ file, packed, model }, { ...load, profile, firing });
  const of = { file, packed, model };
  const loading = { ...load, profile, stats, budgetBytes };
  const planned = planWithin(of, module, loading, packed === null ? null : gpu.parts[0]);
  // A plain file is always read into memory as a whole; the rest is what packing would give.
  const whole = packed === null ? planWhole(of, module, loading, gpu.parts[0]) : null;
  requirePlan(planned, whole);
  const report = createPlanReport({ gpu, modelPath, budgetBytes, profile, planned, whole });
  if (options.json) writeJson(report);
  else {
    const { isEncoder, fill } = model.config;
    writeOutLine(formatPlan(report, !isEncoder && fill === undefined));
  }
}

/**
 * @param whole how a plain file would lie in memory; null: the file is packed.
 * @throws {Error} when there is no way to run the model within the budget.
 */
function requirePlan({ plan, obstacle }: PlannedModel, whole: MemoryPlan | null): void {
  if (whole !== null && whole.totalBytes <= plan.budgetBytes) return;
  if (plan.kind === "plan" && (plan.way === "resident" || obstacle === null)) return;
  // A plain file that cannot be packed, or is too small for it to pay, has to fit as it is.
  const neededBy = (of: MemoryPlan | PlannedModel["plan"]) =>
    of.kind === "refusal" ? of.neededBytes : of.totalBytes;
  const isLess = whole !== null && (obstacle !== null || neededBy(whole) < neededBy(plan));
  const least = isLess ? whole : plan;
  const needed = neededBy(least);
  const what = whole === null ? "it" : least === whole ? "as a whole it" : "packed, it";
  throw new Error(
    `Cannot run this model within ${formatBytes(plan.budgetBytes)}: ${what} needs at least ` +
      `${formatNeeded(needed)}: give more with --memory, or a shorter context with --ctx-size` +
      (obstacle === null ? "" : `. ${obstacle}`),
  );
}

/** @throws {UsageError} when the statistics are of another model. */
function statsOf(path: string, config: ModelConfig, sourceOf: () => string): FiringStats {
  const stats = readStats(path);
  const { modelFingerprint, layerCount, neuronCount } = stats.subject;
  const isSame = layerCount === config.blockCount && neuronCount === layerNeurons(config) &&
    modelFingerprint === sourceOf();
  if (isSame) return stats;
  throw new UsageError(
    `Cannot use statistics "${path}": they are of another model: make them with profile`,
  );
}
