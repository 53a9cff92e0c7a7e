/**
 * States that a GPU's rank keeps of sequences: several in a step, places that are used again, and
 * states that stay at borders within a step.
 */
import { assert, assertEquals, assertLess } from "@std/assert";
import type { Gpu } from "../../gpu/mod.ts";
import { Program } from "../../gpu/program.ts";
import { isApart } from "../../gpu/step_input.ts";
import { nmse } from "../support/compare.ts";
import { gpuTest } from "../support/gpu.ts";
import { withTinyFile } from "../support/loaded_model.ts";
import { type LoneRank, openLoneRank } from "../support/lone_gpu_rank.ts";
import { Rng } from "../support/rng.ts";
import { sizesAsData } from "../support/sizes_as_data.ts";
import type { TinyFamilyName } from "../support/tiny_families.ts";

sizesAsData();

/** A kind of states each, with heads beside them or in other layers. */
const FAMILIES: readonly TinyFamilyName[] = ["qwen35", "falcon-h1", "jamba", "plamo2"];
/** Of texts before what is decoded. */
const LENGTHS = [3, 40, 17, 33];
const DECODED = 5;

const rng = new Rng(31);
const TEXTS = LENGTHS.map((length) =>
  Array.from({ length: length + DECODED }, () => 3 + rng.int(500))
);

async function withRank(
  gpu: Gpu,
  architecture: TinyFamilyName,
  use: (rank: LoneRank) => void,
): Promise<void> {
  await withTinyFile({ seed: 3, architecture }, async (path) => {
    const options = { parallel: LENGTHS.length, contextLength: 64, chunkTokens: 48 };
    const rank = await openLoneRank(path, gpu, true, options);
    for (let slot = 0; slot < LENGTHS.length; slot++) {
      for (const index of [0, 1]) {
        rank.setBlock(slot, index, 2 * (LENGTHS.length - 1 - slot) + index);
      }
    }
    use(rank);
  });
}

/** Logits of text `slot` at its ids from `position` on. */
function segment(slot: number, position: number, end: number) {
  return { slot, position, ids: TEXTS[slot].slice(position, end) };
}

/** Logits of what is decoded of each text, all of them in the same steps, or one by one. */
function decode({ run }: LoneRank, areTogether: boolean): Float32Array[][] {
  const heard: Float32Array[][] = LENGTHS.map(() => []);
  LENGTHS.forEach((length, slot) => run([segment(slot, 0, length)]));
  for (let i = 0; i < DECODED; i++) {
    const tokens = LENGTHS.map((length, slot) => segment(slot, length + i, length + i + 1));
    const rows = areTogether ? run(tokens) : tokens.flatMap((token) => run([token]));
    rows.forEach((row, slot) => heard[slot].push(row));
  }
  return heard;
}

/** Runs a step whose tokens are one sequence's: who is told otherwise computes them at once. */
function together<T>(use: () => T): T {
  const { run } = Program.prototype;
  Program.prototype.run = function (step, ...rest) {
    assert(!isApart(step), "tokens of one sequence");
    return run.call(this, step, ...rest);
  };
  try {
    return use();
  } finally {
    Program.prototype.run = run;
  }
}

gpuTest("a GPU's step of several sequences goes on with the state of each", async (gpu) => {
  for (const architecture of FAMILIES) {
    await withRank(gpu, architecture, (rank) => {
      // The second time all texts begin in places that others have left.
      const together = decode(rank, true);
      assert(together.flat().every((row) => row.every(Number.isFinite)));
      assertEquals(decode(rank, false), together, architecture);
    });
  }
});

gpuTest("a GPU's rank computes a text in any steps as in one", async (gpu) => {
  for (const architecture of FAMILIES) {
    await withRank(gpu, architecture, ({ run }) => {
      const [whole] = run([segment(1, 0, 40)]);
      for (const ends of [[1, 40], [39, 40], [2, 3, 20, 21, 40], [32, 40]]) {
        let rows: Float32Array[] = [];
        ends.forEach((end, i) => rows = run([segment(1, ends[i - 1] ?? 0, end)]));
        assertLess(nmse(rows[0], whole), 1e-11, `${architecture} in steps to ${ends}`);
      }
    });
  }
});

gpuTest("a GPU's step leaves states of a text at borders within it", async (gpu) => {
  for (const architecture of FAMILIES) {
    await withRank(gpu, architecture, ({ run }) => {
      const [whole] = run([segment(1, 0, 40)]);
      const part = (position: number, end: number, from: number, to: number) => {
        return { ...segment(1, position, end), logits: end === 40 ? 1 : 0, states: { from, to } };
      };
      // Places of another sequence, which have its states.
      const parts = [part(0, 1, -1, 9), part(1, 32, 9, 5), part(32, 40, 5, 6)];
      assertEquals(run(parts), [whole], `${architecture} in segments`);
      // Two of a token each are one sequence's, too.
      run([part(0, 38, -1, 7)]);
      const few = together(() => run([part(38, 39, 7, 8), part(39, 40, 8, 10)]));
      assertLess(nmse(few[0], whole), 1e-11, `${architecture} in segments of a token`);
      // Another text goes on behind the second border.
      const other = [TEXTS[3][0], TEXTS[3][1]];
      const states = { from: 5, to: 6 };
      const [found] = run([{ slot: 1, position: 32, ids: other, states }]);
      const ids = [...TEXTS[1].slice(0, 32), ...other];
      const [expected] = run([{ slot: 1, position: 0, ids, states: { from: -1, to: 6 } }]);
      assertLess(nmse(found, expected), 1e-11, `${architecture} behind a border`);
    });
  }
});
