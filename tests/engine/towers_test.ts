/** Towers on one thread and on several against the reference, and what is not asked of them. */
import "../support/thread_pool.ts";
import { assertEquals, assertLess, assertRejects } from "@std/assert";
import { RequestError, UnsupportedModelError } from "../../src/base/errors.ts";
import { list, type MetadataEntry, u32 } from "../../src/gguf/mod.ts";
import { type LoadedTower, loadTower, type TowerOptions } from "../../src/llm/images/load_tower.ts";
import type { ImageConfig, TowerInput } from "../../src/model/mod.ts";
import { towerOptionsFor } from "../../src/llm/rank_options.ts";
import { planRanks } from "../../src/rank/plan/plan.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { loadKernelModule } from "../../wasm/mod.ts";
import { nmse } from "../support/compare.ts";
import { KnownRows } from "../support/known_rows.ts";
import { type TinyGrid, tinyTowerInput } from "../support/tiny_image.ts";
import type { TinyTensor } from "../support/tiny_vision_parts.ts";
import {
  TINY_KINDS,
  TINY_TOWER,
  tinyVision,
  type TinyVisionName,
  type TinyVisionOptions,
} from "../support/tiny_vision.ts";

/** F32 weights. */
const NMSE_MAX = 1e-11;
const NAMES = Object.keys(TINY_KINDS) as TinyVisionName[];

/** Room for a layer of a tiny tower and what its steps need, but for no other one. */
const ARENA_BYTES = 700_000;

const known = new KnownRows();

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
      const { file, description, reads } = tower;
      const images = reads as ImageConfig;
      const { config } = description;
      try {
        await use({
          ...tower,
          input: (grid = squareOf(images)) =>
            tinyTowerInput({ images, config, grid }, { file, bytes }),
          expected: (input) =>
            known.of(made, input, () => new ReferenceModel(file, { description }).see(input)),
        });
      } finally {
        await tower.engine.close();
      }
    }
  } finally {
    await Deno.remove(path);
  }
}

/** Whole numbers of blocks and of windows. */
function squareOf({ windowSide, mergeSide, convolvedSide = 1 }: ImageConfig): TinyGrid {
  const block = mergeSide * convolvedSide;
  const side = windowSide === null ? Math.ceil(TINY_TOWER.side / block) * block : 2 * windowSide;
  return { rows: side, columns: side };
}

/** Heads' norms take a mean away: no file of that kind has such. */
const REFUSED: readonly TinyVisionName[] = ["internvl-norms"];

for (const kind of NAMES.filter((name) => !REFUSED.includes(name))) {
  Deno.test(`the engine sees by ${kind} as the reference does`, () =>
    withTower({ kind, seed: 3 }, [{ threads: 1 }, { threads: 3 }], async (tower) => {
      const input = tower.input();
      const rows = await tower.engine.images.see(input);
      assertLess(nmse(rows, tower.expected(input)), NMSE_MAX);
    }));
}

for (const [type, most] of [["F16", 1e-6], ["Q8_0", 1e-3]] as const) {
  Deno.test(`the engine sees by weights of ${type} nearly as the reference does`, async () => {
    // The last one's images are so long that products are those of many tokens.
    const kinds = ["gemma3", "mlp", "gemma4v-limits", "glm4v", "qwen3vl_merger"] as const;
    for (const kind of [...kinds, "hunyuanvl", "resampler", "qwen2.5vl_merger"] as const) {
      await withTower({ kind, type }, [{ threads: 2 }], async (tower) => {
        const input = tower.input();
        const rows = await tower.engine.images.see(input);
        const error = nmse(rows, tower.expected(input));
        assertLess(error, most, kind);
      });
    }
  });
}

Deno.test("windows that edges cut off are seen as they are, on any number of threads", async () => {
  for (const kind of ["youtuvl", "muse-glimmer"] as const) {
    await withTower({ kind, seed: 4 }, [{ threads: 1 }, { threads: 3 }], async (tower) => {
      // Of windows of 4 · 4 the last ones have 2 rows or columns; one is all there is of the third.
      const large = kind === "youtuvl" ? [[38, 38]] : [];
      for (const [rows, columns] of [[10, 6], [2, 30], [2, 4], ...large]) {
        const input = tower.input({ rows, columns });
        const seen = await tower.engine.images.see(input);
        assertLess(nmse(seen, tower.expected(input)), NMSE_MAX, `${rows} · ${columns}`);
      }
    });
  }
});

Deno.test("a tower's rows do not depend on the images before, nor on the arenas", () =>
  withTower({ kind: "gemma3" }, [{ threads: 2 }], async ({ engine, input, expected }) => {
    // The largest image, a single block, and what is no multiple of anything.
    const inputs = [
      input(),
      ...[[2, 2], [2, 6], [6, 4]].map(([rows, columns]) => input({ rows, columns })),
    ];
    const first = await Promise.all(inputs.map((each) => engine.images.see(each)));
    for (const [i, each] of inputs.entries()) {
      assertEquals(first[i].length, each.kept / 4 * 64);
      assertLess(nmse(first[i], expected(each)), NMSE_MAX, `image ${i}`);
    }
    // In the other order, patches over shared memory.
    for (const [i, each] of [...inputs.entries()].reverse()) {
      assertEquals(await engine.images.see(shared(each)), first[i]);
    }
  }));

Deno.test("rows become fewer between layers, of any image, on any number of threads", async () => {
  // Of a rank that has no head, or no neurons of what makes one row of four; and in arenas.
  const options = [{ threads: 2, arenaBytesMax: 1_400_000 }, { threads: 5 }];
  for (const [type, most] of [["F32", NMSE_MAX], ["Q8_0", 1e-3]] as const) {
    await withTower({ kind: "minicpmv4_6", seed: 5, type }, options, async (tower) => {
      // The largest in two pieces, and one of another length in between.
      for (const [rows, columns] of [[8, 16], [4, 4], [12, 8], [4, 28]]) {
        const image = tower.input({ rows, columns });
        const seen = await tower.engine.images.see(image);
        assertEquals(seen.length, rows * columns / 16 * TINY_TOWER.outputLength);
        assertLess(nmse(seen, tower.expected(image)), most, `${type} ${rows} · ${columns}`);
      }
      const { images: { see } } = tower.engine;
      const image = tower.input({ rows: 4, columns: 4 });
      const odd = { ...image, count: 17, patches: new Float32Array(17 * 48) };
      await assertRejects(() => see.call(tower.engine.images, odd), RequestError, "blocks of 4");
      const few = { ...image, kept: 12 };
      await assertRejects(() => see.call(tower.engine.images, few), RequestError, "multiple of 16");
    });
  }
});

Deno.test("queries ask what layers leave of any image, on any number of threads", async () => {
  // Ranks without a head of queries; and layers in several arenas.
  const options = [{ threads: 5 }, { threads: 2, arenaBytesMax: 2_300_000 }];
  for (const [type, most] of [["F32", NMSE_MAX], ["Q8_0", 1e-3]] as const) {
    await withTower({ kind: "granite4_vision", seed: 5, type }, options, async (tower) => {
      for (const [rows, columns] of [[8, 8], [4, 4], [4, 8], [8, 8]]) {
        const image = tower.input({ rows, columns });
        const seen = await tower.engine.images.see(image);
        assertEquals(seen.length, rows * columns / 4 * TINY_TOWER.outputLength);
        assertLess(nmse(seen, tower.expected(image)), most, `${type} ${rows} · ${columns}`);
      }
      const image = tower.input({ rows: 4, columns: 4 });
      const few = { ...image, kept: 12 };
      await assertRejects(() => tower.engine.images.see(few), RequestError, "a multiple of 16");
    });
  }
});

Deno.test("queries ask one layer alone, or two with different numbers of neurons", async () => {
  const { tensors, keys } = TINY_KINDS.granite4_vision;
  for (const parts of [1, 2]) {
    const numbers = (...all: number[]) => list(Int32Array.from(all.slice(0, parts)));
    const changes: TinyVisionOptions["changes"] = {
      keys: {
        ...keys,
        "feature_layer": numbers(0, 1),
        "projector.spatial_offsets": numbers(3, -1),
      },
      tensors: (of) =>
        tensors(of).filter(({ name }) => Number(/^v\.proj_blk\.(\d)/.exec(name)?.[1] ?? 0) < parts)
          .map((each) => /^v\.proj_blk\.1\.ffn_/.test(each.name) ? withMore(each) : each),
    };
    const options = [{ threads: 1 }, { threads: 2 }];
    await withTower({ kind: "granite4_vision", changes }, options, async (tower) => {
      const images = [tower.input(), tower.input({ rows: 4, columns: 4 })];
      for (const image of [...images, images[0]]) {
        const seen = await tower.engine.images.see(image);
        assertEquals(seen.length, image.kept / 4 * 16 * parts);
        assertLess(nmse(seen, tower.expected(image)), NMSE_MAX, `${parts}`);
      }
    });
  }
});

Deno.test("each number of rows is convolved by who has it, in images of any square", () =>
  withTower({ kind: "ldpv2", seed: 5 }, [{ threads: 5 }], async ({ engine, input, expected }) => {
    for (const side of [2, 6, 4]) {
      const image = input({ rows: side, columns: side });
      assertLess(nmse(await engine.images.see(image), expected(image)), NMSE_MAX, `${side}`);
    }
    const flat = input({ rows: 4, columns: 6 });
    await assertRejects(() => engine.images.see(flat), RequestError, "only those of a square");
  }));

Deno.test("heads go along lines and columns of any image, on any number of threads", async () => {
  const few: MetadataEntry = ["clip.vision.image_max_pixels", u32(60 * TINY_TOWER.patchSize ** 2)];
  // Ranks without heads; and layers in several arenas.
  const options = [{ threads: 5 }, { threads: 2, arenaBytesMax: ARENA_BYTES }];
  for (const [type, most] of [["F32", NMSE_MAX], ["Q8_0", 2e-3]] as const) {
    await withTower({ kind: "mimovl", seed: 5, type, metadata: [few] }, options, async (tower) => {
      const arenas = tower.plans.map((plan) => plan.arenas.length);
      assertEquals(arenas.every((count) => count > 1), arenas.length === 2, `${type} ${arenas}`);
      for (const [rows, columns] of [[2, 30], [30, 2], [2, 2], [10, 6], [6, 10]]) {
        const image = tower.input({ rows, columns });
        const seen = await tower.engine.images.see(image);
        assertLess(nmse(seen, tower.expected(image)), most, `${type} ${rows} · ${columns}`);
      }
    });
  }
});

/** Neurons, of which there are 128, are 600. */
function withMore({ name, dims, ...rest }: TinyTensor): TinyTensor {
  const isNeurons = name.includes("ffn_up")
    ? dims.length - 1
    : name.endsWith("down.weight")
    ? 0
    : 9;
  return { name, dims: dims.map((length, i) => i === isNeurons ? 600 : length), ...rest };
}

/** Queries ask it: squares of so many patches on a side, and images of twice as many patches. */
function resamplerOf(side: number): TinyVisionOptions {
  const pixels = u32(side * TINY_TOWER.patchSize);
  return { kind: "resampler", metadata: [["clip.vision.image_size", pixels]] };
}

Deno.test("queries take as many rows of fewer patches than they are, and of large images", () =>
  // The leader has no head of it; the last image is read in two pieces.
  withTower(resamplerOf(12), [{ threads: 5 }], async ({ engine, input, expected }) => {
    for (const [rows, columns] of [[1, 2], [6, 6], [13, 11]]) {
      const image = input({ rows, columns });
      const seen = await engine.images.see(image);
      assertEquals(seen.length, 5 * 64);
      assertLess(nmse(seen, expected(image)), NMSE_MAX, `${rows} · ${columns}`);
    }
    // Where patches are is asked for.
    const nowhere = { ...input(), positions: null };
    await assertRejects(() => engine.images.see(nowhere), RequestError, "no positions");
  }));

Deno.test("queries may be more than any image has patches", () =>
  withTower(resamplerOf(1), [{ threads: 1 }], async ({ engine, input, expected }) => {
    const image = input({ rows: 1, columns: 2 });
    assertLess(nmse(await engine.images.see(image), expected(image)), NMSE_MAX);
  }));

/** The same over memory that threads share. */
function shared(input: TowerInput): TowerInput {
  const patches = new Float32Array(new SharedArrayBuffer(4 * input.patches.length));
  patches.set(input.patches);
  return { ...input, patches };
}

Deno.test("a tower whose layers lie in several arenas sees the same", async () => {
  const most: MetadataEntry = ["clip.vision.image_max_pixels", u32(36 * TINY_TOWER.patchSize ** 2)];
  const made = { kind: "qwen3vl_merger", metadata: [most] } as const;
  const seen: Float32Array[] = [];
  const options = [{ threads: 2 }, { threads: 2, arenaBytesMax: ARENA_BYTES }];
  await withTower(made, options, async ({ engine, input, file, description }) => {
    const module = await loadKernelModule();
    const own = towerOptionsFor(description, module, options[seen.length]);
    const [plan] = planRanks(description, file.tensors, own);
    assertEquals(plan.arenas.length, [1, 3][seen.length]);
    // Layers of an arena have one place for keys.
    const places = plan.layers.map(({ arena, keysOffsetBytes }) => `${arena} ${keysOffsetBytes}`);
    assertEquals(new Set(places).size, [1, 2][seen.length]);
    seen.push(await engine.images.see(input()));
  });
  assertEquals(seen[0], seen[1]);
});

Deno.test("an image that is cancelled ends with the signal's reason, and the next one is seen", () =>
  withTower({ kind: "mlp" }, [{ threads: 3 }], async ({ engine, input, expected }) => {
    const image = input();
    const reason = new Error("not wanted");
    const before = new AbortController(), during = new AbortController();
    before.abort(reason);
    const unseen = [before, during].map(({ signal }) => engine.images.see(image, signal));
    const seen = engine.images.see(image);
    during.abort(reason);
    for (const each of unseen) assertEquals(await assertRejects(() => each), reason);
    assertLess(nmse(await seen, expected(image)), NMSE_MAX);
  }));

Deno.test("an image is cancelled in the middle, and the next one is seen", () =>
  withTower({ kind: "qwen2vl_merger" }, [{ threads: 2 }], async ({ engine, input, expected }) => {
    const reason = new Error("not wanted");
    const controller = new AbortController();
    const large = engine.images.see(input({ rows: 64, columns: 64 }), controller.signal);
    // Whether it has begun by then does not matter: it is far from its end.
    setTimeout(() => controller.abort(reason), 20);
    assertEquals(await assertRejects(() => large), reason);
    const image = input();
    assertLess(nmse(await engine.images.see(image), expected(image)), NMSE_MAX);
  }));

Deno.test("a tower reads no ids, and takes no images of another shape", () =>
  withTower({ kind: "gemma3" }, [{ threads: 1 }], async ({ engine, input }) => {
    const image = input();
    const { count, patches, kept } = image;
    const wrong: readonly (readonly [Partial<TowerInput>, string])[] = [
      [{ count: 37 }, "37 patches, from 1 to 36"],
      [{ count: 0 }, "0 patches"],
      [{ kept: kept - 2 }, "34 of its 36 rows"],
      [{ kept: count + 4 }, "40 of its 36 rows"],
      [{ kept: 0 }, "0 of its 36 rows"],
      [{ patches: patches.subarray(1) }, "1727 numbers of patches, not 1728"],
      [{ added: patches }, "1728 numbers to add, not 3456"],
      [{ positions: new Int32Array(count * 3) }, "positions, which none turn"],
    ];
    for (const [change, message] of wrong) {
      await assertRejects(() => engine.images.see({ ...image, ...change }), RequestError, message);
    }
    await assertRejects(() => engine.texts.embed([[1]], "mean"), RequestError, "Cannot read ids");
    await assertRejects(() => engine.texts.score([1, 2], 1), RequestError, "Cannot read ids");
    const request = { ids: [1], maxTokens: 1, sampling: {}, endIds: [] };
    await assertRejects(() => engine.generate(request).next(), RequestError, "Cannot read ids");
    assertEquals((await engine.images.see(image)).length, 9 * 64);
  }));

Deno.test("a tower whose norms take the mean of all heads away is refused", async () => {
  const [kind] = REFUSED;
  await assertRejects(
    () => withTower({ kind }, [{ threads: 1 }], () => Promise.resolve()),
    UnsupportedModelError,
    "take away their mean",
  );
});
