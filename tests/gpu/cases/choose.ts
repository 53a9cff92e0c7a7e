/** The best logits of a token, and the ids that a sampler takes of them. */
import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import {
  CANDIDATES_MAX,
  type ChainChoice,
  chooseScratchBytes,
  chooseToken,
  CHOSEN_WORDS,
  createReadBack,
  createStepChain,
  createStepInput,
  type Gpu,
  ProgramBuilder,
  TOO_MANY,
} from "../../../gpu/mod.ts";
import type { SamplingOptions } from "../../../src/llm/mod.ts";
import { Rng } from "../../support/rng.ts";
import { LogitsSampler } from "../../support/score_board.ts";
import { frequenciesOf } from "./ropes.ts";
import { normals } from "./compare.ts";
import type { GpuCase } from "./types.ts";

const GREEDY: ChainChoice = {
  ...{ temperature: 0, topK: 1, topP: 1, minP: 0 },
  points: new Float64Array(1),
};

/** What comes back of a token. */
interface Chosen {
  readonly id: number;
  readonly count: number;
  readonly best: (readonly [id: number, logit: number])[];
}

/** Makes what chooses one of `width` logits. */
async function openChoice(gpu: Gpu, width: number) {
  const input = await createStepInput(gpu, { maxTokens: 1, ropes: [] });
  const chain = await createStepChain(gpu, input, 2);
  const stride = 4 * Math.ceil(width / 4);
  const buffer = await gpu.createBuffer("logits", 4 * stride);
  const scratch = await gpu.createBuffer("largest", chooseScratchBytes(width));
  const builder = new ProgramBuilder(gpu, input);
  const logits = { buffer, offsetBytes: 0, sizeBytes: 4 * stride, stride };
  chooseToken(builder, { logits, width, scratch, chosen: chain.chosen });
  const step = { n: 1, position: 0, m: 1 };
  const program = await builder.build([step]);
  const bytes = 4 * CHOSEN_WORDS;
  const back = await createReadBack(gpu, bytes);
  const floats = new Float32Array(CHOSEN_WORDS);
  return async (values: Float32Array, choice: ChainChoice = GREEDY): Promise<Chosen> => {
    input.write(step, [0]);
    chain.write({ tokens: 1 }, { position: 0, slot: 0 }, { choice, states: null });
    gpu.write(buffer, 0, values);
    program.run(step, { to: back, from: chain.chosen, offsetBytes: 0, bytes });
    await back.readIntoLater(floats);
    const words = new Uint32Array(floats.buffer);
    const [id, count] = words;
    const best = Array.from({ length: Math.min(count, CANDIDATES_MAX) }, (_, i) => {
      return [words[4 + CANDIDATES_MAX + i], floats[4 + i]] as const;
    });
    return { id, count, best };
  };
}

/** The same by a sort. */
function expectedBest(values: Float32Array): (readonly [number, number])[] {
  return [...values.entries()].filter(([, value]) => value > -Infinity)
    .toSorted(([i, a], [j, b]) => a === b ? i - j : a < b ? 1 : -1).slice(0, CANDIDATES_MAX);
}

/** Logits that are alike in many places, and none in others. */
function oddLogits(seed: number, width: number): Float32Array {
  const rng = new Rng(seed);
  const odd = [NaN, -Infinity, -0, 0, 1.5, Infinity];
  return normals(seed, width, 3).map((value) =>
    rng.int(3) === 0 ? odd[rng.int(odd.length - (rng.int(20) === 0 ? 0 : 1))] : value
  );
}

/** Words of the step behind a token whose best id is `id`, in a chain that began at position 5. */
async function stepBehind(gpu: Gpu, id: number): Promise<{ got: Uint32Array; steps: Uint32Array }> {
  const width = 300;
  const rope = frequenciesOf({ headDim: 8, kind: "norm" });
  const input = await createStepInput(gpu, { maxTokens: 1, ropes: [rope] });
  const chain = await createStepChain(gpu, input, 3);
  const logits = await gpu.createBuffer("logits", 4 * width);
  const scratch = await gpu.createBuffer("largest", chooseScratchBytes(width));
  const builder = new ProgramBuilder(gpu, input);
  const row = { buffer: logits, offsetBytes: 0, sizeBytes: 4 * width, stride: width };
  chooseToken(builder, { logits: row, width, scratch, chosen: chain.chosen });
  chain.addAdvance(builder);
  const step = { n: 1, position: 5, m: 1 };
  const program = await builder.build([step]);
  input.write(step, [1]);
  const choice = { ...GREEDY, points: new Float64Array(3) };
  chain.write({ tokens: 3 }, { position: 5, slot: 0 }, { choice, states: Int32Array.of(7, 9, 8) });
  gpu.write(logits, 0, Float32Array.from({ length: width }, (_, at) => at === id ? 2 : -at));
  const bytes = 256 + 4 * input.recordWords;
  const back = await createReadBack(gpu, bytes);
  program.run(step, { to: back, from: input.buffer, offsetBytes: 0, bytes });
  const floats = new Float32Array(bytes / 4);
  await back.readIntoLater(floats);
  return { got: new Uint32Array(floats.buffer), steps: chain.words.slice(bytes / 4, bytes / 2) };
}

export const chooseCases: readonly GpuCase[] = [
  {
    kernels: ["advance"],
    name: "advance puts a chain's next step over the one before, of the id that was chosen",
    run: async (gpu) => {
      for (const id of [7, 299]) {
        const { got, steps } = await stepBehind(gpu, id);
        assertEquals(steps[1], 6, "the position");
        // Plus 1: the state that the first token left, and where this one's goes.
        assertEquals([...steps.subarray(256 / 4 + 5, 256 / 4 + 7)], [8, 10]);
        steps[256 / 4] = id;
        assertEquals(got, steps);
      }
    },
  },
  {
    kernels: ["choose_maxima", "choose"],
    name: "chooseToken() finds the 64 best logits in order, whatever lies among them",
    run: async (gpu) => {
      for (const width of [3, 100, 257, 5000]) {
        const choose = await openChoice(gpu, width);
        for (let seed = 1; seed <= 6; seed++) {
          const values = seed % 2 === 0 ? oddLogits(seed, width) : normals(seed, width, 3);
          // Likely ids are neighbours.
          if (seed > 4) values.set(normals(seed, Math.min(width, 150), 1).map((x) => x + 20));
          const { id, count, best } = await choose(values);
          if (count === TOO_MANY) {
            const [[, most]] = expectedBest(values);
            assert(values.filter((value) => value >= Math.min(1.5, most)).length > 512);
            continue;
          }
          const expected = expectedBest(values);
          assertEquals(best.map(([id]) => id), expected.map(([id]) => id), `${width} ${seed}`);
          assert(best.every(([, logit], i) => logit === expected[i][1]));
          assertEquals(id, expected[0][0]);
        }
      }
    },
  },
  {
    kernels: ["choose"],
    name: "chooseToken() says where nothing can be chosen, or too much is alike",
    run: async (gpu) => {
      const choose = await openChoice(gpu, 5000);
      const none = Float32Array.from({ length: 5000 }, (_, i) => i % 2 === 0 ? NaN : -Infinity);
      assertEquals((await choose(none)).count, 0);
      assertEquals((await choose(new Float32Array(5000))).count, TOO_MANY);
      none[4321] = -5;
      assertEquals(await choose(none), { id: 4321, count: 1, best: [[4321, -5]] });
    },
  },
  {
    kernels: ["choose"],
    name: "chooseToken() draws what the sampler draws, but for what lies on the edge of two ids",
    run: async (gpu) => {
      const width = 3000;
      const choose = await openChoice(gpu, width);
      const ways: SamplingOptions[] = [
        {},
        { temperature: 1, topP: 1, minP: 0 },
        { temperature: 1.5, topK: 64, topP: 0.9, minP: 0 },
        { temperature: 0.6, topK: 20, topP: 1, minP: 0.1 },
        { temperature: 0 },
      ];
      let others = 0;
      for (const [seed, way] of ways.entries()) {
        const sampler = new LogitsSampler({ seed, ...way }, width);
        const choice: ChainChoice = { ...GREEDY, points: new Float64Array(1) };
        for (let token = 0; token < 20; token++) {
          const values = normals(100 * seed + token, width, 2);
          assert(sampler.foretell(choice, 1));
          const { id } = await choose(values, choice);
          if (id !== sampler.sample(values)) others++;
        }
      }
      assertLessOrEqual(others, 1);
    },
  },
];
