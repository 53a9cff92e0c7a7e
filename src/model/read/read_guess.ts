/**
 * Blocks behind a model's layers that guess tokens (multi-token prediction): whether a file has one
 * that can be used, and its tensors. Of several the first is used again and again.
 */
import type { GgufFile } from "../../gguf/mod.ts";
import type { Family } from "../family.ts";
import type { GuessConfig, GuessTensors } from "../guess_types.ts";
import type { LayerConfig, ModelConfig, NormTensors } from "../types.ts";
import type { TensorChecker } from "./tensor_checker.ts";

/** What makes one of two rows; a file without it has left the whole block out. */
const MERGE = "nextn.eh_proj.weight";

/** Of a model of so many layers; null: there is none, or it is not known how it is computed. */
export function readGuess(
  { tensors }: GgufFile,
  { guessing }: Family,
  blockCount: number,
): GuessConfig | null {
  if (guessing === null || !tensors.has(`blk.${blockCount}.${MERGE}`)) return null;
  return { readsNormed: guessing === "normedRows" };
}

/** The layers, of which the last one guesses: it attends, whatever its turn would be. */
export function withGuessingLayer(layers: readonly LayerConfig[]): readonly LayerConfig[] {
  const { hasStates, attends } = layers[layers.length - 1];
  if (!hasStates && attends !== false) return layers;
  const attending = layers.find((layer) => !layer.hasStates && layer.attends !== false);
  return attending === undefined ? layers : [...layers.slice(0, -1), attending];
}

/** @throws {ModelFormatError} when one is missing or has another shape. */
export function guessTensors(
  checker: TensorChecker,
  { embeddingLength: d, blockCount }: ModelConfig,
): GuessTensors {
  const at = `blk.${blockCount}.`;
  const norm = (name: string): NormTensors => ({
    weight: checker.vector(`${at}${name}.weight`, d),
    bias: null,
  });
  // Ling 3's files call it as other models call a norm behind a layer.
  const outputNorm = ["nextn.shared_head_norm", "layer_output_norm"]
    .find((name) => checker.has(`${at}${name}.weight`));
  return {
    embeddingNorm: norm("nextn.enorm"),
    rowNorm: norm("nextn.hnorm"),
    merge: checker.matrix(at + MERGE, { rows: d, columns: 2 * d }),
    outputNorm: outputNorm === undefined ? null : norm(outputNorm),
  };
}
