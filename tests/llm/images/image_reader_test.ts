import { assertEquals, assertRejects } from "@std/assert";
import { RequestError } from "../../../src/base/errors.ts";
import {
  ImageReader,
  type ImageReaderParts,
  type LookingTower,
} from "../../../src/llm/images/image_reader.ts";
import type { ChatMessage } from "../../../src/llm/types.ts";
import type { TowerInput } from "../../../src/model/vision_types.ts";

const D = 4;

/** A file of n bytes is a tile of n rows between "<" and ">", each row its byte. */
function reader(options: Partial<ImageReaderParts> = {}) {
  const counts = { prepared: 0, seen: 0, closed: 0, seeing: 0, seeingMost: 0 };
  const gate = { opened: Promise.resolve() as Promise<unknown> };
  const parts: ImageReaderParts = {
    towers: [{
      reads: { positions: null, classTokens: null } as LookingTower["reads"],
      floats: () => new Float32Array(D),
      see: async ({ patches, kept }: TowerInput, signal?: AbortSignal) => {
        counts.seen++;
        counts.seeingMost = Math.max(counts.seeingMost, ++counts.seeing);
        await gate.opened;
        counts.seeing--;
        signal?.throwIfAborted();
        return Float32Array.from({ length: kept * D }, (_, i) => patches[Math.floor(i / D)]);
      },
      close: () => (counts.closed++, Promise.resolve()),
    }],
    preparer: {
      prepare: (file) => {
        counts.prepared++;
        const { length: count } = file;
        const tile: TowerInput = {
          ...{ count, kept: count, added: null, positions: null },
          patches: Float32Array.from(file),
        };
        const rows = { tile: 0, first: 0, count, grid: { rows: 1, columns: count } };
        return Promise.resolve({
          tiles: [tile],
          seesAll: true,
          layout: [{ text: "<" }, rows, { text: ">" }],
        });
      },
      close: () => Promise.resolve(void counts.closed++),
    },
    tokenizer: { encode: (text) => [text.charCodeAt(0)] },
    ...{ rowLength: D, hasGrids: true, contextLength: 100, waitingMax: 1 },
    ...options,
  };
  return { images: new ImageReader(parts), counts, gate };
}

const messages = (...files: number[][]): ChatMessage[] => [
  {
    role: "user",
    content: "",
    images: files.map((file) => ({ at: 0, file: Uint8Array.from(file) })),
  },
];

Deno.test("ImageReader makes ids below 0 of rows, and the same ones of the same image", async () => {
  const { images, counts } = reader();
  const { ids, given } = await images.lookAt(messages([1, 2], [5]));
  assertEquals(ids, [[60, -1, -2, 62], [60, -3, 62]]);
  assertEquals(given.map(({ firstId, values }) => [firstId, ...values]), [
    [-1, 1, 1, 1, 1, 2, 2, 2, 2],
    [-3, 5, 5, 5, 5],
  ]);
  assertEquals(given[0].seesAll, true);
  assertEquals(given[0].grid, { rows: 1, columns: 2 });
  const again = await images.lookAt(messages([5], [7], [5]));
  assertEquals(again.ids, [[60, -3, 62], [60, -4, 62], [60, -3, 62]]);
  assertEquals(again.given.map(({ firstId }) => firstId), [-3, -4]);
  assertEquals([counts.prepared, counts.seen], [3, 3]);
});

Deno.test("ImageReader looks at an image once, however many ask for it at a time", async () => {
  const { images, counts } = reader();
  const [a, b] = await Promise.all([images.lookAt(messages([1])), images.lookAt(messages([1]))]);
  assertEquals(a.ids, b.ids);
  assertEquals(counts.seen, 1);
});

Deno.test("ImageReader has sounds heard by the tower of sounds, with rows of its own file", async () => {
  const asked: string[] = [];
  const tower = (name: string, value: number, reads: Partial<LookingTower["reads"]>) => ({
    reads: reads as LookingTower["reads"],
    floats: () => new Float32Array(D).fill(value),
    see: ({ kept }: TowerInput) => {
      asked.push(name);
      return Promise.resolve(new Float32Array(kept * D).fill(value));
    },
    close: () => Promise.resolve(),
  });
  const tile = { count: 1, kept: 1, added: null, positions: null, patches: new Float32Array(1) };
  const rows = { first: 0, count: 1, grid: null };
  const { images } = reader({
    towers: [
      tower("eyes", 1, { positions: null, classTokens: null }),
      tower("ears", 2, { positions: null, melCount: 8 }),
    ],
    preparer: {
      prepare: () =>
        Promise.resolve({
          ...{ tiles: [tile], seesAll: false },
          layout: [{ ...rows, tensor: "around" }, { ...rows, tile: 0 }],
        }),
      close: () => Promise.resolve(),
    },
  });
  // The same bytes are an image once, and once a sound.
  const file = Uint8Array.of(1);
  const { ids, given } = await images.lookAt([{
    ...{ role: "user", content: "" },
    images: [{ at: 0, file }, { at: 0, file, kind: "sound" }],
  }]);
  assertEquals([ids, asked], [[[-1, -2], [-3, -4]], ["eyes", "ears"]]);
  assertEquals(given.map(({ values }) => values[0]), [1, 1, 2, 2]);
});

Deno.test("ImageReader gives a row that stands behind each line one id in each image", async () => {
  const tile = { count: 2, kept: 2, added: null, positions: null, patches: Float32Array.of(7, 8) };
  const line = { tensor: "line", first: 0, count: 1, grid: null, isRepeated: true } as const;
  const rows = { tile: 0, count: 1, grid: null };
  const layout = [
    ...[{ ...rows, first: 0 }, line, { ...rows, first: 1 }, line],
    ...[{ ...line, tensor: "end" }, { ...rows, first: 0 }],
  ];
  const { images } = reader({
    towers: [{
      reads: { positions: null, classTokens: null } as LookingTower["reads"],
      // Parts of a row are that, all of them.
      floats: (tensor) => Float32Array.of(tensor === "line" ? 1 : 3, 2),
      see: ({ kept, patches }) =>
        Promise.resolve(Float32Array.from({ length: kept * D }, (_, i) => patches[i / D | 0])),
      close: () => Promise.resolve(),
    }],
    preparer: {
      prepare: () => Promise.resolve({ tiles: [tile], seesAll: false, layout }),
      close: () => Promise.resolve(),
    },
  });
  const { ids, given } = await images.lookAt(messages([1]));
  assertEquals(ids, [[-1, -2, -3, -2, -4, -5]]);
  assertEquals(given.map(({ firstId, values }) => [firstId, ...values]), [
    ...[[-1, 7, 7, 7, 7], [-2, 1, 2, 1, 2], [-3, 8, 8, 8, 8]],
    ...[[-4, 3, 2, 3, 2], [-5, 7, 7, 7, 7]],
  ]);
  // Of another image it has another one: what is kept of them is forgotten one by one.
  assertEquals((await images.lookAt(messages([2]))).ids, [[-6, -7, -8, -7, -9, -10]]);
  assertEquals((await images.lookAt(messages([3]), { isCounted: true })).ids, [Array(6).fill(-1)]);
});

Deno.test("ImageReader counts without a tower", async () => {
  const { images, counts } = reader();
  const { ids, given } = await images.lookAt(messages([1, 2]), { isCounted: true });
  assertEquals([ids[0].length, given], [4, []]);
  assertEquals([counts.prepared, counts.seen], [1, 0]);
  // What was counted only is not taken for what was seen.
  assertEquals((await images.lookAt(messages([1, 2]))).ids, [[60, -1, -2, 62]]);
});

Deno.test("ImageReader refuses what does not fit before the costly part", async () => {
  const { images, counts } = reader({ contextLength: 6 });
  const error = await assertRejects(() => images.lookAt(messages([1, 2], [3, 4])), RequestError);
  assertEquals([error.status, error.code], [400, "context_length_exceeded"]);
  assertEquals(counts.seen, 1);
});

Deno.test("ImageReader refuses more of what it knows than there is room for", async () => {
  // A body of 8 MiB has room for 40,000 times the same image of a pixel.
  const { images, counts } = reader({ contextLength: 10 });
  await images.lookAt(messages([1, 2], [1, 2]));
  const known = messages(...Array(1000).fill([1, 2]));
  const error = await assertRejects(() => images.lookAt(known), RequestError);
  assertEquals([error.status, error.code], [400, "context_length_exceeded"]);
  assertEquals(counts.prepared, 1);
  // Who counts may count more, but not without end.
  const { ids } = await images.lookAt(known, { isCounted: true });
  assertEquals(ids.length, 1000);
  const large = Array(2000).fill(1);
  const endless = messages(...Array(600).fill(large));
  await assertRejects(() => images.lookAt(endless, { isCounted: true }), RequestError, "room for");
});

Deno.test("ImageReader looks at one at a time, and refuses who would wait too long", async () => {
  const { images, counts, gate } = reader();
  const { promise, resolve } = Promise.withResolvers();
  gate.opened = promise;
  // Files are hashed on other threads: who of them comes first is not said.
  const looks = [1, 2, 3].map((file) => images.lookAt(messages([file])));
  const refused = await assertRejects(() => Promise.race(looks), RequestError);
  assertEquals([refused.status, refused.code], [503, "queue_full"]);
  resolve(null);
  const ends = await Promise.allSettled(looks);
  assertEquals(ends.map(({ status }) => status).sort(), ["fulfilled", "fulfilled", "rejected"]);
  assertEquals([counts.seen, counts.seeingMost], [2, 1]);
  const signal = AbortSignal.abort(new Error("gone"));
  await assertRejects(() => images.lookAt(messages([4]), { signal }), Error, "gone");
});

Deno.test("ImageReader forgets what was used longest ago, and closes both", async () => {
  const { images, counts } = reader({ keptBytesMax: 3 * D * 4 });
  await images.lookAt(messages([1], [2], [3]));
  await images.lookAt(messages([1], [4]));
  assertEquals(counts.seen, 4);
  await images.lookAt(messages([1], [3], [4]));
  assertEquals(counts.seen, 4);
  assertEquals((await images.lookAt(messages([2]))).ids, [[60, -5, 62]]);
  await images.close();
  assertEquals(counts.closed, 2);
});
