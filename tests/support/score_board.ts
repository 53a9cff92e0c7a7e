/** A score board of its own memory, and the sampler of logits that are no model's. */
import { PAGE_BYTES } from "../../src/memory/arena.ts";
import { Sampler } from "../../src/engine/sampler.ts";
import { ScoreBoard } from "../../src/engine/score_board.ts";
import type { SamplingOptions } from "../../src/llm/types.ts";
import type { ChainChoice } from "../../src/rank/gpu/token_chain.ts";
import { instantiateKernels, loadKernelModuleSync } from "../../wasm/mod.ts";

const module = loadKernelModuleSync();
const SCORES_AT = 64;

/** A board of `vocabSize` scores, all 0. */
export function createScoreBoard(vocabSize: number): ScoreBoard {
  const idsAt = SCORES_AT + 4 * vocabSize;
  const initial = Math.ceil((idsAt + 4 * vocabSize) / PAGE_BYTES);
  const memory = new WebAssembly.Memory({ initial, maximum: initial, shared: true });
  const kernels = instantiateKernels(module, memory);
  return new ScoreBoard({ kernels, memory, vocabSize, scoresAt: SCORES_AT, idsAt });
}

/** A sampler that is given its logits; they stay as they are. */
export class LogitsSampler {
  readonly board: ScoreBoard;
  readonly #sampler: Sampler;

  constructor(options: SamplingOptions, vocabSize: number, breakers: readonly number[] = []) {
    this.board = createScoreBoard(vocabSize);
    this.#sampler = new Sampler(options, this.board, null, breakers);
  }

  get seed(): number {
    return this.#sampler.seed;
  }

  /** As `Sampler.foretell`. */
  foretell(choice: ChainChoice, count: number): boolean {
    return this.#sampler.foretell(choice, count);
  }

  accept(id: number): void {
    this.#sampler.accept(id);
  }

  /** The id to go on with, chosen from logits [vocabSize]. */
  sample(logits: Float32Array): number {
    this.board.scores.set(logits);
    return this.#sampler.sample();
  }
}
