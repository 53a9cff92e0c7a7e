/** What a training gave, layer by layer, for programs and for people. */
import { formatBytes } from "../../base/units.ts";
import { type LayerResult, predictorBytes } from "../../train/mod.ts";

/** A layer's result and how long it took. */
export function createReport(
  results: readonly LayerResult[],
  about: { samples: number; bytes: number; seconds: number },
) {
  const layers = results.map((result, layer) => {
    const { recall, precision, predictedShare, firedShare } = result.predictor.quality;
    return {
      layer,
      rank: result.rank,
      recall,
      precision,
      predicted_share: predictedShare,
      fired_share: firedShare,
      predictor_bytes: predictorBytes(result.predictor),
      cost_bytes: Math.round(result.costBytes),
      gate_bytes: result.gateBytes,
      tried: result.tried.map(({ rank, costBytes }) => ({
        rank,
        cost_bytes: Math.round(costBytes),
      })),
    };
  });
  const mean = (of: (layer: typeof layers[number]) => number) =>
    layers.reduce((sum, layer) => sum + of(layer), 0) / layers.length;
  return {
    samples: about.samples,
    layers,
    recall: mean((layer) => layer.recall),
    predicted_share: mean((layer) => layer.predicted_share),
    fired_share: mean((layer) => layer.fired_share),
    predictor_bytes: layers.reduce((sum, layer) => sum + layer.predictor_bytes, 0),
    bytes: about.bytes,
    seconds: about.seconds,
  };
}

export type TrainReport = ReturnType<typeof createReport>;

/** A line a layer, and what it comes to. */
export function formatReport(report: TrainReport, out: string): string {
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`.padStart(8);
  const line = (name: string, of: {
    recall: number;
    predicted_share: number;
    fired_share: number;
    predictor_bytes: number;
  }, rest: string) =>
    `${name.padEnd(8)}${percent(of.recall)}${percent(of.predicted_share).padStart(11)}` +
    `${percent(of.fired_share)}  ${formatBytes(of.predictor_bytes).padStart(10)}${rest}`;
  const rows = report.layers.map((layer) => {
    const cost = `${formatBytes(layer.cost_bytes)} of ${formatBytes(layer.gate_bytes)}`;
    return line(`${layer.layer}`, layer, `${`${layer.rank}`.padStart(6)}  ${cost}`);
  });
  const useless = report.layers.filter((layer) => layer.cost_bytes >= layer.gate_bytes).length;
  return [
    "layer     recall  predicted   fires        size  rank  cost, of the whole gate",
    ...rows,
    line("all", report, ""),
    ...useless > 0
      ? [
        `note: in ${useless} layers a token costs more with the predictor than without: it will ` +
        "not be used",
      ]
      : [],
    `${out}: ${formatBytes(report.bytes)}, ${report.samples} samples a layer, ` +
    `${report.seconds.toFixed(0)} s`,
  ].join("\n");
}
