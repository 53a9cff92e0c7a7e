/** Towers that hear on one thread and on several against the reference. */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { TensorReader, u32 } from "../../src/gguf/mod.ts";
import { type LoadedTower, loadTower, type TowerOptions } from "../../src/llm/images/load_tower.ts";
import type { SoundConfig, TowerInput } from "../../src/model/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { nmse } from "../support/compare.ts";
import { deepOnly } from "../support/deep.ts";
import { KnownRows } from "../support/known_rows.ts";
import {
  isOfConformer,
  TINY_HEARING_NAMES,
  tinyHeard,
  tinyHearing,
  type TinyHearingOptions,
  tinyPositions,
} from "../support/tiny_hearing.ts";

/** F32 weights. */
const NMSE_MAX = 1e-11;

const known = new KnownRows();

interface TestTower extends LoadedTower {
  readonly input: (frames: number) => TowerInput;
  /** What the reference hears. */
  readonly expected: (input: TowerInput) => Float64Array;
}

async function withTower(
  made: TinyHearingOptions,
  options: TowerOptions,
  use: (tower: TestTower) => Promise<void>,
): Promise<void> {
  const path = await Deno.makeTempFile({ prefix: "ganglion-ears-", suffix: ".gguf" });
  try {
    const bytes = tinyHearing(made);
    await Deno.writeFile(path, bytes);
    const tower = await loadTower(path, options);
    const { file, description, reads } = tower;
    const sounds = reads as SoundConfig;
    const reader = TensorReader.ofBytes(bytes);
    const table = tinyPositions(bytes, sounds);
    try {
      await use({
        ...tower,
        input: (frames) => tinyHeard(frames, sounds, table),
        expected: (input) =>
          known.of(made, input, () => new ReferenceModel(file, { description, reader }).see(input)),
      });
    } finally {
      await tower.engine.close();
    }
  } finally {
    await Deno.remove(path);
  }
}

/** More rows than the convolutions make at a time, by one piece and a part of one. */
const LONG = { positions: 72 };

for (const kind of TINY_HEARING_NAMES) {
  // All positions, the shortest sound, and what is no multiple of anything.
  Deno.test(`the engine hears by ${kind} as the reference does, whatever came before`, async () => {
    const isPooled = kind.startsWith("qwen2") || kind === "musicflamingo";
    const isConformer = isOfConformer(kind);
    const shortest = kind === "granite_speech"
      ? 2
      : isConformer
      ? 1
      : kind === "ultravox"
      ? 2
      : isPooled
      ? 4
      : 8;
    const uneven = isConformer ? 38 : kind === "ultravox" ? 38 : 40;
    const longest = isConformer ? 142 : 144;
    for (const [threads, lengths] of [[1, [uneven, shortest]], [3, [longest, uneven]]] as const) {
      await withTower({ kind, lengths: LONG }, { threads }, async ({ engine, input, expected }) => {
        for (const frames of lengths) {
          const sound = input(frames);
          const rows = await engine.images.see(sound);
          assertLess(nmse(rows, expected(sound)), NMSE_MAX, `${threads} threads, ${frames}`);
        }
      });
    }
  });
}

Deno.test("the engine hears by lfm2a more rows than ask at a time, and than a thread has heads", async () => {
  const made = { kind: "lfm2a", lengths: { width: 72, heads: 2, neurons: 40 } } as const;
  for (const threads of [1, 3]) {
    await withTower(made, { threads }, async ({ engine, input, expected }) => {
      for (const frames of threads === 1 ? [5994, 12] : [1042]) {
        const sound = input(frames);
        assertLess(nmse(await engine.images.see(sound), expected(sound)), NMSE_MAX, `${frames}`);
      }
    });
  }
});

Deno.test("the engine hears by granite_speech blocks of more rows than ask at a time", async () => {
  // Queries of more than a window's rows, and a head for each thread but one.
  const numbers = { "chunk_size": 70, "max_pos_emb": 70, "projector.window_size": 7 };
  const metadata = Object.entries({ ...numbers, "projector.downsample_rate": 3 })
    .map(([key, value]) => [`clip.audio.${key}`, u32(value)] as const);
  const made = { kind: "granite_speech", metadata, granite: { distances: 70 } } as const;
  for (const [threads, frames] of [[1, 330], [4, 142]] as const) {
    await withTower(made, { threads }, async ({ engine, input, expected }) => {
      const sound = input(frames);
      assertLess(nmse(await engine.images.see(sound), expected(sound)), NMSE_MAX);
    });
  }
});

Deno.test("the engine hears by granite_speech windows that lack rows, where keys have no biases", async () => {
  const without = ["cross_attn_k.bias", "cross_attn_v.bias"];
  await withTower({ kind: "granite_speech", without }, { threads: 2 }, async (tower) => {
    assert(!tower.file.tensors.keys().some((name) => name.endsWith("cross_attn_k.bias")));
    // What the longer sound left there is not heard in the shorter one.
    for (const frames of [142, 38]) {
      const sound = tower.input(frames);
      const rows = await tower.engine.images.see(sound);
      assertLess(nmse(rows, tower.expected(sound)), NMSE_MAX, `${frames}`);
    }
  });
});

Deno.test("the engine hears by granite_speech queries whose heads are no whole blocks", async () => {
  // Two heads of 48 numbers, in blocks of 32.
  const metadata = [["clip.audio.projector.head_count", u32(2)]] as const;
  const lengths = { ...LONG, melCount: 16, channels: 32 };
  const made = { kind: "granite_speech", type: "Q8_0", lengths, metadata } as const;
  await withTower(made, { threads: 2 }, async ({ engine, input, expected }) => {
    const sound = input(38);
    assertLess(nmse(await engine.images.see(sound), expected(sound)), 1e-3);
  });
});

Deno.test("the engine hears by gemma4a whose matrices read far more than layers do", async () => {
  const lengths = { channels: 96, melCount: 40, hidden: 600, width: 72 };
  await withTower({ kind: "gemma4a", lengths }, { threads: 2 }, async (tower) => {
    const sound = tower.input(50);
    assertLess(nmse(await tower.engine.images.see(sound), tower.expected(sound)), NMSE_MAX);
  });
});

/** Each of one type; `test:deep` has all of both. */
const BY_TYPE = {
  "F16": ["ultravox", "lfm2a", ...deepOnly("qwen3a", "gemma4a", "granite_speech")],
  "Q8_0": ["qwen3a", "gemma4a", "granite_speech", ...deepOnly("ultravox", "lfm2a")],
} as const;

for (const [type, most] of [["F16", 1e-6], ["Q8_0", 1e-3]] as const) {
  Deno.test(`the engine hears by weights of ${type} nearly as the reference does`, async () => {
    for (const kind of BY_TYPE[type]) {
      // Rows that blocks of a type divide.
      const bands = kind === "granite_speech" ? { melCount: 16 } : {};
      const lengths = { ...LONG, ...bands, channels: kind === "gemma4a" ? 64 : 32 };
      await withTower(
        { kind, type, lengths },
        { threads: 2 },
        async ({ engine, input, expected }) => {
          const sound = input(144);
          assertLess(nmse(await engine.images.see(sound), expected(sound)), most, kind);
        },
      );
    }
  });
}

Deno.test("a tower takes no sounds of another shape", () =>
  withTower({ kind: "voxtral" }, { threads: 1 }, async ({ engine, input }) => {
    const sound = input(16);
    const wrong: readonly (readonly [Partial<TowerInput>, string])[] = [
      [{ count: 49 }, "49 patches, from 1 to 48"],
      [{ kept: 6 }, "6 of its 8 rows"],
      [{ patches: sound.patches.subarray(1) }, "383 numbers of patches, not 384"],
      [{ positions: new Int32Array(24) }, "positions, which none turn"],
    ];
    for (const [change, message] of wrong) {
      await assertRejects(() => engine.images.see({ ...sound, ...change }), RequestError, message);
    }
    assertEquals((await engine.images.see(sound)).length, 2 * 64);
  }));

Deno.test("a conformer takes a last row of fewer frames, and none of a part of one", () =>
  withTower({ kind: "gemma4a" }, { threads: 1 }, async ({ engine, input }) => {
    const sound = input(7);
    assertEquals((await engine.images.see(sound)).length, 2 * 64);
    for (const frames of [4, 9]) {
      const change = { patches: input(frames).patches };
      await assertRejects(() => engine.images.see({ ...sound, ...change }), RequestError, "not 80");
    }
    const change = { patches: sound.patches.subarray(1) };
    await assertRejects(() => engine.images.see({ ...sound, ...change }), RequestError, "not 80");
  }));
