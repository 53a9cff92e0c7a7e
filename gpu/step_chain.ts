/**
 * Steps of one token each that follow one another without anybody looking at the ids between them:
 * all but the first are written to a table at once, and a dispatch puts the next one over the step
 * between two tokens, with the id that was chosen of the one before: it costs less than copies do.
 * Knows headers and records; not how ids are chosen.
 */
import { POSITION_AXES } from "../src/memory/control_layout.ts";
import type { Gpu } from "./device.ts";
import { CHOSEN_WORDS } from "./ops/choose.ts";
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
const CHOICE_WORDS = 6;

/** @throws {GpuOutOfMemoryError} when the GPU has no room for it. */
export async function createStepChain(
  gpu: Gpu,
  input: StepInput,
  tokensMax: number,
): Promise<StepChain> {
  const table = await gpu.createBuffer(
    "steps of a chain",
    tokensMax * stepBytes(input),
    GPUBufferUsage.COPY_DST | GPUBufferUsage.STORAGE,
  );
  const chosen = await gpu.createBuffer(
    "chosen ids",
    tokensMax * CHOSEN_WORDS * 4,
    GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC,
  );
  return new StepChain(gpu, { input, table, chosen, tokensMax });
}

export class StepChain {
  /** u32 [tokensMax, CHOSEN_WORDS], by `chooseToken`. */
  readonly chosen: GPUBuffer;
  readonly #gpu: Gpu;
  readonly #input: StepInput;
  readonly #table: GPUBuffer;
  readonly #words: Uint32Array<ArrayBuffer>;
  readonly #floats: Float32Array<ArrayBuffer>;
  readonly #axes = new Int32Array(POSITION_AXES);

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
    this.#table = table;
    this.chosen = chosen;
    const bytes = stepBytes(input);
    this.#words = new Uint32Array(tokensMax * bytes / 4);
    this.#floats = new Float32Array(this.#words.buffer);
  }

  /**
   * Behind the first token's layers, which are under way: how its id is chosen, and the steps of
   * the others.
   * @param at.position of the first token; `turns`: as its rotary embedding has it.
   * @param by.states places that tokens leave their states in, [tokens]; null: nobody keeps states.
   */
  write(
    tokens: number,
    { position, turns = position, slot }: {
      readonly position: number;
      readonly turns?: number;
      readonly slot: number;
    },
    { choice, states }: { readonly choice: ChainChoice; readonly states: Int32Array | null },
  ): void {
    const stride = stepBytes(this.#input) / 4;
    for (let index = 0; index < tokens; index++) {
      const at = index * stride;
      this.#words[at] = 1;
      this.#words[at + 1] = position + index;
      this.#words[at + 2] = 1;
      this.#words[at + SEQUENCE_OFFSET / 4] = this.#input.sequence;
      this.#writeChoice(at + CHOICE_WORD, index, choice);
      const record = at + HEADER_BYTES / 4;
      // The first token's record is written already.
      const from = states?.[index - 1] ?? -1;
      const to = states?.[index] ?? -1;
      // Tokens of texts stand at one place on all axes.
      this.#axes.fill(turns + index);
      const token = { id: 0, position: position + index, slot, from, to };
      this.#input.fillRecord(this, record, { ...token, axes: this.#axes, first: 0 });
    }
    const { queue } = this.#gpu.device;
    const byte = 4 * CHOICE_WORD;
    queue.writeBuffer(this.#input.buffer, byte, this.#words, CHOICE_WORD, CHOICE_WORDS);
    queue.writeBuffer(this.#table, 0, this.#words, 0, tokens * stride);
  }

  /** What makes the next token the step, of the id that was chosen of the one before. */
  addAdvance(builder: ProgramBuilder): void {
    builder.add({
      kernel: "advance",
      constants: {
        WORDS: stepBytes(this.#input) / 4,
        INDEX: CHOICE_WORD,
        ID: HEADER_BYTES / 4,
        CHOSEN_WORDS,
      },
      bindings: [
        { buffer: this.#input.buffer },
        { buffer: this.#table },
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

  #writeChoice(at: number, index: number, choice: ChainChoice): void {
    this.#words[at] = index;
    this.#words[at + 1] = choice.topK;
    this.#floats[at + 2] = choice.temperature;
    this.#floats[at + 3] = choice.topP;
    this.#floats[at + 4] = choice.minP;
    this.#floats[at + 5] = choice.points[index];
  }
}

/** A header and a record. */
function stepBytes({ recordWords }: StepInput): number {
  return HEADER_BYTES + 4 * recordWords;
}
