/**
 * Images of four fields, red and green above blue and yellow, in every format: tests/corpus/image,
 * which Pillow wrote.
 */
import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { decodeImage } from "../../src/vision/decode.ts";
import type { Raster } from "../../src/vision/mod.ts";
import { corpus } from "../support/fuzz.ts";
import { pngChunk, type PngOptions, writePng } from "../support/png_writer.ts";
import { levelsOf, pixelOf } from "../support/rasters.ts";
import { Rng } from "../support/rng.ts";

const FIELDS = [[200, 30, 40], [20, 180, 60], [30, 50, 210], [240, 230, 20]];
const WHITE = [255, 255, 255];
const FILES = new Map(
  corpus("image").map(({ name, bytes }) => [name.replace(/\.bin$/, ""), bytes]),
);

Deno.test("decodeImage() reads what other programs write, of a film the first picture", async () => {
  const exact = [
    "film.webp",
    "interlaced.gif",
    "film.gif",
    "plain.bmp",
    "palette.bmp",
    "palette.png",
  ];
  for (const name of exact) assertEquals(fieldsOf(await decode(name)), FIELDS, name);
  for (const name of ["baseline.jpg", "progressive.jpg", "lossy.webp"]) {
    const image = await decode(name);
    assertEquals([image.width, image.height], [48, 32], name);
    assertNear(fieldsOf(image), FIELDS, 3, name);
  }
  const grey = FIELDS.map(([r, g, b]) => Array(3).fill(0.299 * r + 0.587 * g + 0.114 * b));
  assertNear(fieldsOf(await decode("grey.jpg")), grey, 3, "grey.jpg");
});

Deno.test("decodeImage() puts the rows of an interlaced GIF in their places", async () => {
  const wanted = levelsOf(await decode("palette.png"));
  assertEquals(levelsOf(await decode("interlaced.gif")), wanted);
});

Deno.test("decodeImage() reads BMPs from the top down, and JPEGs without a mark at their end", async () => {
  const upright = await decode("plain.bmp");
  const bmp = FILES.get("plain.bmp")!.slice();
  new DataView(bmp.buffer).setInt32(22, -32, true);
  const turned = await decodeImage(bmp);
  assertEquals(pixelOf(turned, 5, 3), pixelOf(upright, 5, 28));
  assertEquals([turned.width, turned.height], [48, 32]);
  const jpeg = FILES.get("baseline.jpg")!;
  assertEquals(await decodeImage(jpeg.slice(0, -2)), await decodeImage(jpeg));
});

Deno.test("decodeImage() turns a photo as the camera says", async () => {
  const image = await decode("turned.jpg");
  assertEquals([image.width, image.height], [32, 48]);
  // A quarter to the right: what was below on the left is above on the left.
  assertNear(fieldsOf(image), [FIELDS[2], FIELDS[0], FIELDS[3], FIELDS[1]], 3, "turned.jpg");
});

Deno.test("decodeImage() lays on white what is seen through", async () => {
  const yellow = FIELDS[3].map((level) => Math.round(0.4 * level + 0.6 * 255));
  for (const name of ["alpha.webp", "alpha.png"]) {
    assertEquals(fieldsOf(await decode(name)), [WHITE, FIELDS[1], FIELDS[2], yellow], name);
  }
});

Deno.test("decodeImage() reads GIFs whose table of codes is full, which starts anew", async () => {
  const levels = levelsOf(await decode("noise.gif")).filter((_, i) => i % 3 === 0);
  assertEquals(levels.reduce((sum, level) => sum + level, 0), 806253);
  assertEquals(levels.slice(-5), [67, 227, 135, 185, 223]);
});

Deno.test("decodeImage() reads PNGs of all types, filters and depths, interlaced ones, too", async () => {
  const kinds = [[0, 1], [0, 2], [0, 4], [0, 8], [0, 16], [2, 8], [2, 16], [4, 8], [4, 16], [6, 8]]
    .concat([[6, 16]]);
  for (const [type, bits] of kinds) {
    for (const isInterlaced of [false, true]) {
      const of = { width: 21, height: 13, type, bits, isInterlaced, sample: noise(bits) };
      const hint = `type ${type}, ${bits} bits${isInterlaced ? ", interlaced" : ""}`;
      assertEquals(levelsOf(await decodeImage(writePng(of))), expected(of), hint);
    }
  }
});

Deno.test("decodeImage() looks PNGs' palettes up, and what of them is seen through", async () => {
  const palette = Uint8Array.of(1, 2, 3, 40, 50, 60, 70, 80, 90);
  const extra = [["PLTE", palette], ["tRNS", Uint8Array.of(255, 0)]] as const;
  for (const isInterlaced of [false, true]) {
    for (const bits of [2, 8]) {
      const image = await decodeImage(
        writePng({ width: 3, height: 1, bits, type: 3, isInterlaced, extra, sample: (x) => x }),
      );
      assertEquals(levelsOf(image), [1, 2, 3, ...WHITE, 70, 80, 90]);
    }
  }
});

Deno.test("decodeImage() makes a PNG's one colour white that is seen through", async () => {
  const sample = (x: number, _y: number, channel: number) => 10 * x + channel;
  const of = { width: 3, height: 1, sample };
  const rgb = [["tRNS", Uint8Array.of(0, 10, 0, 11, 0, 12)]] as const;
  const image = await decodeImage(writePng({ ...of, bits: 8, type: 2, extra: rgb }));
  assertEquals(levelsOf(image), [0, 1, 2, ...WHITE, 20, 21, 22]);
  const grey = [["tRNS", Uint8Array.of(0, 2)]] as const;
  const small = await decodeImage(
    writePng({ ...of, bits: 2, type: 0, extra: grey, sample: (x) => x + 1 }),
  );
  assertEquals(levelsOf(small), [85, 85, 85, ...WHITE, ...WHITE]);
});

Deno.test("decodeImage() leaves alone what of a PNG is no pixel, however large it would be", async () => {
  const of = { width: 2, height: 2, bits: 8, type: 0, sample: () => 7 };
  const png = writePng({ ...of, extra: [["iCCP", new Uint8Array(3000).fill(65)]] });
  assertEquals(levelsOf(await decodeImage(png)), Array(12).fill(7));
});

Deno.test("decodeImage() refuses more or fewer pixels than a PNG's header says", async () => {
  const of = { width: 9, height: 9, bits: 8, type: 2, sample: noise(8) };
  for (const [width, height] of [[1, 1], [9, 8], [9, 10], [8000, 8000]]) {
    const png = writePng(of);
    const header = png.slice(16, 29);
    new DataView(header.buffer).setUint32(0, width);
    new DataView(header.buffer).setUint32(4, height);
    png.set(pngChunk("IHDR", header), 8);
    await assertRefused(png, "invalid_image", /pixels/);
  }
});

Deno.test("decodeImage() refuses files that are cut off, wherever", async () => {
  for (const [name, bytes] of FILES) {
    if (name === "cmyk.jpg") continue;
    // A GIF is over when its first picture is, and so is a film; JPEGs need no mark at their end.
    const end = /film/.test(name) ? bytes.length / 3 : bytes.length - 8;
    for (let share = 0; share < 1; share += 0.1) {
      await assertRefused(bytes.slice(0, end * share), "invalid_image", /^Cannot read the image: /);
    }
  }
});

Deno.test("decodeImage() refuses what it does not read, and says what it does", async () => {
  for (const text of ["<svg/>", "II*\0", "\0\0\0\x1cftypavif", "\xff\xd8"]) {
    const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    await assertRefused(bytes, "invalid_image", /send a PNG, JPEG, WebP, GIF or BMP$/);
  }
  await assertRefused(new Uint8Array(), "invalid_image", /empty/);
  await assertRefused(FILES.get("cmyk.jpg")!, "invalid_image", /four colours \(CMYK\)/);
});

async function decode(name: string): Promise<Raster> {
  return await decodeImage(FILES.get(name)!);
}

/** Colours of the middles of four fields. */
function fieldsOf(image: Raster): number[][] {
  return [[1, 1], [3, 1], [1, 3], [3, 3]].map(([x, y]) =>
    pixelOf(image, x * image.width / 4, y * image.height / 4)
  );
}

function assertNear(actual: number[][], wanted: number[][], levels: number, hint: string): void {
  actual.flat().forEach((level, i) =>
    assertLess(Math.abs(level - wanted.flat()[i]), levels + 1, `${hint}: ${actual}, not ${wanted}`)
  );
}

/** Any samples; in lower rows small ones, of which a filter's choices are often equally near. */
function noise(bits: number): PngOptions["sample"] {
  return (x, y, channel) =>
    new Rng(1 + x + 100 * y + 10_000 * channel).int(y < 7 ? 2 ** bits : 2 ** Math.min(bits, 3));
}

/** What a PNG without a palette shows, on white. */
function expected({ width, height, bits, type, sample }: PngOptions): number[] {
  const level = (x: number, y: number, channel: number) =>
    bits === 16
      ? sample(x, y, channel) >> 8
      : Math.round(255 * sample(x, y, channel) / (2 ** bits - 1));
  return Array.from({ length: width * height * 3 }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    const colour = level(x, y, type === 2 || type === 6 ? i % 3 : 0);
    if (type < 4) return colour;
    const alpha = level(x, y, type === 6 ? 3 : 1);
    return Math.round((colour * alpha + 255 * (255 - alpha)) / 255);
  });
}

async function assertRefused(bytes: Uint8Array, code: string, message: RegExp): Promise<void> {
  const error = await assertRejects(() => decodeImage(bytes), RequestError);
  assertEquals([error.status, error.code, error.param], [400, code, "messages"]);
  assert(message.test(error.message), error.message);
}
