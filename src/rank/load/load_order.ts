/** What a rank has to load, in which order, and how many bytes of the file that is. */
import type { BundleUnit } from "../../bundle/types.ts";
import type { GgufTensor } from "../../gguf/types.ts";
import { dtypeByName, rowBytes } from "../../model/dtypes.ts";
import type {
  DensePlan,
  ExpertsPlan,
  LayerPlan,
  MatrixPlan,
  RankPlan,
  StreamedPlan,
  VectorPlan,
} from "../plan/plan_types.ts";
import type { LayerAltUpPlan } from "../plan/plan_alt_up.ts";
import { conformerPieces } from "../plan/plan_conformer.ts";
import type { CompressedPlan } from "../plan/plan_compressed.ts";
import type { HyperPlan } from "../plan/plan_hyper.ts";
import { gatedPieces, mixPieces } from "../plan/plan_gated.ts";
import type { GuessPlan } from "../plan/plan_guess.ts";
import type { LatentPlan } from "../plan/plan_latent.ts";
import { networkPieces } from "../plan/plan_network.ts";
import type { StateSpacePlan } from "../plan/plan_state.ts";
import type { FinchPlan } from "../plan/plan_finch.ts";
import type { KeyDeltaPlan } from "../plan/plan_key_deltas.ts";
import type { LightningPlan } from "../plan/plan_lightning.ts";
import type { LowRankPlan } from "../plan/plan_low_rank.ts";
import type { TimeMixPlan } from "../plan/plan_time_mix.ts";
import { type Part, partsOf, partsOfNorm } from "./parts.ts";
import { partsOfProjector } from "./tower_parts.ts";
import { packedBlocks } from "../plan/own_units.ts";
import { fileRows } from "../plan/picked.ts";
import { lengthOf } from "../plan/shard.ts";

/** A matrix or vector of the plan and the arena it goes to. */
export type Piece =
  | { readonly arena: number; readonly matrix: MatrixPlan }
  | { readonly arena: number; readonly vector: VectorPlan };

/** Everything the plan names, in the order of the file as converters write it. */
export function* piecesOf(plan: RankPlan): Generator<Piece> {
  if (plan.embeddingInFile === null) yield* inArena(0, partsOf(plan.embedding));
  for (const matrix of [plan.secondFrame, plan.secondConvolution, ...plan.planeMatrices]) {
    if (matrix !== null) yield* inArena(0, partsOf(matrix));
  }
  if (plan.subsampling) yield* inArena(0, partsOfAll(conformerPieces(plan.subsampling)));
  if (plan.network) yield* inArena(0, partsOfAll(networkPieces(plan.network)));
  yield* inArena(0, [...partsOfNorm(plan.pixelNorm), ...partsOfNorm(plan.patchNorm)]);
  if (plan.positions !== null) yield* inArena(0, partsOf(plan.positions));
  yield* inArena(0, partsOfNorm(plan.embeddingNorm));
  if (plan.tokenKind !== null) yield* inArena(0, [{ vector: plan.tokenKind }]);
  if (plan.tokenInputs !== null) {
    yield* inArena(0, [...partsOf(plan.tokenInputs.projection), { vector: plan.tokenInputs.norm }]);
  }
  for (const matrix of [...plan.altUp?.starts ?? [], ...plan.altUp?.ends ?? []]) {
    yield* inArena(0, partsOf(matrix));
  }
  if (plan.hyperEnd !== null) yield* inArena(0, partsOfHyper(plan.hyperEnd));
  if (plan.gatedEnd !== null) yield* inArena(0, partsOfAll(mixPieces(plan.gatedEnd)));
  if (plan.secondStream !== null) yield* inArena(0, [{ vector: plan.secondStream }]);
  for (const layer of plan.layers) {
    if (!layer.sharesWeights) yield* inArena(layer.arena, partsOfLayer(layer));
    // Of the layer whose weights it has that may be another one, or none: it is small.
    yield* inArena(layer.arena, partsOfNorm(layer.endNorm));
  }
  if (plan.guess !== null) yield* inArena(plan.guess.arena, partsOfGuess(plan.guess));
  yield* inArena(plan.outputArena, partsOfNorm(plan.guessNorm));
  yield* inArena(plan.outputArena, partsOfNorm(plan.outputNorm));
  if (plan.projector !== null) yield* inArena(plan.outputArena, partsOfProjector(plan.projector));
  // Plans are posted between threads, so a tied output is told by its name.
  if (!isTied(plan)) {
    yield* inArena(plan.outputArena, partsOf(plan.output));
  }
}

/** Of these what goes to arenas: of a rank on a GPU what makes embeddings and what ends joins. */
export function* arenaPiecesOf(plan: RankPlan): Generator<Piece> {
  const { gpu, embedding, embeddingNorm, positions, layers, tokenKind } = plan;
  if (gpu === null) return yield* piecesOf(plan);
  // Of a tower the GPU has both ends, too.
  if (plan.projector !== null) return;
  yield* inArena(0, [...partsOf(embedding), ...positions ? partsOf(positions) : []]);
  yield* inArena(0, partsOfNorm(embeddingNorm));
  if (tokenKind !== null) yield* inArena(0, [{ vector: tokenKind }]);
  if (gpu.isAlone) return;
  for (const layer of layers) {
    const { arena, attentionPostNorm, feedForwardPostNorm, outputScale, direction } = layer;
    yield* inArena(arena, partsOfNorm(attentionPostNorm));
    yield* inArena(arena, partsOfNorm(feedForwardPostNorm));
    for (const vector of [outputScale, direction]) {
      if (vector !== null) yield* inArena(arena, [{ vector }]);
    }
    yield* inArena(arena, partsOfChoice(layer));
  }
}

/** Of a rank on a GPU whose thread chooses experts: what it needs for that. */
function* partsOfChoice(layer: LayerPlan): Generator<Part> {
  const { feedForward: mixture, feedForwardNorm, attentionNorm } = layer;
  if (mixture?.kind !== "experts" || !mixture.choosesInArena) return;
  for (const norm of [attentionNorm, feedForwardNorm]) yield* partsOfNorm(norm);
  yield* partsOf(mixture.router);
  for (const vector of [mixture.choiceBias, mixture.scales]) if (vector !== null) yield { vector };
}

/** True where the output is the embedding table, as it lies there. */
export function isTied({ embedding, output }: RankPlan): boolean {
  // On a GPU rows have no places in an arena.
  return output.tensor === embedding.tensor && output.rowStrideBytes === embedding.rowStrideBytes &&
    output.rows.start === embedding.rows.start && output.rows.end === embedding.rows.end;
}

/** Bytes of the file that `loadWeights` will read, by the same steps. */
export function bytesToLoad(plan: RankPlan, tensors: ReadonlyMap<string, GgufTensor>): number {
  let bytes = 0;
  for (const piece of piecesOf(plan)) {
    if ("vector" in piece) {
      bytes += rowBytes(tensors.get(piece.vector.tensor)!.type, lengthOf(piece.vector.range));
    } else if (lengthOf(piece.matrix.columns) > 0) {
      const tensor = tensors.get(piece.matrix.tensor)!;
      if (piece.matrix.ofUnit !== undefined) {
        bytes += bytesOfUnitPart(piece.matrix, tensor.type);
        continue;
      }
      bytes += lengthOf(fileRows(piece.matrix)) * rowBytes(tensor.type, tensor.dims[0]);
    }
  }
  return bytes;
}

/** Of neurons that a GPU has of a unit, a part of their bundles, nearly; type: the tensor's. */
export function bytesOfUnitPart({ rows, columns }: MatrixPlan, type: string): number {
  const { blockElements, blockBytes } = dtypeByName(type)!;
  return Math.ceil(lengthOf(rows) * lengthOf(columns) / blockElements) * blockBytes;
}

/** Bytes of a packed file's bundles that loading reads into arenas, nearly. */
export function bytesOfUnits(plans: readonly RankPlan[], units: readonly BundleUnit[]): number {
  let bytes = 0;
  for (const plan of plans) {
    for (const { block } of packedBlocks(plan)) {
      const own = block.kind === "dense" ? block.up.rows : block.gate?.rows;
      if (own !== undefined) bytes += lengthOf(own) * units[block.unit!].bundleBytes;
    }
    const { stream, workspaces } = plan;
    if (stream === null || stream.hasResidentGates) continue;
    for (const space of workspaces) bytes += space.stream!.slotCount * stream.slotBytes;
  }
  return bytes;
}

function* inArena(arena: number, parts: Iterable<Part>): Generator<Piece> {
  for (const part of parts) yield { arena, ...part };
}

/** A layer's, whoever loads them. */
export function* partsOfLayer(layer: LayerPlan): Generator<Part> {
  yield* partsOfNorm(layer.attentionNorm);
  if (layer.query !== null) yield* partsOf(layer.query);
  if (layer.key !== null) yield* partsOf(layer.key);
  if (layer.value !== null && !areOne(layer.key, layer.value)) yield* partsOf(layer.value);
  if (layer.latent !== null) yield* partsOfLatent(layer.latent);
  if (layer.compressed !== null) yield* partsOfCompressed(layer.compressed);
  if (layer.blockIndexer !== null) {
    const { query, key, queryNorm, keyNorm } = layer.blockIndexer;
    yield* partsOfAll({ matrices: [query, key], vectors: [queryNorm, keyNorm] });
  }
  yield* partsOfNorm(layer.queryNorm);
  yield* partsOfNorm(layer.keyNorm);
  if (layer.attentionSinks !== null) yield { vector: layer.attentionSinks };
  for (const vector of Object.values(layer.offsets ?? {})) yield { vector };
  if (layer.convolution !== null) yield { vector: layer.convolution.weights };
  if (layer.conformer !== null) yield* partsOfAll(conformerPieces(layer.conformer));
  if (layer.attentionGate !== null) yield* partsOf(layer.attentionGate.matrix);
  if (layer.innerNorm !== null) yield { vector: layer.innerNorm };
  if (layer.attentionOutput !== null) yield* partsOf(layer.attentionOutput);
  if (layer.stateSpace !== null) yield* partsOfStateSpace(layer.stateSpace);
  if (layer.timeMix !== null) yield* partsOfTimeMix(layer.timeMix);
  if (layer.finch !== null) yield* partsOfFinch(layer.finch);
  if (layer.keyDeltas !== null) yield* partsOfKeyDeltas(layer.keyDeltas);
  if (layer.lightning !== null) yield* partsOfLightning(layer.lightning);
  yield* partsOfNorm(layer.attentionPostNorm);
  yield* partsOfNorm(layer.feedForwardNorm);
  if (layer.feedForwardShift !== null) yield { vector: layer.feedForwardShift };
  if (layer.neuronGate !== null) {
    yield* partsOf(layer.neuronGate.matrix);
    yield { vector: layer.neuronGate.shift };
  }
  const { feedForward } = layer;
  if (feedForward?.kind === "experts") yield* partsOfExperts(feedForward);
  else if (feedForward !== null) yield* partsOfBlock(feedForward);
  for (const { block } of layer.steppedNeurons) yield* partsOfBlock(block);
  yield* partsOfNorm(layer.feedForwardPostNorm);
  if (layer.input !== null) {
    yield* partsOf(layer.input.gate);
    yield* partsOf(layer.input.output);
    yield* partsOfNorm(layer.input.norm);
  }
  if (layer.altUp !== null) yield* partsOfAltUp(layer.altUp);
  for (const each of Object.values(layer.hyper ?? {})) yield* partsOfHyper(each);
  if (layer.gated !== null) yield* partsOfAll(gatedPieces(layer.gated));
  const { outputScale, attentionScale, feedForwardScale, embeddingScale } = layer;
  const scales = [outputScale, attentionScale, feedForwardScale, embeddingScale];
  const { attentionGains, feedForwardGains, direction } = layer;
  for (const vector of [...scales, attentionGains, feedForwardGains, direction]) {
    if (vector !== null) yield { vector };
  }
}

/** Values are made of what keys are made of: it lies there once. */
function areOne(key: MatrixPlan | null, value: MatrixPlan): boolean {
  return key?.tensor === value.tensor && key.rows.start === value.rows.start;
}

function* partsOfAltUp(
  { router, routerNorm, guess, correction, scale, bypass }: LayerAltUpPlan,
): Generator<Part> {
  yield* partsOf(router);
  yield* partsOfNorm(routerNorm);
  for (const vector of [guess, correction, scale]) yield { vector };
  yield* partsOf(bypass.down);
  yield* partsOf(bypass.up);
  yield* partsOfNorm(bypass.norm);
}

function* partsOfHyper({ mixers, base, scale }: HyperPlan): Generator<Part> {
  yield* partsOfAll({ matrices: mixers, vectors: [base, scale] });
}

function* partsOfAll(
  { matrices, vectors }: {
    readonly matrices: readonly MatrixPlan[];
    readonly vectors: readonly (VectorPlan | null)[];
  },
): Generator<Part> {
  for (const matrix of matrices) yield* partsOf(matrix);
  for (const vector of vectors) if (vector !== null) yield { vector };
}

function* partsOfCompressed(
  { queryDown, groups, keys, indexer }: CompressedPlan,
): Generator<Part> {
  yield* partsOf(queryDown.matrix);
  yield { vector: queryDown.norm };
  yield* partsOf(groups);
  if (indexer !== null) yield* [...partsOf(indexer.query), ...partsOf(indexer.weights)];
  for (const each of [keys, indexer?.keys ?? null]) {
    if (each === null) continue;
    yield* [...partsOf(each.key), ...partsOf(each.gate)];
    for (const vector of [each.places, each.norm]) yield { vector };
  }
}

function* partsOfLatent(
  { queryDown, plainQuery, norm, turnedNorm, keyUp, valueUp, indexer }: LatentPlan,
): Generator<Part> {
  if (queryDown !== null) {
    yield* partsOf(queryDown.matrix);
    yield { vector: queryDown.norm };
  }
  yield* partsOf(plainQuery);
  for (const vector of [norm, turnedNorm]) if (vector !== null) yield { vector };
  yield* partsOf(keyUp);
  yield* partsOf(valueUp);
  if (indexer === null) return;
  for (const matrix of [indexer.query, indexer.key, indexer.weights]) yield* partsOf(matrix);
  yield { vector: indexer.keyNorm.weight };
  yield { vector: indexer.keyNorm.bias };
}

function* partsOfStateSpace(plan: StateSpacePlan): Generator<Part> {
  const { convolutionBias, shared, norm } = plan;
  yield* partsOf(plan.input);
  for (const matrix of Object.values(plan.deltas ?? {})) yield* partsOf(matrix);
  yield { vector: plan.convolution };
  if (convolutionBias !== null) yield { vector: convolutionBias };
  if (shared !== null) {
    yield* partsOf(shared.matrix);
    yield* partsOf(shared.steps);
    for (const vector of Object.values(shared.norms ?? {})) yield { vector };
  }
  for (const vector of [plan.stepBias, plan.decay]) yield { vector };
  if (plan.skip !== null) yield { vector: plan.skip };
  if (norm !== null) yield { vector: norm };
  yield* partsOf(plan.output);
}

function* partsOfTimeMix(plan: TimeMixPlan): Generator<Part> {
  const { decay, rate, firstValue, gate, norm } = plan;
  for (const low of [decay, rate, firstValue, gate]) {
    if (low !== null) yield* partsOfLowRank(low);
  }
  for (const vector of [plan.shifts, plan.keyScale, plan.keyRate, plan.bonus]) yield { vector };
  for (const matrix of [plan.key, plan.value, plan.receptance]) yield* partsOf(matrix);
  if (norm !== null) yield* partsOfNorm(norm);
  yield* partsOf(plan.output);
}

function* partsOfLowRank({ first, second, bias }: LowRankPlan): Generator<Part> {
  if (first !== null) yield* partsOf(first);
  yield* partsOf(second);
  if (bias !== null) yield { vector: bias };
}

function* partsOfFinch(plan: FinchPlan): Generator<Part> {
  const { bonus, norm } = plan;
  for (const matrix of Object.values(plan.moves)) yield* partsOf(matrix);
  for (const vector of [plan.first, ...plan.shares]) yield { vector };
  if (bonus !== null) yield { vector: bonus };
  yield* partsOfLowRank(plan.decay);
  for (const matrix of [plan.key, plan.value, plan.receptance, plan.gate]) yield* partsOf(matrix);
  if (norm !== null) yield* partsOfNorm(norm);
  yield* partsOf(plan.output);
}

function* partsOfLightning({ norm, input, gate, output }: LightningPlan): Generator<Part> {
  yield { vector: norm };
  for (const matrix of [input, gate, output]) yield* partsOf(matrix);
}

function* partsOfKeyDeltas(plan: KeyDeltaPlan): Generator<Part> {
  for (const vector of Object.values(plan.convolutions)) yield { vector };
  for (const matrix of [plan.query, plan.key, plan.value]) yield* partsOf(matrix);
  for (const low of [plan.steps, plan.gate]) yield* partsOfLowRank(low);
  yield* partsOf(plan.rates);
  for (const vector of [plan.decay, plan.norm]) yield { vector };
  yield* partsOf(plan.output);
}

function* partsOfExperts(plan: ExpertsPlan): Generator<Part> {
  yield* partsOf(plan.router);
  const { choiceBias, expertsOfTokens: table, scales, latent } = plan;
  for (const vector of [choiceBias, table, scales, latent?.norm]) if (vector) yield { vector };
  yield* partsOfNorm(plan.inputNorm);
  for (const each of plan.companions) yield* partsOfBlock(each);
  for (const norm of Object.values(plan.apart ?? {})) yield* partsOfNorm(norm);
  if (latent !== null) yield* [...partsOf(latent.down), ...partsOf(latent.up)];
  // Tensor by tensor, not expert by expert: the file is read in its order.
  const inFile = plan.experts.filter((expert) => expert.unit === null) as readonly DensePlan[];
  for (const { gate } of inFile) if (gate !== null) yield* partsOf(gate);
  for (const { up } of inFile) yield* partsOf(up);
  for (const { down } of inFile) yield* partsOf(down);
  for (const expert of plan.experts) if (expert.unit !== null) yield* biasesOfUnit(expert);
  if (plan.downBiases !== null) yield { vector: plan.downBiases };
  for (const { predictor } of plan.experts) if (predictor !== null) yield* partsOf(predictor.first);
  for (const { predictor } of plan.experts) {
    if (predictor !== null) yield* partsOf(predictor.second);
  }
  if (plan.sharedGate !== null) yield* partsOf(plan.sharedGate);
  if (plan.shared !== null) yield* partsOfBlock(plan.shared);
}

/** Of units of a packed file, only what is not packed: load_units.ts brings the rest. */
function* partsOfBlock(block: DensePlan | StreamedPlan): Generator<Part> {
  const { predictor } = block;
  if (block.kind === "dense" && block.unit === null) {
    if (block.gate !== null) yield* partsOf(block.gate);
    yield* partsOf(block.up);
    yield* partsOf(block.down);
  } else yield* biasesOfUnit(block);
  if (block.innerNorm !== null) yield { vector: block.innerNorm };
  if (predictor === null) return;
  yield* partsOf(predictor.first);
  yield* partsOf(predictor.second);
}

/** Bundles of neurons have none: they are read as other vectors are. */
function* biasesOfUnit(block: DensePlan | StreamedPlan): Generator<Part> {
  const biases = block.kind === "streamed"
    ? Object.values(block.biases)
    : [block.gate, block.up, block.down].map((matrix) => matrix?.bias ?? null);
  for (const vector of biases) if (vector !== null) yield { vector };
}

/** What a guessing block has before its layer. */
function* partsOfGuess({ merge, embeddingNorm, rowNorm, inputNorm }: GuessPlan): Generator<Part> {
  yield* partsOf(merge);
  yield* partsOfNorm(embeddingNorm);
  yield* partsOfNorm(rowNorm);
  yield* partsOfNorm(inputNorm);
}
