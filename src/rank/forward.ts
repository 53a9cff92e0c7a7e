/**
 * ONE STEP OF A MODEL, top to bottom: start reading here.
 *
 * Every rank runs this very function at the same time, each over its own share of the model: some
 * attention heads, some neurons, some vocabulary rows (shard.ts). What a rank cannot know alone is
 * a sum over ranks; it adds to its partial sum and meets the others in `join`, two joins a layer.
 * A step carries n tokens: one when decoding, a chunk of the prompt when prefilling.
 *
 * The functions called here compute; this one does not. Families differ in data only: what a model
 * does not have, a function does not do. Shapes are [tokens, width], f32.
 */
import type { RankSteps, WalkedLayer } from "./rank_steps.ts";

/**
 * Runs the step that `rank.begin` was given.
 * @returns false when the leader aborted it: then nothing of it counts.
 */
export function forward<L extends WalkedLayer>(rank: RankSteps<L>): boolean {
  rank.embed(); //                             partial  [n, d]  rows of tokens that this rank owns
  if (!rank.joinEmbedding()) return false; //  residual [n, d]  = Σ partials
  if (!rank.enterGuess()) return false; //     residual [n, d]  of it and rows before, of guesses
  const { layers } = rank; //                  the model's, or the one behind them that guesses
  for (let index = layers.start; index < layers.end; index++) {
    const layer = rank.enterLayer(index);
    rank.routeEarly(layer); //                 experts          chosen by residual, in few models
    rank.project(layer); //                    query, key, value  of norm(residual), own heads
    if (!rank.normalizeHeads(layer)) return false; //             normalised, in some models
    rank.rotate(layer); //                     query, key       turned by their positions
    rank.remember(layer); //                   key, value       -> cache
    rank.attend(layer); //                     attention [n, heads·headDim]
    rank.mergeHeads(layer); //                 partial  [n, d]
    if (!rank.recur(layer)) return false; //   partial  [n, d]  += states' share, in some models
    if (layer.joinsAttention && !rank.joinAttention(layer)) return false;
    //                                         residual [n, d]  += Σ partials, or its norm
    if (!rank.feedShared(layer)) return false; // an expert that is normalised apart, in few models
    if (!rank.predict(layer)) return false; // what predictors have between their matrices, if any
    rank.feedForward(layer); //                partial  [n, d]  += neurons' share
    if (layer.joinsNeurons && !rank.joinFeedForward(layer)) return false;
    if (!rank.endLayer(layer)) return false; // residual        += what the token gives it, scaled
  }
  if (!rank.endStreams()) return false; //     residual [n, d]  of several, in few models
  if (rank.logitsCount === 0) return true;
  if (!rank.scoreVocabulary()) return false; // logits  [m, own rows]  of norm(residual)
  return rank.meet();
}
