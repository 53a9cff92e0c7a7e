/**
 * Steps of one token each that follow one another without anybody looking at the ids between them:
 * all but the first are written to a table at once, and a dispatch puts the next one over the step
 * between two tokens, with the id that was chosen of the one before: it costs less than copies do.
 * The table has two halves, a chain each, in turns: so a chain can go on into the next one before
 * anybody has read what it left. Knows headers and records; not how ids are chosen.
 */
import { check } from "../src/base/check.ts";
import { POSITION_AXES } from "../src/memory/control_layout.ts";
import type { Gpu } from "./device.ts";
import { CHOSEN_WORDS, LAST_WORDS } from "./ops/choose.ts";
import type { ProgramBuilder } from "./program.ts";
import { HEADER_BYTES, SEQUENCE_OFFSET, type StepInput } from "./step_input.ts";

/** How a sampler chooses, as far as a GPU can. */
export interface ChainChoice {
  /** 0: the best one. */
  temperature: number;
  /** 1 … CANDIDATES_MAX; as the other fields of no account where the temperature is 0. */
  topK: number;
  topP: number;
  minP: number;
  /** Of each token's draw, in [0, 1); [tokensMax]. */
  readonly points: Float64Array;
}

/** Words of a header before those of the choice: choose.wgsl. */
const CHOICE_WORD = SEQUENCE_OFFSET / 4 + 1;
/** Behind it, and behind whether tokens see each other (0): where the next token's step is. */
const NEXT_WORD = CHOICE_WORD + 7;
const CHAIN_WORDS = 8;

/** What of a chain's tokens is to be written. */
export interface ChainTokens {
  /** Of the chain. */
  readonly tokens: number;
  /** The first of them, which the chain before has gone on with. Left out: none. */
  readonly taken?: number;
  /** The first ones of the next chain. Left out: none. */
  readonly ahead?: number;
}

/**
 * @param tokensMax of a chain and those that are ahead of it.
 * @throws {GpuOutOfMemoryError} when the GPU has no room for it.
 */
export async function createStepChain(
  gpu: Gpu,
  input: StepInput,
  tokensMax: number,
): Promise<StepChain> {
  const table = await gpu.createBuffer(
    "steps of a chain",
    2 * tokensMax * stepBytes(input),
    GPUBufferUsage.COPY_DST | GPUBufferUsage.STORAGE,
  );
  const chosen = await gpu.createBuffer(
    "chosen ids",
    4 * (2 * tokensMax * CHOSEN_WORDS + LAST_WORDS),
    GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC,
  );
  return new StepChain(gpu, { input, table, chosen, tokensMax });
}

export class StepChain {
  /** u32 [2, tokensMax, CHOSEN_WORDS] and LAST_WORDS, by `chooseToken`. */
  readonly chosen: GPUBuffer;
  /** Steps, [2, tokensMax]. */
  readonly table: GPUBuffer;
  readonly #gpu: Gpu;
  readonly #input: StepInput;
  readonly #words: Uint32Array<ArrayBuffer>;
  readonly #floats: Float32Array<ArrayBuffer>;
  readonly #axes = new Int32Array(POSITION_AXES);
  readonly #tokensMax: number;
  /** Of the chain that was written last: 0 or 1. */
  #half = 0;

  constructor(
    gpu: Gpu,
    { input, table, chosen, tokensMax }: {
      readonly input: StepInput;
      readonly table: GPUBuffer;
      readonly chosen: GPUBuffer;
      readonly tokensMax: number;
    },
  ) {
    this.#gpu = gpu;
    this.#input = input;
    this.table = table;
    this.chosen = chosen;
    this.#tokensMax = tokensMax;
    this.#words = new Uint32Array(2 * tokensMax * stepBytes(input) / 4);
    this.#floats = new Float32Array(this.#words.buffer);
  }

  /** Bytes of `chosen` before the chain's. */
  get chosenOffset(): number {
    return this.#half * this.#tokensMax * CHOSEN_WORDS * 4;
  }

  /**
   * How ids are chosen, and the steps of all tokens but those that were written with the chain
   * before. Where none was, the first one's layers are under way, and it goes on where they end.
   * @param at.position of the chain's first token; `turns`: as its rotary embedding has it.
   * @param by.states places that tokens leave their states in, [tokens + ahead]; null: nobody keeps
   *   states. `choice` has as many points.
   */
  write(
    { tokens, taken = 0, ahead = 0 }: ChainTokens,
    at: { readonly position: number; readonly turns?: number; readonly slot: number },
    by: { readonly choice: ChainChoice; readonly states: Int32Array | null },
  ): void {
    check(taken < tokens && tokens + ahead <= this.#tokensMax, "tokens that a chain has room for");
    if (taken > 0) this.#half = 1 - this.#half;
    const own = this.#half * this.#tokensMax, next = (1 - this.#half) * this.#tokensMax;
    for (let index = taken; index < tokens + ahead; index++) {
      const place = index < tokens ? own + index : next + index - tokens;
      this.#fill(index, place, at, by);
      this.#words[this.#wordOf(place) + NEXT_WORD] = index === tokens - 1 ? next : place + 1;
    }
    if (taken === 0) {
      const word = this.#wordOf(own) + CHOICE_WORD;
      const { buffer } = this.#input;
      this.#gpu.device.queue.writeBuffer(buffer, 4 * CHOICE_WORD, this.#words, word, CHAIN_WORDS);
    }
    this.#send(own + taken, tokens - taken);
    if (ahead > 0) this.#send(next, ahead);
  }

  /** Token `index` of a chain, at a place of the table. */
  #fill(
    index: number,
    place: number,
    { position: first, turns = first, slot }: {
      readonly position: number;
      readonly turns?: number;
      readonly slot: number;
    },
    { choice, states }: { readonly choice: ChainChoice; readonly states: Int32Array | null },
  ): void {
    const at = this.#wordOf(place);
    const position = first + index;
    this.#words[at] = 1;
    this.#words[at + 1] = position;
    this.#words[at + 2] = 1;
    this.#words[at + SEQUENCE_OFFSET / 4] = this.#input.sequence;
    const word = at + CHOICE_WORD;
    this.#words[word] = place;
    this.#words[word + 1] = choice.topK;
    this.#floats[word + 2] = choice.temperature;
    this.#floats[word + 3] = choice.topP;
    this.#floats[word + 4] = choice.minP;
    this.#floats[word + 5] = choice.points[index];
    // The first token's record is written already.
    const from = states?.[index - 1] ?? -1;
    const to = states?.[index] ?? -1;
    // Tokens of texts stand at one place on all axes.
    this.#axes.fill(turns + index);
    const token = { id: 0, position, slot, from, to };
    const record = at + HEADER_BYTES / 4;
    this.#input.fillRecord(this, record, { ...token, axes: this.#axes, first: 0 });
  }

  #send(place: number, count: number): void {
    const at = this.#wordOf(place);
    const words = this.#wordOf(count);
    this.#gpu.device.queue.writeBuffer(this.table, 4 * at, this.#words, at, words);
  }

  /** Word of the table where a place begins. */
  #wordOf(place: number): number {
    return place * stepBytes(this.#input) / 4;
  }

  /** What makes the next token the step, of the id that was chosen of the one before. */
  addAdvance(builder: ProgramBuilder): void {
    builder.add({
      kernel: "advance",
      constants: {
        WORDS: stepBytes(this.#input) / 4,
        INDEX: CHOICE_WORD,
        NEXT: NEXT_WORD,
        ID: HEADER_BYTES / 4,
        CHOSEN_WORDS,
      },
      bindings: [
        { buffer: this.#input.buffer },
        { buffer: this.table },
        { buffer: this.chosen },
      ],
      workgroups: [1, 1, 1],
    });
  }

  /** Records are written there. */
  get words(): Uint32Array {
    return this.#words;
  }

  get floats(): Float32Array {
    return this.#floats;
  }
}

/** A header and a record. */
function stepBytes({ recordWords }: StepInput): number {
  return HEADER_BYTES + 4 * recordWords;
}
