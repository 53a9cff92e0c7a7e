/**
 * One rank: an owner of a part of every layer, with the arenas that hold it. Its methods are the
 * steps that forward.ts walks through; each works on the n tokens of the current step and leaves
 * its result in the workspace. Nothing is allocated per token. What the steps do is in the blocks.
 */
import { check } from "../base/check.ts";
import type { Control, StepWords } from "../memory/control.ts";
import type { Observation } from "../memory/observation.ts";
import type { TowerInput } from "../model/vision_types.ts";
import { AltUp } from "./blocks/alt_up.ts";
import { AttentionBlock } from "./blocks/attention_block.ts";
import { ConformerBlock, filters, isOfConformer } from "./blocks/conformer_block.ts";
import { OffsetHeads } from "./blocks/offset_heads.ts";
import { ConvolutionBlock, convolves } from "./blocks/convolution_block.ts";
import { FeedForwardBlock } from "./blocks/feed_forward_block.ts";
import { bindGatedMix } from "./bound/bound_gated.ts";
import { hasInnerNorm } from "./bound/bound_blocks.ts";
import { addressOf, bindNorm, type Norm } from "./bound/bound_norm.ts";
import { addGivenParts } from "./blocks/given_parts.ts";
import { bindLayer, type Layer } from "./bound/layer.ts";
import { type FusionBlock, guessBlock } from "./blocks/fusion_block.ts";
import type { GuessBlock } from "./blocks/guess_block.ts";
import { HEADS, NEURONS } from "./step/inner_norms.ts";
import { GatedStreams } from "./blocks/gated_streams.ts";
import { type MixedStreams, mixedStreams } from "./blocks/mixed_streams.ts";
import { NgramBlock } from "./blocks/ngram_block.ts";
import { KeptStreams } from "./blocks/kept_streams.ts";
import { LayerInputs } from "./blocks/layer_inputs.ts";
import { LayerTally, neuronsAsked } from "./step/layer_tally.ts";
import { Observer } from "./step/observer.ts";
import { PatchEmbedding } from "./tower/patch_embedding.ts";
import type { KeptRows } from "./blocks/kept_rows.ts";
import { guessingLayers } from "./plan/plan_guess.ts";
import type { RankPlan } from "./plan/plan_types.ts";
import { Projector } from "./tower/projector.ts";
import type { RankSteps } from "./rank_steps.ts";
import { Residual } from "./step/residual.ts";
import type { Streaming } from "./stream/streaming.ts";
import type { Range } from "./plan/shard.ts";
import { TappedRows } from "./blocks/tapped_rows.ts";
import { StateBlock } from "./blocks/state_block.ts";
import { StepState, type StepStateInput } from "./step/step_state.ts";
import { FinchBlock } from "./blocks/finch_block.ts";
import { KeyDeltaBlock } from "./blocks/key_delta_block.ts";
import { LightningBlock } from "./blocks/lightning_block.ts";
import { gateNeurons } from "./neurons/neuron_gate.ts";
import { TimeMixBlock } from "./blocks/time_mix_block.ts";
import type { TokenRows } from "./blocks/token_table.ts";
import { Vocabulary } from "./blocks/vocabulary.ts";

export interface RankInput extends StepStateInput {
  readonly control: Control;
  /** Where it shows what its neurons do, or null. */
  readonly observation: Observation | null;
  /** Null unless the model is a packed one. */
  readonly streaming: Streaming | null;
  /** Of the table of what tokens give layers; null: there is none. */
  readonly tokenRows: TokenRows | null;
  /** Of a model that guesses, on the rank that leads. Left out: another rank has them. */
  readonly keptRows?: KeptRows;
}

export class Rank implements RankSteps<Layer> {
  readonly plan: RankPlan;
  readonly #state: StepState;
  readonly #control: Control;
  readonly #stepIds: Int32Array;
  readonly #layers: readonly Layer[];
  /** Numbers of layers that read a source, of the model's others, and of the one that guesses. */
  readonly #reading: Range;
  readonly #walked: Range;
  readonly #guessing: Range;
  readonly #residual: Residual;
  readonly #embeddingNorm: Norm | null;
  /** Address of f32 [d], or 0. */
  readonly #tokenKind: number;
  /** Null where tokens give layers nothing. */
  readonly #inputs: LayerInputs | null;
  /** Null where there is one residual stream. */
  readonly #altUp: AltUp | null;
  /** Null where layers mix no streams. */
  readonly #hyper: MixedStreams | null;
  /** Null where streams are not gated; where tokens name no rows. */
  readonly #gated: GatedStreams | null;
  readonly #ngrams: NgramBlock | null;
  readonly #kept: KeptStreams;
  readonly #vocabulary: Vocabulary;
  /** Both ends of a tower, instead; null: the model is none. */
  readonly #tower: { readonly start: PatchEmbedding; readonly end: Projector } | null;
  readonly #attention: AttentionBlock;
  /** Null: no scores count how far keys are away in an image, or the rank has no heads. */
  readonly #inGrid: OffsetHeads | null;
  readonly #convolution: ConvolutionBlock;
  /** Null: the model is no conformer. */
  readonly #conformer: ConformerBlock | null;
  /** Null where no layer keeps states. */
  readonly #states: StateBlock | null;
  /** Null but for RWKV-7. */
  readonly #timeMix: TimeMixBlock | null;
  /** Null but for RWKV-6. */
  readonly #finch: FinchBlock | null;
  /** Null but for Kimi Linear. */
  readonly #keyDeltas: KeyDeltaBlock | null;
  /** Null but for MiniMax 01. */
  readonly #lightning: LightningBlock | null;
  /** Null: nothing guesses. */
  readonly #guess: GuessBlock | FusionBlock | null;
  /** Null: no other model guesses with its rows, or another rank keeps them. */
  #tapped: TappedRows | null = null;
  readonly #feedForward: FeedForwardBlock;
  readonly #streaming: Streaming | null;
  readonly #tally: LayerTally;
  /** Of norms inside of blocks: which squares, and of how many numbers. */
  readonly #innerHeads: { readonly row: number; readonly width: number };
  readonly #innerNeurons: { readonly row: number; readonly width: number };

  constructor(input: RankInput) {
    const { config, plans, control, memories: all, observation, streaming, tokenRows } = input;
    const memories = input.memories[input.rankIndex];
    const state = new StepState(input);
    const residual = new Residual(state, control);
    this.plan = state.plan;
    this.#state = state;
    this.#control = control;
    this.#stepIds = control.stepIds();
    this.#residual = residual;
    this.#embeddingNorm = bindNorm(this.plan.embeddingNorm);
    this.#tokenKind = addressOf(this.plan.tokenKind);
    const { readingLayers = 0 } = config.source ?? {};
    this.#reading = { start: 0, end: readingLayers };
    this.#walked = { start: readingLayers, end: config.blockCount };
    this.#guessing = guessingLayers(config);
    this.#layers = this.plan.layers.map((layer, index) =>
      bindLayer(layer, { config, index, memory: memories[layer.arena], rank: this.plan })
    );
    this.#inputs = tokenRows && this.plan.tokenInputs &&
      new LayerInputs(state, { residual, control, plans, memories: all, rows: tokenRows });
    this.#altUp = this.plan.altUp && new AltUp(state, { residual, memories });
    const { secondStream: second, hyperEnd, gatedEnd, projector } = this.plan;
    this.#hyper = hyperEnd && mixedStreams(state, { residual, memories, plan: hyperEnd });
    this.#gated = gatedEnd &&
      new GatedStreams(state, { residual, memories, end: bindGatedMix(gatedEnd) });
    const named = this.#layers.find(({ gated }) => gated?.ngrams);
    this.#ngrams = named
      ? new NgramBlock(state, { layer: named, control, rows: tokenRows!, memories })
      : null;
    this.#kept = new KeptStreams(state, { residual, memory: memories[0], second });
    const inFile = streaming?.embeddingRows ?? null;
    this.#vocabulary = new Vocabulary(state, { residual, control, rows: inFile });
    this.#tower = projector && {
      start: new PatchEmbedding(state, { residual, memory: memories[0], control, plans, all }),
      end: new Projector(state, {
        ...{ residual, control, memories, plans, all, config: config.projector!, projector },
      }),
    };
    this.#attention = new AttentionBlock(state, { residual, control, plans, memories });
    this.#inGrid = OffsetHeads.of(state, memories);
    this.#convolution = new ConvolutionBlock(state);
    const { stateSpace: shape, relative } = config;
    this.#conformer = relative
      ? new ConformerBlock(state, { residual, control, memories, config: relative })
      : null;
    this.#states = shape && new StateBlock(state, { residual, control, plans, shape });
    const kind = shape?.kind;
    this.#keyDeltas = kind === "keyDeltas" ? new KeyDeltaBlock(state, { residual }) : null;
    this.#lightning = kind === "lightning" ? new LightningBlock(state, { residual }) : null;
    this.#finch = kind === "added" ? new FinchBlock(state, { residual }) : null;
    this.#timeMix = kind === "keyed" ? new TimeMixBlock(state, { residual, memories }) : null;
    const rows = input.keptRows ?? null;
    this.#guess = guessBlock(state, { residual, plans, memories: all, rows });
    const observer = observation && new Observer(state, { observation, memories });
    streaming?.attach(state, { residual, layers: this.#layers });
    this.#streaming = streaming;
    this.#tally = new LayerTally(this.plan, memories[0]);
    this.#innerHeads = { row: HEADS, width: config.headCount * config.headDim };
    this.#innerNeurons = { row: NEURONS, width: config.feedForwardLength };
    this.#feedForward = new FeedForwardBlock(state, {
      ...{ residual, control, plans, memories, all, observer, streaming },
    });
  }

  get layers(): Range {
    if (this.#state.isReading) return this.#reading;
    return this.#state.isGuess ? this.#guessing : this.#walked;
  }

  /** For how many of the step's tokens logits are wanted. */
  get logitsCount(): number {
    return this.#state.logitsCount;
  }

  /** Takes over the step's words. */
  begin(step: StepWords): void {
    this.#state.begin(step);
    this.#streaming?.beginStep(step.activeCount);
  }

  /** What the next step's rows are made of: of a tower's leader. */
  takePatches(input: TowerInput): void {
    check(this.#tower !== null, "patches are a tower's");
    this.#tower.start.take(input);
  }

  /** From now on rows of some layers are kept for a model that guesses. */
  tap(rows: KeptRows, layers: readonly number[]): void {
    this.#tapped = new TappedRows(this.#state, rows, layers);
  }

  embed(): void {
    this.#guess?.show();
    if (this.#tower === null) return this.#vocabulary.embed();
    this.#tower.start.embed();
    this.#tower.end.begin();
  }

  /** What tokens give layers, and further streams, are made of their embeddings, too. */
  joinEmbedding(): boolean {
    if (this.#tower?.start.isAborted) return false;
    if (!this.#residual.joinEmbedding(this.#embeddingNorm, this.#tokenKind)) return false;
    this.#inputs?.make();
    this.#kept.start();
    this.#hyper?.start();
    this.#gated?.start();
    return this.#altUp === null || this.#altUp.start();
  }

  /** Goes to the layer's arena, taking the residual stream along; of several it is a guess. */
  enterLayer(index: number): Layer {
    if (index === this.layers.start) this.#tally.begin();
    const layer = this.#layers[index];
    this.#state.carryTo(layer.arena);
    if (this.#tapped !== null) this.#tapped.take(index);
    if (layer.altUp !== null) this.#altUp!.guess(layer.altUp);
    if (layer.hyper !== null) this.#hyper!.enter(layer.hyper.attention);
    if (layer.gated === null) return layer;
    if (layer.gated.ngrams !== null) this.#ngrams!.add(layer.gated.ngrams);
    this.#gated!.enter(layer.gated.attention);
    return layer;
  }

  routeEarly(layer: Layer): void {
    this.#feedForward.routeEarly(layer);
  }

  project(layer: Layer): void {
    if (filters(layer)) this.#conformer!.filter(layer);
    else this.#attention.project(layer);
  }

  normalizeHeads(layer: Layer): boolean {
    if (filters(layer)) return this.#conformer!.normalize(layer);
    return layer.normalizesTurned || this.#attention.normalizeHeads(layer);
  }

  /** A few models normalise what is turned; head by head, so that no rank waits for another. */
  rotate(layer: Layer): void {
    this.#attention.rotate(layer);
    if (layer.normalizesTurned) this.#attention.normalizeHeads(layer);
  }

  remember(layer: Layer): void {
    if (isOfConformer(layer)) return;
    if (convolves(layer)) this.#convolution.remember(layer);
    else if (layer.offsets === null) this.#attention.remember(layer);
  }

  attend(layer: Layer): void {
    if (isOfConformer(layer)) this.#conformer!.attend(layer);
    else if (convolves(layer)) this.#convolution.attend(layer);
    else if (layer.offsets === null) this.#attention.attend(layer);
    else if (layer.headCount > 0) this.#inGrid!.attend(layer, layer.offsets);
  }

  mergeHeads(layer: Layer): void {
    this.#attention.merge(layer);
  }

  recur(layer: Layer): boolean {
    if (layer.keyDeltas !== null) this.#keyDeltas!.run(layer, layer.keyDeltas);
    if (layer.lightning !== null) this.#lightning!.run(layer, layer.lightning);
    if (layer.finch !== null) this.#finch!.run(layer, layer.finch);
    if (layer.timeMix !== null) this.#timeMix!.run(layer, layer.timeMix);
    return layer.stateSpace === null || this.#states!.run(layer, layer.stateSpace);
  }

  feedShared(layer: Layer): boolean {
    return this.#feedForward.runShared(layer);
  }

  predict(layer: Layer): boolean {
    return this.#feedForward.predict(layer);
  }

  feedForward(layer: Layer): void {
    this.#feedForward.run(layer);
    gateNeurons(this.#state, this.#residual, layer);
    addGivenParts(this.#state, this.#stepIds, this.#residual, layer.index);
    const { n } = this.#state;
    const asked = this.#state.isGpusAlone(layer.index)
      ? 0
      : neuronsAsked(this.plan.layers[layer.index], n);
    this.#tally.end(layer.index, asked, 0);
  }

  joinAttention(layer: Layer): boolean {
    const { altUp, attentionNorm, attentionPostNorm, lightning, attentionOutput } = layer;
    if (layer.hyper !== null) {
      if (!this.#hyper!.leave()) return false;
      this.#hyper!.enter(layer.hyper.feedForward);
      return true;
    }
    if (layer.gated !== null) {
      if (!this.#gated!.leave()) return false;
      this.#gated!.enter(layer.gated.feedForward);
      return true;
    }
    if (altUp !== null) this.#altUp!.makeBypass(altUp, attentionNorm);
    const hasInner = layer.innerNorm !== 0 || lightning !== null;
    const inner = hasInner ? this.#innerHeads : null;
    if (!this.#residual.join(attentionPostNorm, inner, attentionOutput.limits)) return false;
    if (altUp !== null) this.#altUp!.addBypass();
    return true;
  }

  joinFeedForward(layer: Layer): boolean {
    const { feedForward: block, feedForwardPostNorm: norm, neuronShare } = layer;
    if (layer.hyper !== null) return this.#hyper!.leave();
    if (layer.gated !== null) return this.#gated!.leave();
    if (block?.kind !== "experts" || block.apart === null) {
      const inner = hasInnerNorm(block) ? this.#innerNeurons : null;
      const limits = block?.kind === "dense" ? block.down.limits : null;
      return this.#residual.join(norm, inner, limits, neuronShare);
    }
    return this.#residual.joinBeside(block.apart.expertsPostNorm, norm);
  }

  endLayer(layer: Layer): boolean {
    const { input, altUp } = layer;
    if (altUp !== null) this.#altUp!.correct(altUp);
    if (input !== null) this.#inputs!.add(layer, input);
    if (altUp !== null) return this.#altUp!.joinInput(input && input.norm);
    if (input !== null && !this.#residual.join(input.norm)) return false;
    this.#residual.scale(layer.outputScale);
    this.#kept.end(layer);
    this.#residual.steer(layer.direction);
    if (this.#tower !== null && !this.#tower.end.endLayer(layer.index)) return false;
    const endsSource = this.#state.isReading && layer.index === this.#reading.end - 1;
    return !endsSource || this.#rememberSource();
  }

  /**
   * What has read a source leaves it to the layers that ask it, in whatever arenas they are. The
   * join is for the step's words, which nobody may change before all ranks are done with them.
   */
  #rememberSource(): boolean {
    for (let index = this.#walked.start; index < this.#walked.end; index++) {
      const layer = this.#layers[index];
      this.#state.carryTo(layer.arena);
      this.#attention.rememberSource(layer);
    }
    return this.#control.join();
  }

  endStreams(): boolean {
    if (this.#tapped !== null) this.#tapped.take(this.#walked.end);
    this.#hyper?.end();
    this.#gated?.end();
    return this.#altUp === null || this.#altUp.end();
  }

  /** Of guesses: residual = what the layer reads. */
  enterGuess(): boolean {
    return this.#guess === null || this.#guess.enter();
  }

  /** In a tower what comes out are rows of a text model. */
  scoreVocabulary(): boolean {
    if (this.#tower !== null) return this.#tower.end.run();
    this.#vocabulary.score();
    return true;
  }

  /** norm(residual) of all tokens of the step that has ended, [n, strides.embedding]: a view. */
  finalRows(): Float32Array {
    return this.#vocabulary.finalRows();
  }

  /** Rows of the step that has ended, as guesses read them, [n, strides.embedding]: a view. */
  lastRows(): Float32Array {
    if (this.#state.config.guess?.readsNormed) return this.#vocabulary.finalRows();
    const { plan: { outputArena }, views } = this.#state;
    this.#state.carryTo(outputArena);
    return views.residual[outputArena];
  }

  /** Waits for the others; everybody's logits are readable after it. */
  meet(): boolean {
    return this.#control.join();
  }
}
