/**
 * A model and one of a layer that guesses with its rows (EAGLE-3) as formulas: what goes into some
 * layers of the first one becomes a row, which enters the layer of the second one; its attention
 * reads the embedding of the next token beside it, normalised each by itself.
 */
import { check } from "../base/check.ts";
import type { GgufFile } from "../gguf/mod.ts";
import { describeFused, describeModel, type ModelDescription } from "../model/mod.ts";
import { ReferenceBlocks } from "./blocks.ts";
import { embedTokens } from "./embed.ts";
import { ReferenceModel } from "./forward.ts";
import type { RowsAndLogits } from "./guess.ts";
import { ReferenceWeights } from "./weights.ts";

/** One sequence run by a model and by one that guesses for it. */
export class ReferenceFusion {
  /** Of the one that guesses. */
  readonly description: ModelDescription;
  readonly #weights: ReferenceWeights;
  readonly #model: ReferenceModel;
  readonly #layer: ReferenceModel;
  readonly #taken: Float64Array[];
  #left = new Float64Array(0);

  /** @throws {ModelFormatError | UnsupportedModelError} as `describeFused`. */
  constructor(file: GgufFile, draft: GgufFile, contextLength = 64) {
    const description = describeModel(file, { contextLength });
    const fused = describeFused(draft, { file, config: description.config }, contextLength);
    this.description = fused.model;
    const { layers, tokensTensor } = this.#fusion;
    const isRead = ([name]: readonly [string, unknown]) => name !== tokensTensor;
    const weights = { ...fused.file, tensors: new Map([...fused.file.tensors].filter(isRead)) };
    this.#weights = new ReferenceWeights(weights);
    this.#taken = layers.map(() => new Float64Array(0));
    const names = layers.map((layer) => layer === 0 ? "embedding" : `layer ${layer} in`);
    this.#model = new ReferenceModel(file, {
      description,
      onTensor: (name, data) => {
        names.forEach((each, i) => {
          if (each === name) this.#taken[i] = Float64Array.from(data);
        });
      },
    });
    this.#layer = new ReferenceModel(weights, {
      description: fused.model,
      onTensor: (name, data) => {
        if (name === "layer 0 feed-forward out") this.#left = Float64Array.from(data);
      },
    });
  }

  get #fusion() {
    const { fusion } = this.description.config.guess ?? {};
    check(fusion !== undefined, "a model that guesses with another one's rows");
    return fusion;
  }

  /** The model itself; rows: what goes into its layers, side by side, [n, layers · rowLength]. */
  forward(ids: readonly number[], fromPosition = 0): RowsAndLogits {
    const logits = this.#model.forward(ids, fromPosition);
    const { layers, rowLength } = this.#fusion;
    const stride = layers.length * rowLength;
    const rows = new Float64Array(ids.length * stride);
    this.#taken.forEach((taken, i) => {
      for (let t = 0; t < ids.length; t++) {
        const row = taken.subarray(t * rowLength, (t + 1) * rowLength);
        rows.set(row, t * stride + i * rowLength);
      }
    });
    return { logits, rows };
  }

  /** Rows of the model → those that enter the layer, [n, d]. */
  fuse(rows: Float64Array): Float64Array {
    const { config, tensors: { guess } } = this.description;
    const blocks = new ReferenceBlocks(config, this.#weights, {});
    const read = guess!.inputNorm === undefined ? rows : blocks.norm(rows, guess!.inputNorm);
    return blocks.project(read, guess!.merge);
  }

  /**
   * What comes behind each of the ids, by a row of each id before them, [n, d]: made by `fuse`, or
   * left by the guess before. position: of the first one's row.
   */
  guess(ids: readonly number[], position: number, before: Float64Array): RowsAndLogits {
    const { config, tensors, tensors: { guess } } = this.description;
    const { embeddingLength: d } = config;
    const blocks = new ReferenceBlocks(config, this.#weights, {});
    const tokens = { ids, fromPosition: position, given: {} };
    const of = { config: { ...config, vocabSize: this.#fusion.tokenCount } };
    const embeddings = embedTokens(tokens, tensors, { ...of, weights: this.#weights });
    const embedded = blocks.norm(embeddings, guess!.embeddingNorm);
    const normed = blocks.norm(before, guess!.rowNorm);
    const pairs = new Float64Array(ids.length * 2 * d);
    for (let t = 0; t < ids.length; t++) {
      pairs.set(embedded.subarray(t * d, (t + 1) * d), 2 * t * d);
      pairs.set(normed.subarray(t * d, (t + 1) * d), (2 * t + 1) * d);
    }
    const around = this.#fusion.normalizesResidual ? normed : before;
    const rows = new Map(ids.map((_, t) => [-1 - t, around.subarray(t * d, (t + 1) * d)]));
    const logits = this.#layer.forward(ids.map((_, t) => -1 - t), position, { rows, pairs });
    return { logits, rows: this.#left };
  }
}
