/** What a tower's intermediates share: rows are the same bit for bit whatever lies where. */
import "../support/thread_pool.ts";
import { assert, assertEquals } from "@std/assert";
import { ImageReader } from "../../src/engine/image_reader.ts";
import { openGguf, TensorReader } from "../../src/gguf/mod.ts";
import { dequantize, readHearing, readVision } from "../../src/model/mod.ts";
import type { RankRunner } from "../../src/rank/open_rank.ts";
import { wholeAttentionPlaces } from "../../src/rank/plan/plan_conformer.ts";
import { openRunner, type Poisoning } from "../support/poisoned_rank.ts";
import {
  tinyHeard,
  tinyHearing,
  type TinyHearingOptions,
  tinyPositions,
} from "../support/tiny_hearing.ts";
import { towerInput } from "../../src/vision/tower_input.ts";
import { tinyDeepseekOcr } from "../support/tiny_deepseekocr.ts";
import { tinyGemma3n } from "../support/tiny_gemma3n.ts";
import { tinyTowerInput } from "../support/tiny_image.ts";
import { TINY_TOWER, tinyVision, type TinyVisionOptions } from "../support/tiny_vision.ts";
import { tablesOfBoth } from "../support/two_towers.ts";
import { seededImage } from "../vision/seeded_image.ts";

const FORMS: readonly (TinyVisionOptions & { readonly rankCount: number })[] = [
  { kind: "gemma3", type: "Q8_0", rankCount: 1 },
  { kind: "mlp", type: "F16", rankCount: 2 },
  { kind: "pixtral-merging", type: "F16", rankCount: 1 },
  { kind: "qwen3vl_merger", type: "Q8_0", rankCount: 2 },
  { kind: "idefics3", type: "F32", rankCount: 2 },
  { kind: "resampler", type: "Q8_0", rankCount: 2 },
  { kind: "mimovl", type: "Q8_0", rankCount: 2 },
];

/** A tower makes the same where what a step keeps shares bytes, NaN where nobody reads it. */
function testAlike(
  does: string,
  bytes: Uint8Array<ArrayBuffer>,
  run: typeof see,
  rankCount: number,
): void {
  Deno.test(`${does} alike where dead intermediates are NaN`, async () => {
    const path = await Deno.makeTempFile({ suffix: ".gguf" });
    try {
      await Deno.writeFile(path, bytes);
      const made = [{ poisons: false }, { poisons: true, inflation: 4 }].map((how) =>
        run(path, bytes, { rankCount, sharesWorkspace: how.poisons }, how)
      );
      const [apart, shared] = await Promise.all(made);
      assert(apart.every(Number.isFinite));
      assertEquals(shared, apart);
    } finally {
      await Deno.remove(path);
    }
  });
}

for (const { rankCount, ...made } of FORMS) {
  const { kind, type } = made;
  testAlike(`${kind} in ${type} on ${rankCount} sees`, tinyVision(made), see, rankCount);
}

Deno.test("deepseekocr in Q8_0 on 2 sees alike where dead intermediates are NaN", async () => {
  const path = await Deno.makeTempFile({ suffix: ".gguf" });
  try {
    const bytes = tinyDeepseekOcr({ type: "Q8_0" });
    await Deno.writeFile(path, bytes);
    const seen = [{ poisons: false }, { poisons: true, inflation: 4 }].map((how) =>
      seeInGrids(path, bytes, how)
    );
    const [apart, shared] = await Promise.all(seen);
    assert(apart.every(Number.isFinite));
    assertEquals(shared, apart);
  } finally {
    await Deno.remove(path);
  }
});

for (const type of ["F32", "Q8_0"] as const) {
  const bytes = tinyDeepseekOcr({ version: 2, type });
  testAlike(`the second tower of deepseekocr2 in ${type} on 2 sees`, bytes, seeAsked, 2);
}

for (const rankCount of [1, 3]) {
  testAlike(`gemma3nv on ${rankCount} sees`, tinyGemma3n({ width: 72 }), seeAll, rankCount);
}
for (const type of ["F32", "Q8_0"] as const) {
  for (const kind of ["step3vl", "granite4_vision", "ldpv2"] as const) {
    testAlike(`${kind} in ${type} on 2 sees`, tinyVision({ kind, type }), seeAll, 2);
  }
}

/** Two images, one after the other. */
async function seeAll(
  path: string,
  bytes: Uint8Array<ArrayBuffer>,
  options: { readonly rankCount: number; readonly sharesWorkspace: boolean },
  how: Poisoning,
): Promise<number[]> {
  const file = openGguf(path);
  const { description: model, images } = readVision(file);
  const { countMax: most } = model.config.patches!;
  const room = { contextLength: most, chunkTokens: most, sequences: 1, isSparse: false };
  const { runner } = await openRunner({ file, model }, { ...room, ...options }, how);
  try {
    const reader = new ImageReader(runner);
    const learned = images.positions && file.tensors.get(images.positions.tensor)!;
    const positions = learned &&
      dequantize(learned.type, TensorReader.ofBytes(bytes).readAll(learned));
    const tables = { positions, classTokens: null, patchBias: null };
    const { imageSize, tileSize = imageSize } = images;
    return [imageSize, tileSize].flatMap((side, turn) => {
      const tile = seededImage(side, side);
      tile.bytes.forEach((value, i) => tile.bytes[i] = (1 + turn) * value);
      return [...reader.see(towerInput(tile, images, tables))!];
    });
  } finally {
    runner.control.publishExit();
  }
}

/** Queries of a whole image and of a tile, by the second of two towers. */
async function seeAsked(
  path: string,
  _bytes: Uint8Array<ArrayBuffer>,
  options: { readonly rankCount: number; readonly sharesWorkspace: boolean },
  how: Poisoning,
): Promise<number[]> {
  const file = openGguf(path);
  const model = readVision(file).second!;
  const { countMax: most, length } = model.config.patches!;
  const room = { contextLength: most, chunkTokens: most, sequences: 1, isSparse: false };
  const { runner } = await openRunner({ file, model }, { ...room, ...options }, how);
  try {
    const reader = new ImageReader(runner);
    return [16, 9].flatMap((kept) => {
      const count = 2 * kept;
      const patches = Float32Array.from(
        { length: count * length },
        (_, i) => i * 37 % 101 / 50 - 1,
      );
      const input = { count, kept, patches, added: patches, positions: null };
      return [...reader.see(input)!];
    });
  } finally {
    runner.control.publishExit();
  }
}

/** A whole image and a tile, by the first of two towers. */
async function seeInGrids(path: string, bytes: Uint8Array<ArrayBuffer>, how: Poisoning) {
  const file = openGguf(path);
  const { description: model, images } = readVision(file);
  const { countMax: most } = model.config.patches!;
  const room = { contextLength: most, chunkTokens: most, sequences: 1, isSparse: false };
  const options = { ...room, rankCount: 2, sharesWorkspace: how.poisons };
  const { runner } = await openRunner({ file, model }, options, how);
  try {
    const reader = new ImageReader(runner);
    const tables = tablesOfBoth(bytes, images);
    return [images.imageSize, images.tileSize!].flatMap((side) => {
      const tile = seededImage(side, side);
      return [...reader.see(towerInput(tile, images, tables))!];
    });
  } finally {
    runner.control.publishExit();
  }
}

/** Two images, one after the other. */
async function see(
  path: string,
  bytes: Uint8Array<ArrayBuffer>,
  options: { readonly rankCount: number; readonly sharesWorkspace: boolean },
  how: Poisoning,
): Promise<number[]> {
  const file = openGguf(path);
  const { description: model, images } = readVision(file);
  const { config } = model;
  const { side } = TINY_TOWER;
  const most = side * side + 1;
  const room = { contextLength: most, chunkTokens: most, sequences: 1, isSparse: false };
  const { runner } = await openRunner({ file, model }, { ...room, ...options }, how);
  try {
    const reader = new ImageReader(runner);
    return [side, side - 2].flatMap((rows) => {
      const grid = { rows, columns: side };
      return [...reader.see(tinyTowerInput({ images, config, grid }, { file, bytes }))!];
    });
  } finally {
    runner.control.publishExit();
  }
}

const HEARING: readonly (TinyHearingOptions & { readonly rankCount: number })[] = [
  { kind: "gemma4a", type: "Q8_0", lengths: { channels: 64 }, rankCount: 2 },
  { kind: "gemma4a", type: "F32", lengths: { width: 72 }, rankCount: 2 },
  { kind: "granite_speech", type: "Q8_0", lengths: { melCount: 16 }, rankCount: 2 },
  { kind: "granite_speech", type: "F32", lengths: { width: 72, heads: 6 }, rankCount: 4 },
  { kind: "lfm2a", type: "Q8_0", lengths: { channels: 64, heads: 3 }, rankCount: 2 },
  { kind: "parakeet", type: "F32", lengths: { width: 72 }, rankCount: 2 },
  { kind: "lfm2a", type: "F32", lengths: { width: 72 }, rankCount: 3 },
];

for (const { rankCount, ...made } of HEARING) {
  const { kind, type } = made;
  testAlike(`${kind} in ${type} on ${rankCount} hears`, tinyHearing(made), hear, rankCount);
}

/** Two sounds, one after the other. */
async function hear(
  path: string,
  bytes: Uint8Array<ArrayBuffer>,
  options: { readonly rankCount: number; readonly sharesWorkspace: boolean },
  how: Poisoning,
): Promise<number[]> {
  const file = openGguf(path);
  const { description: model, sounds } = readHearing(file);
  const room = { contextLength: 72, chunkTokens: 72, sequences: 1, isSparse: false };
  const { runner } = await openRunner({ file, model }, { ...room, ...options }, how);
  try {
    if (model.config.relative?.rowsSeen === null) assertApart(runner);
    const reader = new ImageReader(runner);
    const table = tinyPositions(bytes, sounds);
    return [142, 38].flatMap((frames) => [...reader.see(tinyHeard(frames, sounds, table))!]);
  } finally {
    runner.control.publishExit();
  }
}

/** What heads are mixed in has its bytes to itself, beside what they mix. */
function assertApart({ plan, setup: { config: { headDim, relative: config } } }: RankRunner): void {
  const { workspaces, chunkTokens: rows, strides: { embedding, attention } } = plan;
  const own = Math.max(...plan.layers.map(({ heads: { start, end } }) => end - start));
  const width = own * headDim;
  const { end } = wholeAttentionPlaces({ rows, headDim, width, embedding, config: config! });
  for (const { relative, query, key, value, attention: mixed } of workspaces) {
    const others = [query, key, value].map((at) => [at, rows * width]);
    for (const [at, floats] of [...others, [mixed, rows * attention]]) {
      assert(at + 4 * floats <= relative || relative + 4 * end <= at, `${at}, ${relative}`);
    }
  }
}
