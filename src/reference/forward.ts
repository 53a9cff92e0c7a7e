/**
 * The slow truth: a whole transformer of any family made of formulas, in f64. The judge of every
 * golden test; reads like the models' definition and is fast nowhere. Knows ids and logits; nothing
 * of text, threads or WebAssembly.
 */
import type { GgufFile, TensorReader } from "../gguf/mod.ts";
import {
  configOf,
  describeModel,
  headMatrices,
  type HeadNormTensors,
  type ModelConfig,
  type ModelDescription,
  type ModelTensors,
  type Pooling,
  positionsAhead,
  type RopeFrequencies,
  ropeFrequencies,
  type TowerInput,
  type VectorTensor,
} from "../model/mod.ts";
import { capLogits } from "./activation_ops.ts";
import { addBypass, correctStreams, endStreams, guessStreams, startStreams } from "./alt_up.ts";
import { ReferenceBlocks } from "./blocks.ts";
import { blockKeys, chosenBlocks } from "./block_indexer.ts";
import { byDistance } from "./by_distance.ts";
import { conformerLayer } from "./conformer.ts";
import { shortConvolution } from "./convolution.ts";
import { embedTokens } from "./embed.ts";
import { givenWith, lastSeenBy, type ReferenceGiven, windowsOf } from "./given_rows.ts";
import { finchLayer } from "./finch_layer.ts";
import { gateHeads } from "./gated_heads.ts";
import { gatedWalk } from "./gated_walk.ts";
import { chosenGroups, groupRows } from "./group_indexer.ts";
import { endLayer, tokenInputs } from "./layer_inputs.ts";
import { endPass, startKept, sumOf } from "./kept_streams.ts";
import { hyperWalk } from "./hyper_walk.ts";
import { keyDeltaLayer } from "./key_delta_layer.ts";
import { lightningLayer } from "./lightning_layer.ts";
import { gateNeurons, mixWithBefore } from "./neuron_rows.ts";
import { chosenKeys, indexedKeys } from "./indexer.ts";
import { append, type LayerCache } from "./layer_cache.ts";
import { ownShape, queryInput } from "./latent_heads.ts";
import { offsetHeads } from "./offset_heads.ts";
import { add, attention } from "./ops.ts";
import { growQueries, rotationTables, turnHeads, type Turning } from "./rotations.ts";
import { ownHeads } from "./own_heads.ts";
import { embedPatches, foldRows, meanRows, projectRows } from "./see.ts";
import { sourceKeys, walkedLayers } from "./source.ts";
import { stateLayer, stateRows } from "./state_layer.ts";
import { poolRows, projectText, scoreText } from "./text_head.ts";
import { timeMixLayer } from "./time_mix.ts";
import { type ProductOptions, ReferenceWeights } from "./weights.ts";

/** Where the weights come from and who looks on. */
export interface ReferenceOptions extends ProductOptions {
  /** Left out: the file's parts are opened and closed again. */
  readonly reader?: TensorReader;
  /** Is shown every intermediate by name ("layer 3 query"), [n, …]. */
  readonly onTensor?: (name: string, data: Float64Array) => void;
  /** Tokens that will be used; left out: the trained context. */
  readonly contextLength?: number;
  /** Neurons that the model's predictors do not name count as silent. Default: no. */
  readonly usesPredictors?: boolean;
  /** Dense neurons whose |act(gate)| is not above their layer's count as silent. Default: none. */
  readonly thresholds?: readonly number[];
  /** What the file's model is taken for; left out: what it says it is. */
  readonly description?: ModelDescription;
}

/** Where new tokens stand. */
interface Place {
  /** The first one's position. */
  readonly fromPosition: number;
  /** Cosines and sines of all of them, [n, dimensionCount], for each of the model's ropes. */
  readonly rotations: readonly Float64Array[];
  readonly given: ReferenceGiven;
  /** They are a source. Left out: what goes on, or answers one. */
  readonly stage?: "reads";
}

/** One sequence run by one model. */
export class ReferenceModel {
  readonly config: ModelConfig;
  readonly #tensors: ModelTensors;
  readonly #weights: ReferenceWeights;
  readonly #blocks: ReferenceBlocks;
  readonly #frequencies: readonly RopeFrequencies[];
  readonly #caches: readonly LayerCache[];
  readonly #onTensor: NonNullable<ReferenceOptions["onTensor"]>;
  readonly #thresholds: readonly number[];
  readonly #outcomes: Float64Array[] = [];
  /** By the last layer that chose keys. */
  #chosen: readonly Uint32Array[] = [];

  /**
   * Reads and dequantises all weights.
   * @throws {ModelFormatError | UnsupportedModelError} as `describeModel` does.
   */
  constructor(file: GgufFile, options: ReferenceOptions = {}) {
    const { contextLength, description = describeModel(file, { contextLength }) } = options;
    const { config, tensors } = description;
    this.config = config;
    this.#tensors = tensors;
    this.#weights = new ReferenceWeights(file, options.reader, options);
    this.#blocks = new ReferenceBlocks(config, this.#weights, options);
    this.#frequencies = config.ropes.map((each) =>
      ropeFrequencies(each, each.factors && this.#weights.vector(each.factors))
    );
    const none = new Float64Array(0);
    this.#caches = tensors.layers.map(() => (
      { keys: none, values: none, indexed: none, rows: none, fed: none }
    ));
    this.#onTensor = options.onTensor ?? (() => {});
    this.#thresholds = options.thresholds ?? [];
  }

  /**
   * Runs new tokens after the first `fromPosition` ones, of a source's answer after those of it;
   * what came later before is forgotten.
   * @returns logits after each new token, f32 [n, vocabSize].
   */
  forward(ids: readonly number[], fromPosition = 0, given: ReferenceGiven = {}): Float32Array {
    const rows = this.#rows(ids, fromPosition, { given });
    const logits = this.#blocks.project(rows, this.#tensors.output);
    const capped = capLogits(logits, this.config);
    return Float32Array.from(this.#show("logits", capped)); // [n, vocabSize]
  }

  /** Reads a source, which what `forward` runs from now on is an answer to. */
  read(ids: readonly number[]): void {
    this.#rows(ids, 0, { stage: "reads" });
    const left = this.#outcomes[this.config.source!.readingLayers - 1];
    sourceKeys(left, this.#tensors.layers, this.#parts)
      .forEach((kept, index) => Object.assign(this.#caches[index], kept));
  }

  /** The vector of a text. */
  vector(ids: readonly number[], pooling: Pooling): Float64Array {
    const pooled = poolRows(this.#rows(ids, 0), this.config.embeddingLength, pooling);
    return projectText(pooled, this.#tensors.textHead, this.#parts);
  }

  /** How well the second text of a pair goes with the first. */
  score(ids: readonly number[]): number {
    const head = this.#tensors.textHead!;
    const pooled = poolRows(this.#rows(ids, 0), this.config.embeddingLength, head.ranker!.reads);
    return scoreText(pooled, head, this.#parts);
  }

  /** An image's rows of a text model's stream, [kept / mergedRows, outputLength]. */
  see(input: TowerInput): Float64Array {
    const place = { fromPosition: 0, given: givenWith(input, this.config) };
    const of = { n: input.count, ...place };
    const rotations = rotationTables(this.config, this.#frequencies, of, place.given);
    const x = embedPatches(input, this.#tensors, this.#parts);
    const rows = this.#walk(x, [], { ...place, rotations });
    return projectRows({ ...input, rows, outcomes: this.#outcomes }, this.#tensors, this.#parts);
  }

  /** What the last norm leaves of each token, [n, embeddingLength]. */
  #rows(ids: readonly number[], fromPosition: number, more: Partial<Place> = {}): Float64Array {
    const { given = {}, stage } = more;
    const tokens = { n: ids.length, ids, fromPosition, given };
    const rotations = rotationTables(this.config, this.#frequencies, tokens, given);
    const embeddings = embedTokens(tokens, this.#tensors, this.#parts);
    return this.#walk(embeddings, ids, { fromPosition, rotations, given, stage });
  }

  #walk(embeddings: Float64Array, ids: readonly number[], place: Place): Float64Array {
    const { outputNorm } = this.#tensors;
    const x = this.#blocks.norm(embeddings, this.#tensors.embeddingNorm); // [n, embeddingLength]
    this.#show("embedding", x);
    const show = (name: string, data: Float64Array) => this.#show(name, data);
    const of = { ...this.#parts, ...place, tensors: this.#tensors, caches: this.#caches };
    const mix = (h: Float64Array, index: number) => this.#mix(h, index, place);
    if (this.config.hyper !== undefined) {
      const merged = hyperWalk(x, { ...of, ids, show, mix });
      return this.#show("norm", this.#blocks.norm(merged, outputNorm));
    }
    if (this.config.gatedStreams !== undefined) return gatedWalk(x, { ...of, ids, show, mix });
    const inputs = tokenInputs(ids, x, this.#tensors.tokenInputs, this.#parts);
    let kept = startKept(x, this.#tensors, this.#parts);
    let streams = startStreams(sumOf(kept, x), this.#tensors, this.#parts);
    const { start, end } = walkedLayers(this.config, place.stage);
    for (let layer = start; layer < end; layer++) {
      const tensors = this.#tensors.layers[layer];
      const guesses = guessStreams(streams, tensors.altUp, this.#parts);
      const made = this.#layer(guesses[0], layer, place);
      streams = correctStreams(guesses, made, tensors.altUp, this.#parts);
      streams = endLayer(streams, inputs, { layer, tensors, ids, ...place, ...this.#parts });
      const ended = endPass(streams[0], kept, { layer, tensors, ...this.#parts });
      kept = ended.kept;
      streams = [foldRows(ended.x, layer, this.#tensors, this.#parts), ...streams.slice(1)];
      this.#outcomes[layer] = this.#show(`layer ${layer + 1} in`, streams[0]);
    }
    const merged = meanRows(endStreams(streams, this.#tensors, this.#parts), this.config);
    if (this.config.projector?.lacksLastNorm) return merged;
    return this.#show("norm", this.#blocks.lastNorm(merged, outputNorm));
  }

  /**
   * y = x + s · post(attention(norm(x))), then y + s · post(feedForward(norm(y))); with parallel
   * blocks x + s · attention(norm(x)) + s · feedForward(norm(x)), the norm being one or two. In
   * some models post is of the sums.
   */
  #layer(x: Float64Array, index: number, place: Place): Float64Array {
    const { hasParallelBlocks } = this.config;
    const tensors = this.#tensors.layers[index], blocks = this.#blocks;
    const show = (name: string, data: Float64Array) => this.#show(`layer ${index} ${name}`, data);

    const read = place.given.pairs ?? blocks.norm(x, tensors.attentionNorm);
    const attends = show("attention norm", read);
    const mixed = this.#scale(
      this.#mix(attends, index, place),
      tensors.attentionGains ?? tensors.attentionScale,
    );
    const sum = blocks.join(x, mixed, tensors.attentionPostNorm);
    const y = show("attention out", addBypass(sum, attends, tensors.altUp, this.#parts));
    if (tensors.feedForward === null) return y;

    const reads = hasParallelBlocks
      ? tensors.feedForwardNorm === null ? attends : blocks.norm(x, tensors.feedForwardNorm)
      : blocks.norm(y, tensors.feedForwardNorm);
    const around = { ...this.#parts, tensors, cache: this.#caches[index] };
    const h = show(
      "feed-forward norm",
      mixWithBefore(reads, place.fromPosition * this.config.embeddingLength, around),
    );
    const residual = hasParallelBlocks ? x : y;
    const { gateCutoff, curve, limits, neuronShare, endScale = 1 } = this.config.layers[index];
    const { experts } = configOf(this.config, index), threshold = this.#thresholds[index];
    const inputs = { h, layerInput: x, residual, threshold, gateCutoff, curve, limits, experts };
    const given = gateNeurons(blocks.feedForward(inputs, tensors.feedForward, show), around);
    const neurons = this.#scale(given, tensors.feedForwardGains ?? tensors.feedForwardScale);
    const fed = blocks.join(y, neurons, tensors.feedForwardPostNorm, neuronShare);
    return show("feed-forward out", fed.map((value) => value * endScale));
  }

  /** What a block gives, as much as the layer says, or number by number. */
  #scale(x: Float64Array, by: VectorTensor | undefined): Float64Array {
    if (by === undefined) return x;
    const scales = this.#weights.vector(by);
    return x.map((value, i) => value * scales[i % scales.length]);
  }

  /** What attention gives, or a convolution in its place, and a state space, of what is there. */
  #mix(h: Float64Array, index: number, place: Place): Float64Array {
    const tensors = this.#tensors.layers[index];
    const { timeMix, finch, keyDeltas, lightning, query, convolution, stateSpace } = tensors;
    if (timeMix ?? finch ?? keyDeltas ?? lightning) return this.#recur(h, index, place);
    const attended = query === null
      ? new Float64Array(h.length)
      : tensors.relative ?? tensors.filter
      ? conformerLayer(h, tensors, this.#parts)
      : convolution === null
      ? this.#attend(h, index, place)
      : this.#convolve(h, index, place.fromPosition);
    if (stateSpace === null) return attended;
    const cache = this.#caches[index];
    const more = stateRows(h, stateSpace, this.#blocks);
    const count = h.length / this.config.embeddingLength;
    cache.rows = append(cache.rows, place.fromPosition * (more.length / count), more);
    const of = { config: this.config, weights: this.#weights, rows: cache.rows, count };
    const states = this.#show(`layer ${index} states`, stateLayer(stateSpace, of));
    return add(attended, states);
  }

  /** What a layer gives that only recurs; values of RWKV-7's first are kept for all. */
  #recur(h: Float64Array, index: number, place: Place): Float64Array {
    const { timeMix, finch, keyDeltas, lightning } = this.#tensors.layers[index];
    const cache = this.#caches[index];
    cache.rows = append(cache.rows, place.fromPosition * this.config.embeddingLength, h);
    const input = { ...this.#parts, rows: cache.rows };
    let out: Float64Array;
    if (keyDeltas !== undefined) out = keyDeltaLayer(keyDeltas, input);
    else if (finch !== undefined) out = finchLayer(finch, input);
    else if (lightning !== undefined) out = lightningLayer(lightning, { ...input, index });
    else {
      const firstValues = index === 0 ? null : this.#caches[0].values;
      const made = timeMixLayer(timeMix!, { ...input, firstValues });
      if (index === 0) cache.values = made.values;
      out = made.out;
    }
    return this.#show(`layer ${index} states`, out.subarray(out.length - h.length));
  }

  /**
   * Wo · attention(rope(norm(Wq·h + bq)), rope(norm(Wk·h + bk)), Wv·h + bv); in some models the
   * norm is taken last.
   */
  #attend(h: Float64Array, index: number, place: Place): Float64Array {
    const { layers, normalizesTurnedHeads } = this.config;
    const config = configOf(this.config, index), { headCount } = config;
    const { kvHeads, keyDim, valueDim } = ownShape(this.config, index);
    const tensors = this.#tensors.layers[index];
    const blocks = this.#blocks;
    const show = (name: string, data: Float64Array) => this.#show(`layer ${index} ${name}`, data);

    const { rope: keyRope, queryRope = keyRope, secondRope: second } = layers[index];
    const turns = { ropes: this.config.ropes, rotations: place.rotations };
    const turned = (x: Float64Array, norm: HeadNormTensors | null, by: Turning) =>
      normalizesTurnedHeads
        ? blocks.headNorm(turnHeads(x, by, turns), norm, keyDim)
        : turnHeads(blocks.headNorm(x, norm, keyDim), by, turns);
    const { query, key, value } = ownHeads(h, tensors, { ...this.#parts, config });
    const { keysOf = index } = layers[index];
    const hasKeys = keysOf === index && layers[index].stage !== "asks";
    const v = hasKeys ? show("value", blocks.headNorm(value, tensors.valueNorm, valueDim)) : value;
    const ofQuery = { headDim: keyDim, heads: headCount, rope: queryRope, second };
    const grown = growQueries(query, {
      width: ofQuery.heads * keyDim,
      fromPosition: place.fromPosition,
      temperature: this.config.queryTemperature,
    });
    const q = show("query", turned(grown, tensors.queryNorm, ofQuery));

    const cache = this.#caches[keysOf];
    const kept = place.fromPosition * kvHeads;
    if (hasKeys) {
      const ofKey = { headDim: keyDim, heads: kvHeads, rope: keyRope, second };
      const k = show("key", turned(key, tensors.keyNorm, ofKey));
      cache.keys = append(cache.keys, kept * keyDim, k);
      cache.values = append(cache.values, kept * valueDim, v);
    }
    const kv = { q, k: cache.keys, v: cache.values };
    const inGrid = { ...this.#parts, index, given: place.given };
    const heads = layers[index].offsets ? offsetHeads(kv, tensors, inGrid) : attention(kv, {
      ...{ p0: place.fromPosition, heads: headCount, headDim: keyDim, valueDim },
      kvHeads,
      groupSize: headCount / kvHeads,
      window: layers[index].slidingWindow,
      scale: config.attentionScale,
      softCap: this.config.attentionSoftCap,
      chunk: layers[index].attentionChunk,
      ahead: positionsAhead(this.config, index),
      lastOf: (position) => lastSeenBy(position, place.given),
      ...this.#choose(h, index, place),
      ...windowsOf(place.given, layers[index], this.config),
      ...byDistance(this.config, { ...layers[index], headCount }, this.#weights),
      ...tensors.attentionSinks && { sinks: this.#weights.vector(tensors.attentionSinks) },
    });
    const counted = heads.map((value) => value * this.config.valueScale);
    const gated = gateHeads(show("heads", counted), h, tensors.attentionGate, blocks);
    return blocks.project(blocks.innerNorm(gated, tensors.innerNorm), tensors.attentionOutput!);
  }

  /** The positions that each new token attends to; nothing: all. */
  #choose(h: Float64Array, index: number, { fromPosition, rotations, given }: Place) {
    const { indexer, layers, ropes } = this.config;
    const { choosesKeys, choosesBlocks, groupRatio, rope } = layers[index];
    const { latent } = this.#tensors.layers[index];
    const cache = this.#caches[index];
    if (groupRatio !== undefined) {
      const of = { ...this.#parts, layer: this.#tensors.layers[index], h, groupRatio, given };
      cache.indexed = append(cache.indexed, ...groupRows(of, fromPosition));
      return { listOf: chosenGroups(cache.indexed, { ...of, rope: rope!, rotations }) };
    }
    if (!choosesKeys && !choosesBlocks) return {};
    const input = { weights: this.#weights, h, rotation: rotations[rope!], rope: ropes[rope!] };
    if (choosesBlocks) {
      const of = { ...input, config: this.config, layer: this.#tensors.layers[index] };
      cache.indexed = append(cache.indexed, ...blockKeys(of, fromPosition));
      return { listOf: chosenBlocks(cache.indexed, of) };
    }
    if (choosesKeys === "own") {
      const short = queryInput(h, latent!, this.#parts);
      const of = { ...input, config: indexer!, tensors: latent!.indexer!, short };
      cache.indexed = append(cache.indexed, fromPosition * indexer!.headDim, indexedKeys(of));
      this.#chosen = chosenKeys(cache.indexed, of);
    }
    return { listOf: (t: number) => this.#chosen[t] };
  }

  get #parts() {
    return { config: this.config, weights: this.#weights, blocks: this.#blocks };
  }

  /** Wo · (Wq·h ⊙ convolution(Wk·h ⊙ Wv·h)): what the matrices are called, see LayerTensors. */
  #convolve(h: Float64Array, index: number, fromPosition: number): Float64Array {
    const { embeddingLength: channels } = this.config;
    const tensors = this.#tensors.layers[index];
    const { query, key, value, attentionOutput } = headMatrices(tensors);
    const show = (name: string, data: Float64Array) => this.#show(`layer ${index} ${name}`, data);
    const gate = show("query", this.#blocks.project(h, query));
    const inputs = show("key", this.#blocks.project(h, key));
    const rows = show("value", this.#blocks.project(h, value).map((x, i) => x * inputs[i]));
    const cache = this.#caches[index];
    cache.values = append(cache.values, fromPosition * channels, rows);
    const weights = this.#weights.vector(tensors.convolution!);
    const of = { p0: fromPosition, channels };
    const convolved = shortConvolution({ x: cache.values, gate, weights }, of);
    return this.#blocks.project(show("heads", convolved), attentionOutput);
  }

  #show(name: string, data: Float64Array): Float64Array {
    this.#onTensor(name, data);
    return data;
  }
}
