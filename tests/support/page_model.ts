/**
 * A model that a GPU runs alone where nobody can wait on the spot: what a page does, and what it is
 * asked. The rank, its plan and its loading are the product's; only the loop over steps is here,
 * because the engine's own waits. Runs in a browser as well as in Deno: opens no files.
 */
import { parseGguf } from "../../src/gguf/parse.ts";
import { TensorReader } from "../../src/gguf/tensor_reader.ts";
import { chooseGpu } from "../../src/llm/choose_gpu.ts";
import type { LoadOptions } from "../../src/llm/load_options.ts";
import { describeForUse, planModel } from "../../src/llm/plan_load.ts";
import { createArenaMemory } from "../../src/memory/arena.ts";
import { controlWords, POSITION_AXES, STEP_KIND_FORWARD } from "../../src/memory/control_layout.ts";
import { RankRunner } from "../../src/rank/open_rank.ts";
import { controlSize } from "../../src/rank/plan/control_size.ts";
import { argmax } from "../../src/reference/ops.ts";
import { giveBlocks } from "./give_blocks.ts";
import { tunedAsReal } from "./tuning.ts";

/** What a page is asked of one model. */
export interface PageJob {
  readonly name: string;
  /** Logits of every position of these are wanted. */
  readonly sequences: Readonly<Record<string, readonly number[]>>;
  readonly prompt: readonly number[];
  /** Greedy ids after the prompt. */
  readonly count: number;
  /** By the shaders that real GPUs do fastest, not by the plain ones. */
  readonly isTuned: boolean;
}

export interface PageAnswer {
  /** [positions, vocab] of each sequence. */
  readonly logits: Readonly<Record<string, readonly number[]>>;
  readonly ids: readonly number[];
}

/** Nothing is brought to the GPU: how much memory there is cannot be asked of a page. */
const OPTIONS: LoadOptions = { gpu: "force", gpuStreamFrom: 0 };

/** Runs a job on a model's bytes. */
export async function answerJob(
  job: PageJob,
  bytes: Uint8Array,
  module: WebAssembly.Module,
): Promise<PageAnswer> {
  const model = await PageModel.open(bytes, module, job.isTuned);
  const ids = await model.greedyIds(job.prompt, job.count);
  const logits: Record<string, readonly number[]> = {};
  for (const [name, sequence] of Object.entries(job.sequences)) {
    logits[name] = [...await model.logits(sequence)];
  }
  model.close();
  return { logits, ids };
}

export class PageModel {
  readonly #runner: RankRunner;
  /** Of the text's state, where layers keep any. */
  #place = 0;

  private constructor(runner: RankRunner) {
    this.#runner = runner;
  }

  static async open(
    bytes: Uint8Array,
    module: WebAssembly.Module,
    isTuned = false,
  ): Promise<PageModel> {
    const adapter = isTuned ? await navigator.gpu.requestAdapter() : null;
    const file = parseGguf(bytes);
    const model = describeForUse(file, OPTIONS);
    const { parts } = await chooseGpu({ file, model }, OPTIONS);
    const plans = planModel({ file, model }, module, OPTIONS, parts[0]);
    const setup = {
      ...{ rankIndex: 0, plans, config: model.config, tensors: file.tensors, parts: [], module },
      memories: plans.map((plan) => plan.arenas.map(createArenaMemory)),
      controlBuffer: new SharedArrayBuffer(4 * controlWords(controlSize(plans[0]))),
      ...{ observation: null, streams: null },
      gpu: {
        mayBeSoftware: true,
        priority: "normal",
        memoryBytes: null,
        tuning: adapter && tunedAsReal(adapter.info),
        lossAtStep: null,
        waitMs: null,
      } as const,
    };
    giveBlocks(plans[0], setup.memories[0]);
    const host = { reader: TensorReader.ofBytes(bytes), awaitsLogits: true };
    return new PageModel(await RankRunner.openOnGpu(setup, () => {}, host));
  }

  /** Logits of every position, [ids, vocab]. */
  async logits(ids: readonly number[]): Promise<Float32Array> {
    const { plan: { logitsRows }, setup: { config: { vocabSize } } } = this.#runner;
    const all = new Float32Array(ids.length * vocabSize);
    for (let position = 0; position < ids.length; position += logitsRows) {
      const some = ids.slice(position, position + logitsRows);
      all.set(await this.step(some, position, some.length), position * vocabSize);
    }
    return all;
  }

  /** The `count` best ids after `prompt`. */
  async greedyIds(prompt: readonly number[], count: number): Promise<number[]> {
    const { chunkTokens } = this.#runner.plan;
    let position = 0;
    let row = new Float32Array();
    for (; position < prompt.length; position += chunkTokens) {
      const some = prompt.slice(position, position + chunkTokens);
      row = await this.step(some, position, position + some.length === prompt.length ? 1 : 0);
    }
    const ids: number[] = [];
    while (ids.length < count) {
      ids.push(argmax(row));
      if (ids.length < count) row = await this.step(ids.slice(-1), prompt.length + ids.length - 1);
    }
    return ids;
  }

  /** Runs ids behind the `position` ids before them: logits of the last ones, [count, vocab]. */
  async step(
    ids: readonly number[],
    position: number,
    logitsCount = 1,
  ): Promise<Float32Array<ArrayBuffer>> {
    const { plan, setup: { memories, config: { vocabSize } } } = this.#runner;
    this.startStep(ids, position, logitsCount);
    await this.#runner.arrived();
    const { outputArena, workspaces, strides } = plan;
    const { buffer } = memories[0][outputArena];
    const rows = new Float32Array(logitsCount * vocabSize);
    for (let t = 0; t < logitsCount; t++) {
      const at = workspaces[outputArena].logits + t * strides.logits * 4;
      rows.set(new Float32Array(buffer, at, vocabSize), t * vocabSize);
    }
    return rows;
  }

  /** Only tells the GPU what to do. */
  startStep(ids: readonly number[], position: number, logitsCount: number): void {
    const { control } = this.#runner;
    control.stepIds().set(ids);
    const step = control.newStep();
    // Its state goes to and fro between two places.
    const from = position === 0 ? -1 : this.#place;
    this.#place = from === 0 ? 1 : 0;
    step.segments.set([0, position, ids.length, logitsCount, from, this.#place]);
    for (let i = 0; i < POSITION_AXES * ids.length; i++) {
      step.positions[i] = position + Math.floor(i / POSITION_AXES);
    }
    const kind = STEP_KIND_FORWARD;
    this.#runner.runStep({ ...step, kind, tokenCount: ids.length, segmentCount: 1 });
  }

  close(): void {
    this.#runner.close();
  }
}
