/** What a step's buffer holds, written when the step comes or ahead of it. */
import { assertEquals, assertGreater } from "@std/assert";
import {
  createStepInput,
  type Gpu,
  type StepInput,
  type StepRows,
  type StepValues,
} from "../../gpu/mod.ts";
import { SEQUENCE_OFFSET } from "../../gpu/step_input.ts";
import { POSITION_AXES } from "../../src/memory/control_layout.ts";
import { KV_BLOCK_POSITIONS } from "../../src/memory/kv_layout.ts";
import { gpuTest } from "../support/gpu.ts";
import { Rng } from "../support/rng.ts";

const SEQUENCES = 3;
const BLOCKS = 3;
const OPTIONS = {
  maxTokens: 4,
  ropes: [{
    inverseFrequencies: Float64Array.of(1, 0.1, 0.01),
    ...{ magnitude: 1, axisOf: [0, 1, 2] as const },
  }],
  sequences: SEQUENCES,
  contextLength: BLOCKS * KV_BLOCK_POSITIONS,
};
const HEADER_WORDS = 64;

/** Sequences that go on, and now and then something else happens to them. */
class Steps {
  readonly #rng = new Rng(12);
  /** By slot. */
  readonly #positions = Array.from({ length: SEQUENCES }, () => 0);
  readonly #slots = new Int32Array(SEQUENCES);
  /** By slot, places of states. */
  readonly #from = new Int32Array(SEQUENCES).fill(-1);
  readonly #to = new Int32Array(SEQUENCES);
  /** By slot: how far behind its place in a text a token stands, on each axis. */
  readonly #lags = new Int32Array(POSITION_AXES * SEQUENCES);
  #isKept = true;
  #n = 1;
  #m = 1;

  /** @returns the next step; it may be of a sequence alone, of several tokens. */
  next(inputs: readonly StepInput[]): { step: StepValues; rows: StepRows } {
    const rng = this.#rng;
    if (rng.int(99) === 0) this.#isKept = !this.#isKept;
    if (rng.int(12) === 0) this.#n = 1 + rng.int(SEQUENCES);
    this.#m = rng.int(12) === 0 ? 0 : this.#n;
    for (let t = 0; t < this.#n; t++) {
      // Another one, which is as far and may share blocks.
      if (rng.int(12) === 0) {
        const position = this.#positions[this.#slots[t]];
        this.#slots[t] = rng.int(SEQUENCES);
        this.#positions[this.#slots[t]] = position;
      }
      const slot = this.#slots[t];
      // Its state goes to and fro, or elsewhere.
      const left = this.#to[slot];
      this.#to[slot] = rng.int(12) === 0 ? rng.int(9) : this.#from[slot];
      this.#from[slot] = rng.int(24) === 0 ? -1 : left;
      if (rng.int(12) > 0) this.#positions[slot]++;
      // It stays, or goes to the same place of another block.
      else if (rng.int(2) === 0) this.#positions[slot] += KV_BLOCK_POSITIONS + 1;
      this.#positions[slot] %= BLOCKS * KV_BLOCK_POSITIONS;
      if (rng.int(24) === 0) {
        this.#lags[POSITION_AXES * slot + rng.int(POSITION_AXES)] = rng.int(20);
      }
      if (rng.int(12) > 0) continue;
      // What it has behind it is elsewhere now.
      const index = rng.int(BLOCKS);
      const block = rng.int(2);
      for (const input of inputs) input.setBlock(slot, index, block);
    }
    const slots = this.#slots.slice(0, this.#n);
    const positions = slots.map((slot) => this.#positions[slot]);
    const position = Math.max(...positions) + (rng.int(24) === 0 ? 1 : 0);
    const step = { n: this.#n, position, m: this.#m, isApart: true };
    const states = {
      from: slots.map((slot) => this.#from[slot]),
      to: slots.map((slot) => this.#to[slot]),
    };
    const axes = Int32Array.from({ length: POSITION_AXES * this.#n }, (_, i) => {
      const t = Math.floor(i / POSITION_AXES);
      return positions[t] - this.#lags[POSITION_AXES * slots[t] + i % POSITION_AXES];
    });
    return { step, rows: { positions, slots, axes, ...this.#isKept && { states } } };
  }
}

/** What was written to a buffer. */
interface Shadow {
  readonly words: Uint32Array;
  writes: number;
}

type WriteWords = (
  ...args: [buffer: GPUBuffer, offsetBytes: number, data: Uint32Array, start: number, size: number]
) => void;

/** Notes what is written to buffers of inputs. */
function shadowsOf({ device: { queue } }: Gpu, inputs: readonly StepInput[]): Shadow[] {
  const shadows = inputs.map(({ buffer }) => ({
    ...{ buffer, words: new Uint32Array(buffer.size / 4), writes: 0 },
  }));
  const write = queue.writeBuffer.bind(queue) as unknown as WriteWords;
  const watched: WriteWords = (buffer, offsetBytes, data, start, size) => {
    const shadow = shadows.find((each) => each.buffer === buffer);
    if (shadow) {
      shadow.words.set(data.subarray(start, start + size), offsetBytes / 4);
      shadow.writes++;
    }
    write(buffer, offsetBytes, data, start, size);
  };
  queue.writeBuffer = watched as unknown as typeof queue.writeBuffer;
  return shadows;
}

/** The header, records of a step's tokens, and the tables. */
function wordsOf({ words }: Shadow, { recordWords }: StepInput, n: number): number[] {
  const records = HEADER_WORDS + n * recordWords;
  const tables = HEADER_WORDS + OPTIONS.maxTokens * recordWords;
  const ends = tables + SEQUENCES * BLOCKS;
  return [...words.subarray(0, records), ...words.subarray(tables, ends)];
}

gpuTest("writeAhead() changes nothing of what write() leaves, whatever comes", async (gpu) => {
  const inputs = [await createStepInput(gpu, OPTIONS), await createStepInput(gpu, OPTIONS)];
  const [ahead, plain] = inputs;
  const steps = new Steps();
  const shadows = shadowsOf(gpu, inputs);
  let found = 0;
  for (let i = 0; i < 3000; i++) {
    const { step, rows } = steps.next(inputs);
    shadows[0].writes = 0;
    ahead.write(step, null, rows);
    if (shadows[0].writes === 0) found++;
    plain.write(step, null, rows);
    const words = wordsOf(shadows[0], ahead, step.n);
    assertEquals(words, wordsOf(shadows[1], plain, step.n), `step ${i}`);
    assertEquals(words[SEQUENCE_OFFSET / 4], ahead.sequence);
    if (i % 8 > 0) ahead.writeAhead(step, rows);
  }
  assertGreater(found, 700);
});

gpuTest(
  "write() brings the blocks of every sequence, also far behind its beginning",
  async (gpu) => {
    const blocks = 150;
    const contextLength = blocks * KV_BLOCK_POSITIONS;
    const input = await createStepInput(gpu, { ...OPTIONS, contextLength });
    const [shadow] = shadowsOf(gpu, [input]);
    const begin = HEADER_WORDS + OPTIONS.maxTokens * input.recordWords;
    const expected = Uint32Array.from({ length: SEQUENCES * blocks }, (_, i) => i);
    const rng = new Rng(7);
    for (let step = 0; step < 60; step++) {
      for (let i = rng.int(4); i > 0; i--) {
        const [slot, index, block] = [rng.int(SEQUENCES), rng.int(blocks), rng.int(1000)];
        input.setBlock(slot, index, block);
        expected[slot * blocks + index] = block;
      }
      input.write({ n: 1, position: step, m: 1 }, [5]);
      assertEquals(shadow.words.slice(begin, begin + expected.length), expected, `step ${step}`);
    }
  },
);

gpuTest("write() sends nothing of a step that was written ahead", async (gpu) => {
  const input = await createStepInput(gpu, OPTIONS);
  const [shadow] = shadowsOf(gpu, [input]);
  const writes = [0, 1, 2, 2].map((position) => {
    const step = { n: 1, position, m: 1 };
    const rows = { positions: Int32Array.of(position), slots: Int32Array.of(0) };
    shadow.writes = 0;
    input.write(step, null, rows);
    const { writes } = shadow;
    input.writeAhead(step, rows);
    return writes;
  });
  // The first one brings the tables, too; the last one repeats a position.
  assertEquals(writes, [2, 0, 0, 1]);
});
