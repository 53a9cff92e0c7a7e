/** A plan for people. */
import { formatBytes } from "../../base/units.ts";
import type { PlanFields, PlanReport } from "./plan_report.ts";

const WAYS: Readonly<Record<PlanFields["way"], string>> = {
  resident: "all of it is in memory",
  gates: "all gates are in memory; the rest of a neuron comes from the disk when it fires",
  units: "as much as there is room for is in memory; whole blocks of neurons come from the disk",
  predictor: "predictors are in memory; neurons come from the disk when they are predicted to fire",
};

const REGIONS: Readonly<Record<string, string>> = {
  weights: "weights outside of neurons",
  gates: "gates of all neurons",
  factors: "factors of down",
  context: "keys and values",
  workspace: "workspace",
  slots: "slots for neurons",
  bookkeeping: "tables of neurons and slots",
  staging: "staging of reads",
  io: "reading threads",
  brought: "neurons brought to the GPU",
  process: "the process itself",
};

const RATES: Readonly<Record<PlanFields["firing_rates"], string>> = {
  counted: "as counted",
  assumed: "assumed: nobody counted this model's neurons (profile)",
  all: "all, at every token",
};

/** decodes: it writes token by token; else nothing is said of speed but how texts are read. */
export function formatPlan(report: PlanReport, decodes: boolean): string {
  const { fits, packed, profile, gpu, budget_bytes: budget } = report;
  const lines = [report.model];
  if (fits) lines.push(...formatFields(report, budget, decodes));
  else {
    lines.push(
      `As it is, it takes ${formatBytes(report.total_bytes)}, more than the ` +
        `${formatBytes(budget)} that it may: expected ` +
        `${report.expected_decode_tps.toFixed(1)} tok/s if it had them.`,
    );
    if (packed !== null) {
      lines.push("", "Packed (ganglion pack) it runs:", ...formatFields(packed, budget, decodes));
    }
  }
  const speed = gpu.expected_decode_tps === null
    ? ""
    : `; ${gpu.expected_decode_tps.toFixed(1)} tok/s expected of the GPU`;
  lines.push(
    "",
    `What computes: ${gpu.runs_on}${speed}.`,
    ...gpu.is_beside_packed ? ["The GPU's time and memory are in none of these figures."] : [],
    profile.measured_at === "never"
      ? "Speeds are from built-in numbers of another machine: `ganglion doctor` measures this one."
      : `Speeds are from what \`ganglion doctor\` measured (${profile.measured_at}).`,
  );
  return lines.join("\n");
}

function formatFields(plan: PlanFields, budget: number, decodes: boolean): string[] {
  const rows: [string, string][] = plan.regions.map(({ name, bytes }) => [
    plan.way === "resident" && name === "weights" ? "weights" : REGIONS[name],
    formatBytes(bytes),
  ]);
  rows.push(["together", `${formatBytes(plan.total_bytes)} of ${formatBytes(budget)}`]);
  const width = Math.max(...rows.map(([name]) => name.length));
  return [
    `${WAYS[plan.way]}:`,
    ...rows.map(([name, text]) => `  ${name.padEnd(width)}  ${text.padStart(10)}`),
    "",
    ...formatSlots(plan),
    ...formatSpeed(plan, decodes),
  ];
}

function formatSlots(plan: PlanFields): string[] {
  const cache = `${plan.reads_past_file_cache ? "past" : "through"} the file cache`;
  if (plan.way === "resident") return [`file      read once, ${cache}`];
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  const readers = plan.io_workers === 0 ? "the kernel" : `${plan.io_workers} threads`;
  if (plan.way === "units") {
    return [
      `places    ${plan.slots} of ${formatBytes(plan.slot_bytes)}, for ` +
      `${percent(plan.resident_share)} of the blocks of neurons`,
      `ranks     ${plan.ranks.map(({ bytes }) => formatBytes(bytes)).join(", ")}`,
      `disk      ${formatBytes(Math.round(plan.disk_bytes_per_token))} a token by ${readers}, ` +
      `${cache}`,
    ];
  }
  return [
    `slots     ${plan.slots} of ${formatBytes(plan.slot_bytes)}, room for ` +
    `${percent(plan.resident_share)} of the neurons; ${percent(plan.hot_fraction)} of them hot`,
    `ranks     ${plan.ranks.map(({ bytes }) => formatBytes(bytes)).join(", ")}`,
    `firing    ${Math.round(plan.firing_neurons_per_token)} neurons a token ` +
    `(${RATES[plan.firing_rates]}), ${percent(plan.expected_hit_rate)} of them found in slots`,
    `disk      ${Math.round(plan.disk_reads_per_token)} reads, ` +
    `${formatBytes(Math.round(plan.disk_bytes_per_token))} a token by ${readers}` +
    `${plan.reads_gates_first ? ", gates first" : ""}, ${cache}`,
  ];
}

function formatSpeed(plan: PlanFields, decodes: boolean): string[] {
  const speed = plan.expected_prefill_tps.toFixed(1);
  const reading = `${plan.chunk_tokens} tokens at once, ${speed} tok/s`;
  if (!decodes) return [`text      ${reading}`];
  const parts = Object.entries(plan.ms).filter(([, ms]) => ms >= 0.05)
    .map(([name, ms]) => `${PARTS[name]} ${ms.toFixed(1)}`);
  return [
    `prompt    ${reading}`,
    `decode    ${plan.expected_decode_tps.toFixed(1)} tok/s, bound by ${plan.bottleneck}`,
    `token     ms: ${parts.join(", ")}`,
  ];
}

const PARTS: Readonly<Record<string, string>> = {
  fixed: "attention and output",
  gates: "gates",
  neurons: "neurons",
  joins: "joins",
  cache: "cache",
  ioCpu: "reading threads",
  ahead: "guessing ahead",
  diskWait: "waiting for the disk",
};
