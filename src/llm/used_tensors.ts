/** Which tensors of a file its threads read. Reads plans, no files. */
import type { GgufFile, GgufTensor } from "../gguf/types.ts";
import { networkMatrices } from "../model/network.ts";
import type { ModelDescription } from "../model/types.ts";
import { piecesOf } from "../rank/load/load_order.ts";
import { biasTables } from "../model/score_biases.ts";
import { withAdded } from "../rank/plan/plan.ts";
import type { RankPlan } from "../rank/plan/plan_types.ts";

/** The tensors that threads read, so that no thread is sent the whole header. */
export function usedTensors(
  file: GgufFile,
  model: ModelDescription,
  plans: readonly RankPlan[],
): Map<string, GgufTensor> {
  const names = new Set(
    plans.flatMap((plan) => plan.arenas.flatMap((arena) => arena.regions))
      .map((region) => region.name),
  );
  for (const plan of plans) {
    if (plan.tokenInputs !== null) names.add(plan.tokenInputs.table.tensor);
    if (plan.gpu === null) continue;
    for (const piece of piecesOf(plan)) {
      names.add("matrix" in piece ? piece.matrix.tensor : piece.vector.tensor);
    }
  }
  for (const { ngrams } of model.tensors.layers) if (ngrams) names.add(ngrams.table.tensor);
  for (const { factors } of model.config.ropes) if (factors !== null) names.add(factors.tensor);
  const { scoreBiases, guess } = model.config;
  if (guess?.fusion?.tokensTensor) names.add(guess.fusion.tokensTensor);
  if (scoreBiases) { for (const { tensor } of biasTables(scoreBiases)) names.add(tensor); }
  const used = new Map([...withAdded(file.tensors)].filter(([name]) => names.has(name)));
  if (model.config.patches !== undefined) layFlat(used, model);
  return used;
}

/**
 * What patches, frames, or blocks of a tower's rows, are multiplied by lies in files as [d,
 * channels, side, side], or with one side: rows of a matrix.
 */
function layFlat(used: Map<string, GgufTensor>, { tensors }: ModelDescription): void {
  const { tokenEmbedding, secondFrame, secondConvolution, projector } = tensors;
  const { planeMatrices = [], subsampling, network } = tensors;
  const stages = projector?.stages ?? [];
  const kernels = [
    ...[tokenEmbedding, secondFrame, secondConvolution, ...planeMatrices],
    ...network ? networkMatrices(network) : [],
    ...(subsampling?.others ?? []).map((each) => "mix" in each ? each.mix : each),
    ...[...stages, ...projector?.convolutions ?? []].map((stage) => stage.matrix),
  ];
  for (const matrix of kernels) {
    const tensor = matrix && used.get(matrix.tensor);
    const isLaid = matrix && matrix.rows > 0;
    if (tensor && isLaid) used.set(tensor.name, { ...tensor, dims: [matrix.columns, matrix.rows] });
  }
}
