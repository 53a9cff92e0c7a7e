/**
 * The leader of the ranks, and one of them. Turns prompts' ids into answers' ids, those of several
 * requests in the same steps: requests come and go between steps. Knows nothing of text; a step
 * blocks its thread.
 */
import { check } from "../base/check.ts";
import { STEP_KIND_FORWARD } from "../memory/control_layout.ts";
import type { FinishReason } from "../llm/types.ts";
import type { RankRunner } from "../rank/open_rank.ts";
import { Chains } from "./chains.ts";
import { Chooser, ChoosingTools, noLogits } from "./chooser.ts";
import { createSpeculation } from "./drafts/create_speculation.ts";
import type { Speculate } from "./drafts/drafts.ts";
import type { Speculation } from "./drafts/speculation.ts";
import { Errands } from "./errands.ts";
import { KvArchive, type KvArchiveFile } from "./kv_archive.ts";
import { canSeeAll, isWhole } from "./given_spans.ts";
import { createKv } from "./create_kv.ts";
import type { KvBlocks } from "./kv_blocks.ts";
import { RankCounts } from "./rank_counts.ts";
import { anyOnGpu, independentRows } from "./row_independence.ts";
import { type Admission, Scheduler } from "./scheduler.ts";
import {
  answerTokensMax,
  awaitedTokens,
  Sequence,
  type SequenceEnd,
  type SequenceRoom,
} from "./sequence.ts";
import { SequenceStates } from "./sequence_states.ts";
import { StatePlaces } from "./state_places.ts";
import { StepPace } from "./step_pace.ts";
import { StepRunner } from "./step_runner.ts";
import { StepTimes } from "./step_times.ts";
import { TokenTimes } from "./token_times.ts";
import type { EngineRequest } from "./types.ts";
import { WholeTexts } from "./whole_texts.ts";
import { WornAdapters } from "./worn_adapters.ts";

export interface LeaderOptions {
  /** How guesses of what comes next are used, where rows are independent. Default 0: not. */
  readonly speculate?: Speculate;
  /** A smaller model that guesses, too. */
  readonly draft?: RankRunner;
  /** Tokens of one wait for a GPU take at most so long together, ms. Default: as `Chains`. */
  readonly waitMs?: number | null;
}

export class Leader {
  /** What is asked of whole texts, while no request runs. */
  readonly texts: WholeTexts;
  /** What is done between steps. */
  readonly errands = new Errands();
  readonly #runner: RankRunner;
  readonly #steps: StepRunner;
  readonly #scheduler: Scheduler<Sequence>;
  readonly #kv: KvBlocks;
  readonly #worn: WornAdapters;
  /** Null: no layer keeps states. */
  readonly #states: SequenceStates | null;
  readonly #counts: RankCounts;
  readonly #tools: ChoosingTools;
  readonly #rooms: readonly SequenceRoom[]; // by slot
  readonly #answersSources: boolean; // of which all rows depend on all: none is used again
  /** Prompts have steps of their own: rows would not be the same beside others. */
  readonly #takesTurns: boolean;
  readonly #times: StepTimes; // how long its steps take
  /** Null: nobody waits for a step's end, or each step reads a model from disk. */
  readonly #pace: StepPace | null;
  readonly #speculation: Speculation | null; // null: nothing is guessed
  /** Null: each step is one token of a sequence. */
  readonly #chains: Chains | null;
  /** The step before was aborted: this one runs to its end, so that the others get on. */
  #wasAborted = false;

  constructor(runner: RankRunner, { speculate = 0, draft, waitMs }: LeaderOptions = {}) {
    const { plan, control, plan: { contextLength, sequences, chunkTokens, logitsRows } } = runner;
    this.#runner = runner;
    this.#steps = new StepRunner(runner);
    const { plans, observation, streams, config } = runner.setup;
    this.#worn = new WornAdapters(runner.setup);
    const independent = independentRows(plans, { isObserved: observation !== null });
    this.#answersSources = config.source !== undefined;
    this.#takesTurns = independent !== "all" || this.#answersSources;
    this.#scheduler = new Scheduler({
      ...{ chunkTokens, logitsRows, takesTurns: this.#takesTurns },
      sharesAnswers: independent !== "none",
    });
    const places = plan.statePlaces === 0 ? null : new StatePlaces(plan.statePlaces);
    this.#kv = createKv(runner, this.#steps, { takesTurns: this.#takesTurns, places });
    this.#states = places && new SequenceStates(this.#kv, places, sequences);
    this.#counts = new RankCounts(runner.setup);
    this.#tools = new ChoosingTools(this.#steps.board);
    this.#rooms = Array.from({ length: sequences }, (_, slot) => ({
      slot,
      ids: new Int32Array(contextLength),
      outputIds: control.outputIds(slot),
      tokenMs: new TokenTimes(contextLength),
    }));
    this.#times = new StepTimes(chunkTokens);
    this.#pace = sequences > 1 && streams === null ? new StepPace(chunkTokens, this.#times) : null;
    this.#speculation = createSpeculation({
      ...{ steps: this.#steps, kv: this.#kv, times: this.#times, speculate, draft },
      takesTurns: this.#takesTurns,
    });
    const { chain } = this.#steps;
    this.#chains = chain && new Chains(chain, this.#times, waitMs ?? undefined);
    this.texts = new WholeTexts(this.#steps, this.#kv, { places, worn: this.#worn });
  }

  /** True while a request runs or waits, or an errand is under way. */
  get hasWork(): boolean {
    return !this.#scheduler.isIdle || !this.errands.isIdle;
  }

  /**
   * Takes a request in; `step` works at it. New ids appear in the slot's output as they are chosen;
   * one that is cancelled ends within a join, or two steps.
   * @param slot that no other request has.
   * @throws {RequestError} 400 when its grammar cannot be followed, or rows are not given.
   */
  begin(request: EngineRequest, slot: number, end: SequenceEnd): void {
    const { ids } = request, { config } = this.#runner.setup;
    check(ids.length > 0 && ids.length < this.#runner.plan.contextLength, "the prompt fits");
    check(!this.#all().some((other) => other.slot === slot), "a slot that is free");
    const room = this.#rooms[slot];
    const chooser = new Chooser(request, this.#tools, answerTokensMax(request, room));
    const sequence = new Sequence(request, { room, chooser, end, config });
    this.#checkWholes(sequence);
    this.#runner.given.add(sequence.given);
    this.#scheduler.add(sequence);
  }

  /** Rows that see each other fit into a step, of ranks whose attention can. */
  #checkWholes({ spans }: Sequence): void {
    const { plan: { chunkTokens }, setup: { plans } } = this.#runner;
    const wholes = spans.filter(isWhole);
    check(wholes.every(({ start, end }) => end - start <= chunkTokens), "an image is one step");
    check(wholes.length === 0 || canSeeAll(plans), "attention that can see all");
  }

  /** Runs one step of all requests that are under way. */
  step(): void {
    const { control } = this.#runner;
    this.errands.advance();
    // Where nobody is left of the step that was aborted, nobody has to get on.
    this.#wasAborted &&= this.#scheduler.active.some(({ slot }) => !control.isCancelled(slot));
    control.noticeCancels(!this.#wasAborted);
    this.#dropCancelled();
    this.#scheduler.admit(this.#takeIn);
    control.kvTokens = this.#kv.usedTokens;
    if (this.#scheduler.active.length === 0) return;
    this.#scheduler.plan(this.#pace?.rows());
    let rows: number;
    try {
      // A step that no cancel may end is kept short: a draft model's steps would belong to it.
      if (!this.#wasAborted) this.#speculation?.extend(this.#scheduler);
      this.#chains?.plan(this.#scheduler, { mayBeLong: !this.#wasAborted && this.errands.isIdle });
      this.#times.start();
      rows = this.#fillStep();
      this.#wasAborted = !this.#steps.run();
    } catch (error) {
      this.#states?.drop();
      // A rank that has failed ends everything; a read that has failed, only what it was for.
      const isOver = control.failedRank() >= 0;
      const { sequences, count } = this.#scheduler;
      const failed = isOver ? this.#all() : sequences.slice(0, count);
      failed.forEach((sequence) => this.#fail(sequence, error));
      return;
    }
    if (!this.#wasAborted) {
      this.#speculation?.keep(this.#scheduler);
      this.#takeResults();
      if (!this.#chains?.hasWaste) this.#times.stop(rows, this.#chained);
    }
    // All of a step that was aborted, and what is left of a chain, unless the next one goes on.
    if (this.#wasAborted || !this.#steps.chain?.sentCount) this.#states?.drop();
    control.kvTokens = this.#kv.usedTokens;
    control.announceOutput();
  }

  /** Tokens that the step's only row stands for. */
  get #chained(): number {
    return this.#chains?.tokens ?? 1;
  }

  /** Keys and values as a file has them; null: they are on a GPU, or not all. Between steps. */
  archive({ modelFingerprint, adapters }: Omit<KvArchiveFile, "path">): KvArchive | null {
    const { setup, control } = this.#runner;
    if (this.#states !== null || this.#answersSources || anyOnGpu(setup.plans)) return null;
    const of = { modelFingerprint, root: this.#worn.rootOf(adapters) };
    return new KvArchive(setup, this.#kv, of, () => control.beat());
  }

  /** Ends all requests. */
  failAll(error: unknown): void {
    this.errands.failAll(error);
    for (const sequence of this.#all()) this.#fail(sequence, error);
  }

  #all(): Sequence[] {
    return [...this.#scheduler.active, ...this.#scheduler.waiting];
  }

  #dropCancelled(): void {
    const { control } = this.#runner;
    const { active, waiting } = this.#scheduler;
    for (let i = active.length - 1; i >= 0; i--) {
      if (control.isCancelled(active[i].slot)) this.#finish(active[i], "cancelled");
    }
    for (let i = waiting.length - 1; i >= 0; i--) {
      if (control.isCancelled(waiting[i].slot)) this.#finish(waiting[i], "cancelled");
    }
  }

  /** A field: nothing is made per step. */
  readonly #takeIn = (sequence: Sequence): Admission => {
    if (this.#isComputedElsewhere(sequence)) return "later";
    const { slot, ids, promptTokens, maxTokens, adapters, mix } = sequence;
    const reused = this.#kv.open(slot, {
      ...{ ids, promptTokens },
      totalTokens: promptTokens + maxTokens,
      ...{ isExact: sequence.isRepeatable, root: this.#worn.wear(slot, adapters, mix) },
      ...{ mayEndAt: sequence.mayEndAt, reuses: !this.#answersSources },
    });
    if (reused < 0) return "full";
    sequence.start(reused);
    this.#states?.open(sequence, reused, this.#kv.commonTokens);
    this.#speculation?.open(sequence);
    // Who did not ask for exactness may have taken what is not.
    sequence.isExact = reused === 0 || sequence.isRepeatable || !this.#takesTurns;
    return "in";
  };

  /**
   * Another prompt that begins alike is being computed just now: several answers to one prompt, or
   * prompts with one beginning, come to it when it is there, and use it again. Where prompts take
   * turns, who has to be answered alike each time uses whole chunks only, and does not wait.
   */
  #isComputedElsewhere(sequence: Sequence): boolean {
    if (this.#answersSources || this.#takesTurns && sequence.isRepeatable) return false;
    const { active } = this.#scheduler, { unitTokens } = this.#kv;
    for (let i = 0; i < active.length; i++) {
      const shared = awaitedTokens(sequence, active[i], unitTokens);
      if (shared === 0) continue;
      this.#states?.want(active[i].slot, shared);
      return true;
    }
    return false;
  }

  /** Returns how many rows the step has. */
  #fillStep(): number {
    const { active, sequences, rows, count } = this.#scheduler;
    let total = 0;
    const ahead = this.#chains?.ahead ?? 0;
    if (!this.#chains?.goesOn) this.#states?.drop();
    this.#steps.begin(STEP_KIND_FORWARD, active.length);
    for (let i = 0; i < count; i++) {
      const { slot, computed, known } = sequences[i];
      const end = computed + rows[i];
      this.#kv.grow(slot, end + this.#chained + ahead - 1);
      // Of the last id that is known, and of those behind it, which are guessed.
      const logits = Math.max(0, end - known + 1);
      if (this.#states === null) this.#steps.add(sequences[i], computed, rows[i], logits);
      else this.#states.add(this.#steps, sequences[i], rows[i], logits);
      total += rows[i];
    }
    return total;
  }

  /** What a step has computed counts, and those whose logits are there go on by an id or more. */
  #takeResults(): void {
    const { sequences, rows, count } = this.#scheduler;
    if (this.#chained > 1) return this.#takeChain(sequences[0]);
    let row = 0;
    for (let i = 0; i < count; i++) {
      const sequence = sequences[i];
      const wasPrompt = !sequence.isGenerating;
      const guesses = Math.max(0, sequence.computed + rows[i] - sequence.known);
      sequence.isExact &&= this.#isExact(sequence, rows[i]);
      this.#count(sequence, rows[i] - guesses);
      this.#states?.keep(sequence);
      if (sequence.computed < sequence.known) continue;
      this.#steps.takeRow(row);
      if (wasPrompt) sequence.finishPrompt(this.#counts.all());
      this.#goOn(sequence, row, guesses);
      row += 1 + guesses;
    }
  }

  /**
   * Ids of a chain, as long as what was computed of the GPU's choice is what the sampler chooses. A
   * token whose best logits are not told, or do not tell it, is computed again, by itself.
   */
  #takeChain(sequence: Sequence): void {
    const { chain } = this.#steps;
    sequence.isExact &&= this.#isExact(sequence, 1);
    sequence.tokenMs.beginWait();
    for (let i = 0; i < this.#chained; i++) {
      if (!this.#steps.takeBest(i)) {
        this.#chains!.holdBack();
        break;
      }
      if (!sequence.chooser.isTold) {
        this.#chains!.single();
        break;
      }
      this.#count(sequence, 1);
      this.#states?.keep(sequence);
      if (!this.#choose(sequence)) return;
      if (sequence.ids[sequence.computed] !== chain!.idAt(i)) break;
    }
    sequence.tokenMs.endWait();
  }

  /** More of the sequence's ids have their keys and values. */
  #count(sequence: Sequence, ids: number): void {
    sequence.computed += ids;
    this.#kv.remember(sequence.slot, sequence.ids, sequence.computed, sequence.isExact);
  }

  /**
   * Chooses the id behind the last known one, whose logits are on the board; and as long as what is
   * chosen was guessed, the next one, whose logits are the step's next row. What was computed of
   * other guesses does not count: the next step writes over it.
   */
  #goOn(sequence: Sequence, row: number, guesses: number): void {
    const { ids, known: first, slot, drafts } = sequence;
    drafts.drafted += guesses;
    for (let taken = 0;; taken++) {
      const guess = taken < guesses ? ids[first + taken] : -1;
      if (guesses > 0) this.#runner.control.setDrafts(slot, drafts);
      const isUnderWay = this.#choose(sequence);
      if (!isUnderWay || ids[first + taken] !== guess) break;
      drafts.accepted++;
      this.#count(sequence, 1);
      this.#states?.keep(sequence);
      this.#steps.takeRow(row + taken + 1);
    }
    this.#speculation?.learn(sequence, first);
  }

  /**
   * The rows are as a prompt's would be that begins with these ids. Where kernels round a token
   * otherwise than a chunk, that is so of whole chunks only.
   */
  #isExact({ isGenerating, computed }: Sequence, rows: number): boolean {
    const { chunkTokens } = this.#runner.plan;
    return !this.#takesTurns ||
      !isGenerating && rows === chunkTokens && computed % chunkTokens === 0;
  }

  /** The logits of the sequence's last id are on the board; false: it has come to its end. */
  #choose(sequence: Sequence): boolean {
    const { slot, chooser, maxTokens, known, mix } = sequence, { setup } = this.#runner;
    let finished: FinishReason | null = chooser.isFinished
      ? "stop"
      : maxTokens === 0
      ? "length"
      : null;
    try {
      if (finished === null) {
        const id = chooser.sample();
        if (Number.isNaN(this.#steps.board.scores[id])) throw noLogits(known, mix, setup);
        finished = sequence.accept(id);
        this.#runner.control.setOutputCount(slot, sequence.answered);
      }
    } catch (error) {
      this.#fail(sequence, error);
      return false;
    }
    if (finished !== null) this.#finish(sequence, finished);
    return finished === null;
  }

  #finish(sequence: Sequence, reason: FinishReason): void {
    this.#leave(sequence);
    sequence.end.done(sequence.result(reason, (before) => this.#counts.since(before)));
  }

  #fail(sequence: Sequence, error: unknown): void {
    // What it has computed may be why.
    this.#kv.forgetOwn(sequence.slot);
    this.#leave(sequence);
    sequence.end.failed(error);
  }

  #leave(sequence: Sequence): void {
    if (this.#scheduler.active.includes(sequence)) {
      this.#states?.close(sequence.slot);
      this.#kv.close(sequence.slot);
    }
    this.#scheduler.remove(sequence);
    this.#runner.given.remove(sequence.given);
    // Who hears that it has ended finds nothing of it in the account.
    this.#runner.control.kvTokens = this.#kv.usedTokens;
  }
}
