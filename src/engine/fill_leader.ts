/**
 * The leader of the ranks of a model that fills in texts, in place of `Leader`: a step is all of
 * one request's text, and requests take turns. Nothing is kept of one step for the next, for each
 * row depends on all. Knows nothing of text; a step blocks its thread.
 */
import { check } from "../base/check.ts";
import { STEP_KIND_FORWARD } from "../memory/control_layout.ts";
import type { FinishReason } from "../llm/types.ts";
import type { FillConfig } from "../model/fill_types.ts";
import type { RankRunner } from "../rank/open_rank.ts";
import { createKv } from "./create_kv.ts";
import { Errands } from "./errands.ts";
import { Filling } from "./filling.ts";
import type { KvBlocks } from "./kv_blocks.ts";
import type { SequenceEnd } from "./sequence.ts";
import { StepRunner } from "./step_runner.ts";
import type { EngineRequest } from "./types.ts";
import { WholeTexts } from "./whole_texts.ts";
import { WornAdapters } from "./worn_adapters.ts";

export class FillLeader {
  readonly texts: WholeTexts;
  readonly errands = new Errands();
  readonly #runner: RankRunner;
  readonly #fill: FillConfig;
  readonly #steps: StepRunner;
  readonly #kv: KvBlocks;
  /** Those that wait for room, in the order in which they came; */
  readonly #waiting: Filling[] = [];
  /** those that have it, the one whose turn is next first. */
  readonly #active: Filling[] = [];
  /** The step before was aborted: this one runs to its end, so that the others get on. */
  #wasAborted = false;

  constructor(runner: RankRunner) {
    const { fill } = runner.setup.config;
    check(fill !== undefined, "a model that fills in");
    this.#runner = runner;
    this.#fill = fill;
    this.#steps = new StepRunner(runner);
    this.#kv = createKv(runner, this.#steps, { takesTurns: true, places: null });
    const worn = new WornAdapters(runner.setup);
    this.texts = new WholeTexts(this.#steps, this.#kv, { places: null, worn });
  }

  get hasWork(): boolean {
    return this.#active.length > 0 || this.#waiting.length > 0 || !this.errands.isIdle;
  }

  /** As `Leader.begin`; what such a model cannot do was refused at the door. */
  begin(request: EngineRequest, slot: number, end: SequenceEnd): void {
    const { plan: { contextLength }, control, setup: { parts } } = this.#runner;
    const { ids } = request;
    check(ids.length > 0 && ids.length < contextLength, "the prompt fits");
    check(!this.#all().some((other) => other.slot === slot), "a slot that is free");
    const outputIds = control.outputIds(slot);
    const of = { slot, contextLength, outputIds, end, fill: this.#fill, steps: this.#steps };
    this.#waiting.push(new Filling(request, { ...of, parts }));
  }

  /** Runs one step of the request whose turn it is. */
  step(): void {
    const { control } = this.#runner;
    this.errands.advance();
    this.#wasAborted &&= this.#active.some(({ slot }) => !control.isCancelled(slot));
    control.noticeCancels(!this.#wasAborted);
    this.#endCancelled(this.#active);
    this.#endCancelled(this.#waiting);
    this.#admit();
    control.kvTokens = this.#kv.usedTokens;
    const filling = this.#next();
    if (filling === null) return;
    let finished: FinishReason | null;
    try {
      finished = this.#run(filling);
    } catch (error) {
      // A rank that has failed ends everything.
      const failed = control.failedRank() >= 0 ? this.#all() : [filling];
      for (const each of failed) this.#fail(each, error);
      return;
    }
    if (finished !== null) this.#finish(filling, finished);
    control.announceOutput();
  }

  /** No text is used again. */
  archive(): null {
    return null;
  }

  failAll(error: unknown): void {
    this.errands.failAll(error);
    for (const filling of this.#all()) this.#fail(filling, error);
  }

  #all(): Filling[] {
    return [...this.#active, ...this.#waiting];
  }

  /** Of those that run, or that wait. */
  #endCancelled(some: readonly Filling[]): void {
    const { control } = this.#runner;
    for (let i = some.length - 1; i >= 0; i--) {
      if (control.isCancelled(some[i].slot)) this.#finish(some[i], "cancelled");
    }
  }

  /** Takes in those that wait, in order, until one finds no room: it is not overtaken. */
  #admit(): void {
    while (this.#waiting.length > 0) {
      const [filling] = this.#waiting;
      const { slot, ids, promptTokens } = filling;
      const totalTokens = ids.length;
      const room = { ids, promptTokens, totalTokens, isExact: true, reuses: false };
      if (this.#kv.open(slot, room) < 0) return;
      this.#kv.grow(slot, totalTokens);
      this.#active.push(this.#waiting.shift()!);
      filling.start();
      if (filling.isEmpty) this.#finish(filling, "length");
    }
  }

  /** Of the most urgent ones that which has waited longest. */
  #next(): Filling | null {
    const active = this.#active;
    if (active.length === 0) return null;
    let at = 0;
    for (let i = 1; i < active.length; i++) if (active[i].priority > active[at].priority) at = i;
    const filling = active[at];
    active.copyWithin(at, at + 1);
    active[active.length - 1] = filling;
    return filling;
  }

  /** Returns why the request has come to its end, or null. */
  #run(filling: Filling): FinishReason | null {
    const { slot, ids, firstRow, endRow } = filling;
    this.#steps.begin(STEP_KIND_FORWARD);
    this.#steps.addWhole(slot, ids, firstRow, endRow);
    this.#wasAborted = !this.#steps.run();
    if (this.#wasAborted) return null;
    const finished = filling.take(this.#steps);
    this.#runner.control.setOutputCount(slot, filling.answered);
    return finished;
  }

  #finish(filling: Filling, reason: FinishReason): void {
    this.#leave(filling);
    filling.end.done(filling.result(reason));
  }

  #fail(filling: Filling, error: unknown): void {
    this.#leave(filling);
    filling.end.failed(error);
  }

  #leave(filling: Filling): void {
    const active = this.#active.indexOf(filling), waiting = this.#waiting.indexOf(filling);
    if (active >= 0) {
      this.#active.splice(active, 1);
      this.#kv.close(filling.slot);
    }
    if (waiting >= 0) this.#waiting.splice(waiting, 1);
    this.#runner.control.kvTokens = this.#kv.usedTokens;
  }
}
