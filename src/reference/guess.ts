/**
 * A model's guessing block as formulas: its layer is a model of its own, into which rows go that
 * are made of embeddings and of the model's last rows, and which has the model's output.
 */
import { check } from "../base/check.ts";
import type { GgufFile } from "../gguf/mod.ts";
import { describeModel, type ModelDescription } from "../model/mod.ts";
import { ReferenceBlocks } from "./blocks.ts";
import { embedTokens } from "./embed.ts";
import { ReferenceModel } from "./forward.ts";
import { ReferenceWeights } from "./weights.ts";

/** What a step leaves: logits, f32 [n, vocabSize], and rows, [n, d], of which guesses are made. */
export interface RowsAndLogits {
  readonly logits: Float32Array;
  readonly rows: Float64Array;
}

/** One sequence run by a model and its guessing block. */
export class ReferenceGuess {
  readonly #description: ModelDescription;
  readonly #weights: ReferenceWeights;
  readonly #model: ReferenceModel;
  readonly #block: ReferenceModel;
  #rows = new Float64Array(0);

  constructor(file: GgufFile, contextLength?: number) {
    const description = describeModel(file, { contextLength, guesses: true });
    const { config, tensors } = description;
    const { guess } = tensors;
    check(guess !== undefined && config.guess !== undefined, "a model that guesses");
    this.#description = description;
    this.#weights = new ReferenceWeights(file);
    const last = (layer: number) =>
      config.guess!.readsNormed ? "norm" : `layer ${layer} feed-forward out`;
    const onTensor = (from: string) => (name: string, data: Float64Array) => {
      if (name === from) this.#rows = Float64Array.from(data);
    };
    const ofModel = onTensor(last(config.blockCount - 1));
    this.#model = new ReferenceModel(file, { description, onTensor: ofModel });
    const layer = config.blockCount;
    this.#block = new ReferenceModel(file, {
      description: {
        config: { ...config, blockCount: 1, layers: [config.layers[layer]] },
        tensors: {
          ...tensors,
          layers: [tensors.layers[layer]],
          outputNorm: guess.outputNorm ?? tensors.outputNorm,
        },
      },
      onTensor: onTensor(last(0)),
    });
  }

  /** The model itself. */
  forward(ids: readonly number[], fromPosition = 0): RowsAndLogits {
    const logits = this.#model.forward(ids, fromPosition);
    return { logits, rows: this.#rows };
  }

  /** What comes behind each of the ids, by the rows of the ids before them, [n, d]. */
  guess(ids: readonly number[], fromPosition: number, before: Float64Array): RowsAndLogits {
    const { config, tensors, tensors: { guess } } = this.#description;
    const d = config.embeddingLength;
    const blocks = new ReferenceBlocks(config, this.#weights, {});
    const embeddings = embedTokens({ ids, fromPosition, given: {} }, tensors, {
      config,
      weights: this.#weights,
    });
    const embedded = blocks.norm(embeddings, guess!.embeddingNorm);
    const rowsBefore = blocks.norm(before, guess!.rowNorm);
    const pairs = new Float64Array(ids.length * 2 * d);
    for (let t = 0; t < ids.length; t++) {
      pairs.set(embedded.subarray(t * d, (t + 1) * d), 2 * t * d);
      pairs.set(rowsBefore.subarray(t * d, (t + 1) * d), (2 * t + 1) * d);
    }
    const merged = blocks.project(pairs, guess!.merge);
    const rows = new Map(ids.map((_, t) => [-1 - t, merged.subarray(t * d, (t + 1) * d)]));
    const logits = this.#block.forward(ids.map((_, t) => -1 - t), fromPosition, { rows });
    return { logits, rows: this.#rows };
  }
}
