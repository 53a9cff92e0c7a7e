/** `show MODEL`: what a model file is and what it takes to run it, without loading it. */
import type { Command } from "commander";
import { basename } from "node:path";
import { loadKernelModule } from "../../../wasm/mod.ts";
import { ModelFormatError, UnsupportedModelError, UsageError } from "../../base/errors.ts";
import { formatBytes } from "../../base/units.ts";
import { type ModelFile, openModelFile, type PackedModel } from "../../bundle/mod.ts";
import { describeGguf, getString } from "../../gguf/mod.ts";
import type { GgufFile } from "../../gguf/types.ts";
import {
  chooseGpu,
  describeForUse,
  type LoadOptions,
  memoryUse,
  openForUse,
  planUse,
  projectorBeside,
} from "../../llm/mod.ts";
import {
  type CheckedTensors,
  checkTensors,
  isAdapter,
  isControlVector,
  isImportance,
  summarizePredictors,
} from "../../model/mod.ts";
import type { ModelDescription } from "../../model/types.ts";
import { showAdapter, showControlVector } from "../show_adapter.ts";
import { showImportance } from "../show_importance.ts";
import { projectorRow, projectorUse } from "../show_projector.ts";
import { Interrupt } from "../interrupt.ts";
import { addLoadOptions, type LoadFlags, toLoadOptions } from "../load.ts";
import { machineProfile } from "../machine.ts";
import { writeJson, writeOutLine } from "../output.ts";
import { Progress } from "../progress.ts";
import { createDataVerb, requireModel } from "../verb.ts";

interface Options extends LoadFlags {
  readonly json?: boolean;
  readonly checkTensors?: boolean;
}

export function showVerb(): Command {
  const verb = createDataVerb("show", "Print what a model file is and what it takes to run it.")
    .argument("[model]", "a .gguf or .ganglion file")
    .option("--check-tensors", "read all of a .gguf file: is every weight a number?")
    .action(show);
  return addLoadOptions(verb);
}

async function show(path: string | undefined, options: Options): Promise<void> {
  const modelPath = requireModel(path);
  const plain = openModelFile(modelPath);
  if (isImportance(plain.file)) return showImportance(plain.file, options);
  if (isControlVector(plain.file)) return showControlVector(plain.file, options);
  if (isAdapter(plain.file)) return showAdapter(plain.file, options);
  const load = { profile: machineProfile(), ...toLoadOptions(options) };
  const checked = options.checkTensors ? await check(plain) : null;
  const model = openForUse(modelPath, load);
  const report = {
    ...await createReport(model, load),
    packed: model.packed && describePacked(model.packed),
    projector: projectorBeside(model.file.parts[0].path),
    reads: projectorUse(model.file),
    checked,
  };
  if (options.json) writeJson(report);
  else writeOutLine(formatReport(report));
}

/** @throws {ModelFormatError} when a weight is no finite number. */
async function check({ file, packed }: ModelFile): Promise<CheckedTensors> {
  const path = file.parts[0].path;
  if (packed !== null) {
    throw new UsageError(`Cannot check the tensors of a packed file: use pack --check ${path}`);
  }
  using interrupt = new Interrupt();
  using progress = new Progress(`Checking ${basename(path)}`);
  return await checkTensors(file, {
    signal: interrupt.signal,
    onProgress: (doneBytes, totalBytes) => progress.update(doneBytes, totalBytes),
  });
}

/** What the header says, and, where this version can run the model, what that takes. */
async function createReport(of: ModelFile, options: LoadOptions) {
  const { file } = of;
  const name = getString(file.metadata, "general.name", "");
  return { name, ...describeGguf(file), ...await describeUse(of, options) };
}

/** What running it would take; `memory_bytes` is null and `reason` says why when it cannot run. */
async function describeUse({ file, packed }: ModelFile, options: LoadOptions) {
  try {
    const described = describeForUse(file, options);
    const decision = await chooseGpu({ file, model: described, packed }, options);
    const { parts: [part] } = decision;
    const module = await loadKernelModule();
    const planned = planUse({ file, packed, model: described }, module, options, part);
    const { model, planned: { plans } } = planned;
    const use = memoryUse(plans);
    const memory = {
      ...{ weights: use.weightsBytes, slots: use.slotBytes, kv: use.kvBytes },
      ...{ activations: use.activationBytes, total: use.totalBytes },
      on_disk: use.diskBytes + use.diskTableBytes,
      intermediates: use.intermediateBytes,
      intermediates_apart: use.intermediateApartBytes,
    };
    const { contextLength: ctx_size, isSparse: sparse } = plans[0];
    const gpu = {
      runs_on: decision.reason,
      weights: plans.at(-1)?.gpu?.weightsBytes ?? 0,
      kv: plans.at(-1)?.gpu?.kvBytes ?? 0,
      expected_decode_tps: decision.expectedDecodeTps,
    };
    const predictors = describePredictors(file, model);
    const threads = plans.length;
    const { source, blockCount, fill } = model.config;
    const writing = source && { writing_layers: (blockCount - source.readingLayers) / 2 };
    const kind = { ...writing, ...fill && { mask_token: fill.maskId } };
    return { memory_bytes: memory, threads, ctx_size, sparse, predictors, gpu, ...kind };
  } catch (error) {
    if (error instanceof ModelFormatError || error instanceof UnsupportedModelError) {
      return { memory_bytes: null, reason: error.message, predictors: null };
    }
    throw error;
  }
}

type Memory = NonNullable<Awaited<ReturnType<typeof describeUse>>["memory_bytes"]>;

function formatMemory(memory: Memory, ctxSize: number): string {
  const { weights, slots, kv, activations, total, on_disk } = memory;
  const streamed = slots === 0 ? "" : `slots for neurons ${formatBytes(slots)}, `;
  const rest = on_disk === 0 ? "" : `; ${formatBytes(on_disk)} stay on disk`;
  const shared = `intermediates ${formatBytes(memory.intermediates)}, without reuse ` +
    formatBytes(memory.intermediates_apart);
  return `${formatBytes(total)} (weights ${formatBytes(weights)}, ${streamed}context ` +
    `${formatBytes(kv)}, activations ${
      formatBytes(activations)
    }: ${shared}) with ${ctxSize} tokens of ` +
    `context${rest}`;
}

function formatGpu(
  { runs_on, weights, kv, expected_decode_tps: tps }: {
    runs_on: string;
    weights: number;
    kv: number;
    expected_decode_tps: number | null;
  },
): string {
  if (weights === 0) return runs_on;
  const speed = tps === null ? "" : `; ${tps.toFixed(1)} tok/s expected`;
  return `${runs_on} (weights ${formatBytes(weights)}, context ${formatBytes(kv)})${speed}`;
}

/** How a packed file is packed. */
function describePacked({ units, alignBytes }: PackedModel) {
  const neurons = units.reduce((sum, unit) => sum + unit.neurons, 0);
  const factors = units.reduce((sum, unit) => sum + unit.factorsSizeBytes, 0);
  return {
    ...{ units: units.length, neurons, align_bytes: alignBytes, factors_bytes: factors },
    bundle_bytes: [...new Set(units.map(({ bundleBytes }) => bundleBytes))],
    ordered: units.every(({ rates }) => rates !== null),
  };
}

function formatPacked(packed: ReturnType<typeof describePacked>): string {
  const { neurons, units, bundle_bytes, align_bytes, ordered } = packed;
  const order = ordered ? "by statistics, most frequent first" : "no statistics: the model's order";
  return `${neurons} neurons of ${
    bundle_bytes.join(" or ")
  } bytes in ${units} units, at multiples ` +
    `of ${align_bytes}; ${order}`;
}

/** Predictors of silent neurons; null where there are none. */
function describePredictors(file: GgufFile, model: ModelDescription) {
  const summary = summarizePredictors(file, model);
  if (summary === null) return null;
  const { layers, missing, rankMin, rankMax, sizeBytes, threshold } = summary;
  const rank = { min: rankMin, max: rankMax };
  return { layers, missing_layers: missing, rank, bytes: sizeBytes, threshold };
}

function formatPredictors(predictors: NonNullable<ReturnType<typeof describePredictors>>): string {
  const { layers, missing_layers: missing, rank, bytes, threshold } = predictors;
  const ranks = rank.min === rank.max ? `${rank.min}` : `${rank.min} to ${rank.max}`;
  return `rank ${ranks}, ${formatBytes(bytes)}, threshold ${threshold}, in ${layers} layers` +
    (missing.length === 0 ? "" : `, missing in ${missing.join(", ")}`);
}

function formatChecked({ tensors, skipped }: CheckedTensors): string {
  const rest = skipped.length === 0 ? "" : `; not looked at: ${skipped.length}`;
  return `all numbers, in ${tensors} tensors${rest}`;
}

/** Of a model that answers a source its reader's and its writer's; of one that fills in, what. */
function formatLayers(report: Report): string {
  const { layers } = report;
  const { writing_layers: writing, mask_token: mask } = report.memory_bytes === null
    ? { writing_layers: undefined, mask_token: undefined }
    : report;
  if (mask !== undefined) return `${layers}, which fill in masks (token ${mask})`;
  return writing === undefined ? `${layers ?? "?"}` : `${layers} that read, ${writing} that write`;
}

type Report = Awaited<ReturnType<typeof createReport>> & {
  readonly packed: ReturnType<typeof describePacked> | null;
  /** The file with which it sees images or hears sounds; null: it does neither. */
  readonly projector: string | null;
  /** What it is the projector of; null: it is none. */
  readonly reads: ReturnType<typeof projectorUse>;
  readonly checked: CheckedTensors | null;
};

function formatReport(report: Report): string {
  const { memory_bytes: memory, predictors, packed, projector, reads, checked } = report;
  const rows: [string, string][] = [
    ["name", report.name],
    ["architecture", report.arch],
    ["parameters", report.parameters.toLocaleString("en")],
    ["weights", report.quant],
    ["layers", formatLayers(report)],
    ["context", `${report.context ?? "?"} tokens`],
    ["file", formatBytes(report.file_bytes)],
    [
      "memory",
      memory === null ? `cannot run: ${report.reason}` : formatMemory(memory, report.ctx_size),
    ],
  ];
  if (report.memory_bytes !== null) rows.push(["gpu", formatGpu(report.gpu)]);
  if (predictors !== null) rows.push(["predictors", formatPredictors(predictors)]);
  if (packed !== null) rows.push(["packed", formatPacked(packed)]);
  if (reads !== null) rows.push(["reads", `${reads}, beside a model: see --mmproj`]);
  if (projector !== null) rows.push(projectorRow(projector));
  if (checked !== null) rows.push(["weights are", formatChecked(checked)]);
  return rows.map(([key, value]) => `${key.padEnd(12)}  ${value}`).join("\n");
}
