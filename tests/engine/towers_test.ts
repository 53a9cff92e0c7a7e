/** Towers on one thread and on several against the reference, and what is not asked of them. */
import "../support/thread_pool.ts";
import { assertEquals, assertLess, assertRejects } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { type LoadedTower, loadTower, type TowerOptions } from "../../src/llm/images/load_tower.ts";
import type { TowerInput } from "../../src/model/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { nmse } from "../support/compare.ts";
import { type TinyGrid, tinyTowerInput } from "../support/tiny_image.ts";
import {
  TINY_KINDS,
  tinyVision,
  type TinyVisionName,
  type TinyVisionOptions,
} from "../support/tiny_vision.ts";

/** F32 weights. */
const NMSE_MAX = 1e-11;
const NAMES = Object.keys(TINY_KINDS) as TinyVisionName[];
const SQUARE = { rows: 6, columns: 6 };

/** A tower and images as its kind has them. */
interface TestTower extends LoadedTower {
  readonly input: (grid?: TinyGrid) => TowerInput;
  /** What the reference sees. */
  readonly expected: (input: TowerInput) => Float64Array;
}

async function withTower(
  made: TinyVisionOptions,
  options: readonly TowerOptions[],
  use: (tower: TestTower) => Promise<void>,
): Promise<void> {
  const path = await Deno.makeTempFile({ prefix: "ganglion-tower-", suffix: ".gguf" });
  try {
    const bytes = tinyVision(made);
    await Deno.writeFile(path, bytes);
    for (const each of options) {
      const tower = await loadTower(path, each);
      const { file, vision: { description, images } } = tower;
      const { config } = description;
      try {
        await use({
          ...tower,
          input: (grid = SQUARE) => tinyTowerInput({ images, config, grid }, { file, bytes }),
          expected: (input) => new ReferenceModel(file, { description }).see(input),
        });
      } finally {
        await tower.engine.close();
      }
    }
  } finally {
    await Deno.remove(path);
  }
}

for (const kind of NAMES) {
  Deno.test(`the engine sees by ${kind} as the reference does`, () =>
    withTower({ kind, seed: 3 }, [{ threads: 1 }, { threads: 3 }], async (tower) => {
      const input = tower.input();
      const rows = await tower.engine.images.see(input);
      const error = nmse(rows, tower.expected(input));
      assertLess(error, NMSE_MAX);
    }));
}
