/**
 * Which matrices' products adapters can add to as tokens are computed: those of plain attention and
 * of dense blocks of neurons that are all computed. Reads descriptions only.
 */
import { readsWhole } from "../../model/layer_config.ts";
import { isSilentKind } from "../../model/silent_kinds.ts";
import type { LayerTensors, MatrixTensor, ModelDescription } from "../../model/types.ts";

/**
 * Why an adapter that changes these tensors of a model cannot add to its products, or null: it can.
 * For people: "… because OBSTACLE".
 */
export function adapterObstacle(
  { config, tensors }: ModelDescription,
  changed: Iterable<string>,
): string | null {
  if (readsWhole(config) || config.patches !== undefined) {
    return "the model reads whole texts or images at once";
  }
  // A neuron that is left out by its gate was looked at without what the adapter adds.
  if (isSilentKind(config.feedForward.activation)) {
    return "the model's neurons are left out where they are silent";
  }
  const layers = tensors.layers.filter((_, index) => config.layers[index].gateCutoff === undefined);
  const able = new Set(layers.flatMap((layer) => [...attention(layer), ...neurons(layer)]));
  for (const name of changed) {
    if (!able.has(name)) return `"${name}" is no matrix of plain attention or of a dense block`;
  }
  return null;
}

/** Heads that have keys and values of their own, and no gates. */
function attention(layer: LayerTensors): string[] {
  const { latent, compressed, convolution, attentionGate, offsets, relative } = layer;
  const isPlain = [latent, compressed, convolution, attentionGate, offsets, relative]
    .every((part) => part === null || part === undefined);
  if (!isPlain) return [];
  return namesOf([layer.query, layer.key, layer.value, layer.attentionOutput]);
}

function neurons({ feedForward: block }: LayerTensors): string[] {
  if (block?.kind !== "dense" || block.isDownTransposed) return [];
  return namesOf([block.gate, block.up, block.down]);
}

function namesOf(matrices: readonly (MatrixTensor | null)[]): string[] {
  return matrices.flatMap((matrix) => matrix === null ? [] : [matrix.tensor]);
}
