/**
 * Models that answer a source: keys to the layers that are walked, and what a layer's tensors are
 * called by. Reads no tensors.
 */
import { getNumber } from "../../gguf/mod.ts";
import type { GgufFile } from "../../gguf/types.ts";
import type { Family } from "../family.ts";
import type { LayerConfig, ModelConfig } from "../types.ts";
import type { Hyperparameters } from "./hyperparameters.ts";
import type { TensorChecker } from "./tensor_checker.ts";

/** More blocks that write than any model has. */
const WRITING_BLOCKS_MAX = 512;

/** What of a walked layer is not as in a model that goes on with a text. */
export type SourceLayer = Pick<LayerConfig, "stage" | "hasNeurons" | "passEnd">;

/**
 * By walked layer: those that read, then of each block that writes what attends to the answer, and
 * what asks the source and has the block's neurons. Null: there is no source.
 * @param readingLayers the file's count of blocks
 * @throws {ModelFormatError} when the file's count of writing ones is out of range.
 */
export function readSourceLayers(
  keys: Hyperparameters,
  { sourceNorm }: Family,
  readingLayers: number,
): readonly SourceLayer[] | null {
  if (sourceNorm === null) return null;
  const range = { min: 1, max: WRITING_BLOCKS_MAX, absent: readingLayers };
  const blocks = keys.integer("decoder_block_count", range);
  return [
    ...Array.from({ length: readingLayers }, (_, index): SourceLayer => ({
      stage: "reads",
      ...index === readingLayers - 1 && { passEnd: { stream: null } },
    })),
    ...Array.from(
      { length: 2 * blocks },
      (_, index): SourceLayer =>
        index % 2 === 0 ? { stage: "writes", hasNeurons: false } : { stage: "asks" },
    ),
  ];
}

/**
 * How many layers read, and the id that answers begin with: of files that do not say, the one that
 * fills texts up, as T5 was trained.
 * @throws {ModelFormatError} when it is no id.
 */
export function readSource(
  { metadata }: GgufFile,
  keys: Hyperparameters,
  { sourceNorm }: Family,
  { readingLayers, vocabSize }: { readonly readingLayers: number; readonly vocabSize: number },
): Pick<ModelConfig, "source"> {
  if (sourceNorm === null) return {};
  const absent = getNumber(metadata, "tokenizer.ggml.padding_token_id", 0);
  const max = vocabSize - 1;
  const startId = keys.integer("decoder_start_token_id", { min: 0, max, absent });
  return { source: { readingLayers, startId } };
}

/** What the names of a layer's tensors begin with. */
export function layerPrefix({ layers, source }: ModelConfig, index: number): string {
  const { stage = "reads", block = index } = layers[index] ?? {};
  if (source === undefined || stage === "reads") return `blk.${block}.`;
  const writing = Math.floor((index - source.readingLayers) / 2);
  return `${stage === "writes" ? "write" : "ask"}.${writing}.`;
}

/** Biases by distance of what asks the source, which its authors' own program does not read. */
export function leaveSourceBiases(checker: TensorChecker, { source }: ModelConfig): void {
  if (source !== undefined) checker.leave("ask.0.attn_rel_b.weight");
}
