/**
 * What is asked of a whole text at once, with nothing before it: logits, surprise, what neurons do.
 * Runs alone, in a sequence's room: what is remembered of prompts stays as far as there is room.
 */
import { check } from "../base/check.ts";
import { STEP_KIND_FORWARD, STEP_KIND_READ, STEP_KIND_REHEARSE } from "../memory/control_layout.ts";
import type { Pooling } from "../model/types.ts";
import type { RankRunner } from "../rank/open_rank.ts";
import type { KvBlocks } from "./kv_blocks.ts";
import { negativeLogProbability } from "./log_probability.ts";
import { LogprobRecorder, type LogprobRows } from "./logprob_rows.ts";
import { gatherInputSums, type InputSums } from "./input_sums.ts";
import { choosePredictors } from "./predictor_choice.ts";
import { Rehearsal } from "./rehearsal.ts";
import { independentRows } from "./row_independence.ts";
import type { StatePlaces } from "./state_places.ts";
import type { SegmentStates, StepRunner } from "./step_runner.ts";
import { TextPooler } from "./text_pooler.ts";
import type { PredictorChoice, PredictorPolicy } from "./types.ts";
import type { WornAdapters } from "./worn_adapters.ts";

/** Whose blocks a text gets. */
const SLOT = 0;

export class WholeTexts {
  readonly #runner: RankRunner;
  readonly #steps: StepRunner;
  readonly #kv: KvBlocks;
  readonly #hasIndependentRows: boolean;
  readonly #worn: WornAdapters;
  /** How much of each adapter texts are read with. */
  adapters: readonly number[] = [];
  /** Tokens of the text that is observed, so far. */
  #observed = 0;

  /** Null: no layer keeps states. */
  readonly #places: StatePlaces | null;
  /** Where the text's state is; -1: it has none yet. */
  #state = -1;

  constructor(
    steps: StepRunner,
    kv: KvBlocks,
    { places, worn }: { readonly places: StatePlaces | null; readonly worn: WornAdapters },
  ) {
    this.#places = places;
    this.#worn = worn;
    this.#runner = steps.runner;
    this.#steps = steps;
    this.#kv = kv;
    const { plans, observation } = steps.runner.setup;
    const isObserved = observation !== null;
    this.#hasIndependentRows = independentRows(plans, { isObserved }) === "all";
  }

  /**
   * Logits of every position of `ids`, a few rows at a time.
   * @param onRows gets [rows, vocab] of positions firstPosition ..; the array is the callee's.
   * @param stepTokens of a step, at most.
   * @returns false when it was cancelled before the last position.
   */
  scoreAll(
    ids: readonly number[],
    onRows: (rows: Float32Array<ArrayBuffer>, firstPosition: number) => void,
    stepTokens = Infinity,
  ): boolean {
    const logitsRows = Math.min(stepTokens, this.#runner.plan.logitsRows);
    const { vocabSize } = this.#steps.board;
    return this.#inRoom(ids, () => {
      for (let position = 0; position < ids.length; position += logitsRows) {
        const n = Math.min(logitsRows, ids.length - position);
        if (!this.#forward(ids, { position, n, logits: n })) return false;
        const rows = new Float32Array(n * vocabSize);
        for (let t = 0; t < n; t++) rows.set(this.#steps.gatherRow(t), t * vocabSize);
        onRows(rows, position);
      }
      return true;
    });
  }

  /**
   * How surprised the model is by the ids from index `from` (at least 1) on, each after all before
   * it: the sum of −log p, in nats. Logits stay on this thread.
   * @returns null when it was cancelled before the last one.
   */
  negativeLogLikelihood(ids: readonly number[], from: number): number | null {
    const { logitsRows, chunkTokens } = this.#runner.plan;
    return this.#inRoom(ids, () => {
      let sum = 0;
      // Nothing follows the last id.
      for (let position = 0, n = 0; position < ids.length - 1; position += n) {
        const isContextOnly = position + chunkTokens < from;
        n = Math.min(isContextOnly ? chunkTokens : logitsRows, ids.length - 1 - position);
        const end = position + n;
        const logits = Math.max(0, Math.min(n, end + 1 - from));
        if (!this.#forward(ids, { position, n, logits })) return null;
        for (let t = 0; t < logits; t++) {
          sum += negativeLogProbability(this.#steps.gatherRow(t), ids[end + 1 - logits + t]);
        }
      }
      return sum;
    });
  }

  /**
   * How likely the model found every id but the first, each after all before it: a row for each.
   * What it computes of the prompt is remembered.
   * @returns false when it was cancelled before the last one.
   */
  logprobs(ids: readonly number[], rows: LogprobRows): boolean {
    const { board } = this.#steps;
    const { logitsRows } = this.#runner.plan;
    const recorder = new LogprobRecorder(rows, board, new Float32Array(board.vocabSize));
    return this.#inRoom(ids, (known) => {
      for (let position = 0, n = 0; position < ids.length - 1; position += n) {
        n = Math.min(logitsRows, ids.length - 1 - position);
        if (!this.#forward(ids, { position, n, logits: n })) return false;
        for (let t = 0; t < n; t++) {
          this.#steps.takeRow(t);
          recorder.look();
          recorder.record(ids[position + t + 1]);
        }
        this.#kv.remember(SLOT, known, position + n, this.#hasIndependentRows);
      }
      return true;
    });
  }

  /**
   * Vectors of texts: see TextPooler. Several have to fit into one step together.
   * @returns null when it was cancelled before their last token.
   * @throws {RequestError} 501 where the GPU has the whole model and cannot be waited for.
   */
  embed(texts: readonly (readonly number[])[], pooling: Pooling): Float32Array[] | null {
    if (texts.length > 1) return this.#embedTogether(texts, pooling);
    const [ids] = texts;
    const { plan: { chunkTokens }, setup: { config } } = this.#runner;
    const pooler = new TextPooler(pooling, config.embeddingLength);
    return this.#inRoom(ids, () => {
      for (let position = 0; position < ids.length; position += chunkTokens) {
        const n = Math.min(chunkTokens, ids.length - position);
        if (!this.#forward(ids, { position, n, logits: 0 })) return null;
        pooler.add(this.#runner.finalRows(), n);
      }
      return [pooler.result()];
    });
  }

  /** All of them as one step, each in a slot of its own. */
  #embedTogether(texts: readonly (readonly number[])[], pooling: Pooling): Float32Array[] | null {
    const { plan: { sequences, chunkTokens }, setup: { config } } = this.#runner;
    const rows = texts.reduce((sum, { length }) => sum + length, 0);
    check(texts.length <= sequences && rows <= chunkTokens, "texts that fit into a step");
    check(this.#places === null, "texts with states are read one by one");
    return this.#inRooms(texts, () => {
      this.#steps.begin(STEP_KIND_FORWARD);
      texts.forEach((ids, slot) => this.#steps.add({ slot, ids, spans: [] }, 0, ids.length, 0));
      if (!this.#run()) return null;
      const all = this.#runner.finalRows();
      const stride = all.length / rows;
      let first = 0;
      return texts.map(({ length }) => {
        const pooler = new TextPooler(pooling, config.embeddingLength);
        pooler.add(all.subarray(first * stride, (first + length) * stride), length);
        first += length;
        return pooler.result();
      });
    });
  }

  /**
   * Runs a text for what its products read, which ranks sum up (`inputSums`). readsOutput: also for
   * what the output reads, which otherwise nobody needs.
   * @returns false when it was cancelled before the last position.
   */
  measure(ids: readonly number[], readsOutput: boolean): boolean {
    const { logitsRows, chunkTokens } = this.#runner.plan;
    const most = readsOutput ? logitsRows : chunkTokens;
    return this.#inRoom(ids, () => {
      for (let position = 0; position < ids.length; position += most) {
        const n = Math.min(most, ids.length - position);
        if (!this.#forward(ids, { position, n, logits: readsOutput ? n : 0 })) return false;
      }
      return true;
    });
  }

  /** What all products have read since the model was loaded. */
  inputSums(): InputSums[] {
    return gatherInputSums(this.#runner.setup);
  }

  /**
   * Runs some ids of a text, at most `tokens` of the observation's plan, behind the ids before
   * them: what the ranks show of them lies in the observation after it.
   * @returns false when it was cancelled.
   */
  observe(ids: readonly number[], position: number): boolean {
    const { observation, config } = this.#runner.setup;
    check(observation !== null && ids.length <= observation.plan.tokens, "a step that is observed");
    check(position === 0 || position === this.#observed, "a text is observed in its order");
    if (position === 0) this.#kv.clearFor(SLOT);
    this.#worn.wear(SLOT, this.adapters);
    // Experts that a token did not choose write nothing, nor do layers without neurons.
    const isPartial = config.experts !== null ||
      config.layers.some(({ hasNeurons }) => hasNeurons === false);
    if (isPartial) new Uint8Array(observation.buffer).fill(0);
    this.#steps.begin(STEP_KIND_FORWARD);
    const states = this.#statesFrom(position);
    this.#steps.addAt(SLOT, position, ids.length, 0, states);
    ids.forEach((id, t) => this.#steps.ids[t] = id);
    if (!this.#runFrom(states)) return false;
    this.#observed = position + ids.length;
    return true;
  }

  /**
   * Compares the predictors with the neurons that fire in a text, and decides which of them are
   * used from now on. Without a rehearsal none is.
   * @returns the choices, layer by layer; null when it was cancelled: then none is used.
   */
  rehearse(ids: readonly number[], policy: PredictorPolicy): PredictorChoice[] | null {
    const { plans, memories, config: { experts } } = this.#runner.setup;
    const rehearsal = new Rehearsal(plans, memories, experts?.usedCount ?? 1);
    rehearsal.clear();
    const { chunkTokens } = this.#runner.plan;
    const isComplete = this.#inRoom(ids, () => {
      for (let position = 0; position < ids.length; position += chunkTokens) {
        const n = Math.min(chunkTokens, ids.length - position);
        const chunk = { position, n, logits: 0, kind: STEP_KIND_REHEARSE };
        if (!this.#forward(ids, chunk)) return false;
      }
      return true;
    });
    if (!isComplete) return null;
    const choices = choosePredictors(rehearsal.results(ids.length), policy);
    rehearsal.decide(choices);
    return choices;
  }

  /** Rate at which all ranks together read their weights, GB/s: the best of three passes. */
  readSpeedGbps(): number {
    const { plans } = this.#runner.setup;
    const regions = plans.flatMap((plan) => plan.arenas.flatMap((arena) => arena.regions));
    const bytes = regions.filter((region) => region.kind === "weights")
      .reduce((sum, region) => sum + region.sizeBytes, 0);
    let best = 0;
    for (let pass = 0; pass < 3; pass++) {
      const startMs = performance.now();
      this.#steps.begin(STEP_KIND_READ);
      this.#run();
      best = Math.max(best, bytes / (performance.now() - startMs) / 1e6);
    }
    return best;
  }

  /** Runs `use` while the text has a sequence's room. known: its ids. */
  #inRoom<T>(ids: readonly number[], use: (known: Int32Array) => T): T {
    return this.#inRooms([ids], ([known]) => use(known));
  }

  /** The same of several, from the first slot on. */
  #inRooms<T>(texts: readonly (readonly number[])[], use: (known: Int32Array[]) => T): T {
    const known = texts.map((ids) => Int32Array.from(ids));
    let opened = SLOT;
    try {
      for (const ids of known) {
        const { length } = ids;
        const request = { ids, promptTokens: length, totalTokens: length, isExact: true };
        const root = this.#worn.wear(opened, this.adapters);
        const reused = this.#kv.open(opened, { ...request, root, reuses: false });
        check(reused === 0, "texts alone find room");
        this.#kv.grow(opened++, length);
      }
      return use(known);
    } finally {
      this.#forgetState();
      while (opened > SLOT) this.#kv.close(--opened);
    }
  }

  #forward(
    ids: readonly number[],
    chunk: { position: number; n: number; logits: number; kind?: number },
  ): boolean {
    const { position, n, logits, kind = STEP_KIND_FORWARD } = chunk;
    this.#steps.begin(kind);
    // All of its rows depend on all: it is computed as a whole for each part of its logits.
    if (this.#runner.setup.config.fill) {
      this.#steps.addWhole(SLOT, ids, position, position + n);
      return this.#run();
    }
    const states = this.#statesFrom(position);
    this.#steps.add({ slot: SLOT, ids, spans: [] }, position, n, logits, states);
    return this.#runFrom(states);
  }

  /** A text comes in its order: its state goes from one place to another. */
  #statesFrom(position: number): SegmentStates | undefined {
    if (this.#places === null) return undefined;
    if (position === 0) this.#forgetState();
    return { from: this.#state, to: this.#places.take() };
  }

  #runFrom(states: SegmentStates | undefined): boolean {
    let isComplete = false;
    try {
      isComplete = this.#run();
    } finally {
      if (states !== undefined) {
        this.#places!.leave(isComplete ? states.from : states.to);
        if (isComplete) this.#state = states.to;
      }
    }
    return isComplete;
  }

  #forgetState(): void {
    this.#places?.leave(this.#state);
    this.#state = -1;
  }

  /** The slot's word says whether the text is still wanted. */
  #run(): boolean {
    const { control } = this.#runner;
    control.noticeCancels();
    return !control.isCancelled(SLOT) && this.#steps.run();
  }
}
