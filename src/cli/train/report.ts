/** What a training gave, layer by layer, for programs and for people. */
import { formatBytes } from "../../base/units.ts";
import { rowBytes } from "../../model/dtypes.ts";
import { type LayerSummary, type MatrixForm, SAMPLES_MIN } from "../../train/mod.ts";
import type { TrainableLayer, TrainableModel } from "./check_trainable.ts";

/** What else is to be said of a training. */
interface AboutTraining {
  readonly trainable: Pick<TrainableModel, "layers" | "sharedNeurons">;
  /** Of the new file. */
  readonly bytes: number;
  readonly seconds: number;
}

/** A layer's result, experts' one by one, and how long it took. */
export function createReport(results: readonly LayerSummary[], about: AboutTraining) {
  const layers = results.map((result, layer) => ({
    layer,
    ...layerReport(result),
    ...about.trainable.layers[layer].isMixture && { experts: expertReports(result) },
  }));
  const mean = (of: (layer: typeof layers[number]) => number) =>
    layers.reduce((sum, layer) => sum + of(layer), 0) / layers.length;
  return {
    samples: tokensOf(results[0], about.trainable.layers[0]),
    layers,
    recall: mean((layer) => layer.recall),
    predicted_share: mean((layer) => layer.predicted_share),
    fired_share: mean((layer) => layer.fired_share),
    predictor_bytes: layers.reduce((sum, layer) => sum + layer.predictor_bytes, 0),
    shared_neurons: about.trainable.sharedNeurons,
    bytes: about.bytes,
    seconds: about.seconds,
  };
}

/** That samples were taken of: each is one of so many experts. */
function tokensOf({ blocks }: LayerSummary, { usedCount }: TrainableLayer): number {
  return blocks.reduce((sum, { samples }) => sum + samples, 0) / usedCount;
}

function layerReport({ quality, rank, blocks, costBytes, gateBytes, tried, ...of }: LayerSummary) {
  return {
    rank,
    recall: quality.recall,
    precision: quality.precision,
    predicted_share: quality.predictedShare,
    fired_share: quality.firedShare,
    predictor_bytes: blocks.length * (bytesOf(of.fc1) + bytesOf(of.fc2)),
    cost_bytes: Math.round(costBytes),
    gate_bytes: gateBytes,
    tried: tried.map(({ rank, costBytes }) => ({ rank, cost_bytes: Math.round(costBytes) })),
  };
}

function expertReports({ blocks }: LayerSummary) {
  return blocks.map(({ quality, samples, isTrained }, expert) => ({
    expert,
    samples,
    is_trained: isTrained,
    recall: quality.recall,
    precision: quality.precision,
    predicted_share: quality.predictedShare,
    fired_share: quality.firedShare,
  }));
}

function bytesOf({ type, rows, columns }: MatrixForm): number {
  return rows * rowBytes(type, columns);
}

export type TrainReport = ReturnType<typeof createReport>;
type LayerReport = TrainReport["layers"][number];

/** A line a layer, and what it comes to. */
export function formatReport(report: TrainReport, out: string): string {
  const rows = report.layers.map((layer) => {
    const cost = `${formatBytes(layer.cost_bytes)} of ${formatBytes(layer.gate_bytes)}`;
    return line(`${layer.layer}`, layer, `${`${layer.rank}`.padStart(6)}  ${cost}`);
  });
  return [
    "layer     recall  predicted   fires        size  rank  cost, of whole gates",
    ...rows,
    line("all", report, ""),
    ...notes(report).map((note) => `note: ${note}`),
    `${out}: ${formatBytes(report.bytes)}, ${report.samples} tokens, ` +
    `${report.seconds.toFixed(0)} s`,
  ].join("\n");
}

function line(
  name: string,
  of: Pick<LayerReport, "recall" | "predicted_share" | "fired_share" | "predictor_bytes">,
  rest: string,
): string {
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`.padStart(8);
  return `${name.padEnd(8)}${percent(of.recall)}${percent(of.predicted_share).padStart(11)}` +
    `${percent(of.fired_share)}  ${formatBytes(of.predictor_bytes).padStart(10)}${rest}`;
}

function notes({ layers, shared_neurons: shared }: TrainReport): string[] {
  const useless = layers.filter((layer) => layer.cost_bytes >= layer.gate_bytes).length;
  const mixtures = layers.filter(({ experts }) => experts !== undefined);
  return [
    ...useless === 0 ? [] : [
      `in ${useless} of ${layers.length} layers a token costs more with predictors than without: ` +
      "they are not used while gates are in memory",
    ],
    ...describeUntrained(mixtures),
    ...shared === 0 || mixtures.length === 0 ? [] : [
      `the ${shared} neurons of a layer that every token uses get no predictors: all their gates ` +
      "are computed",
    ],
  ];
}

/** Which experts have learned nothing. */
function describeUntrained(mixtures: readonly LayerReport[]): string[] {
  const untrained = mixtures.flatMap(({ layer, experts }) =>
    experts!.filter(({ is_trained }) => !is_trained).map((expert) => ({ layer, ...expert }))
  ).toSorted((a, b) => a.samples - b.samples);
  if (untrained.length === 0) return [];
  const all = mixtures.reduce((sum, { experts }) => sum + experts!.length, 0);
  const named = untrained.slice(0, EXPERTS_NAMED).map(({ layer, expert, samples }) =>
    `layer ${layer} expert ${expert}: ${samples}`
  );
  const rest = untrained.length - named.length;
  return [
    `${untrained.length} of ${all} experts were chosen by fewer than ${SAMPLES_MIN} tokens ` +
    `(${named.join(", ")}${rest > 0 ? `, and ${rest} more` : ""}): their predictors name all ` +
    "neurons, which loses nothing and saves nothing: give a longer text, or more --tokens",
  ];
}

const EXPERTS_NAMED = 4;
