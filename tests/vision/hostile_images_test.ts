/** Images that are made to harm: looked at before they are decoded, and by the thousand. */
import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import fc from "fast-check";
import { deflateSync } from "node:zlib";
import { concatBytes } from "../../src/base/bytes.ts";
import { RequestError } from "../../src/base/errors.ts";
import { FILE_BYTES_MAX } from "../../src/vision/check_file_size.ts";
import { decodeImage } from "../../src/vision/decode.ts";
import { readHeader } from "../../src/vision/headers/mod.ts";
import { assertRefusal, corpus, damage, damages, fuzzRuns } from "../support/fuzz.ts";
import { pngChunk, writePng } from "../support/png_writer.ts";

const FILES = new Map(
  corpus("image").map(({ name, bytes }) => [name.replace(/\.bin$/, ""), bytes]),
);
const JPEG = FILES.get("baseline.jpg")!;

Deno.test("readHeader() refuses files and images that are larger than they may be", async () => {
  await assertRefused(new Uint8Array(FILE_BYTES_MAX + 1), "image_too_large", /20\.0 MiB/);
  const large: Uint8Array[] = [
    sized("alpha.png", (view) => view.setUint32(16, 2 ** 31 - 1)),
    sized("baseline.jpg", (view) => view.setUint32(frameOf(JPEG), 0xffffffff)),
    sized("lossy.webp", (view) => view.setUint32(26, 0x3fff3fff, true)),
    sized("film.gif", (view) => view.setUint32(6, 0xffffffff, true)),
  ];
  for (const file of large) await assertRefused(file, "image_too_large", /64 million/);
});

Deno.test("readHeader() refuses images whose one side is far longer than they are large", async () => {
  const thin: Uint8Array[] = [
    sized("alpha.png", (view) => {
      view.setUint32(16, 1);
      view.setUint32(20, 65_536);
    }),
    sized("alpha.png", (view) => {
      view.setUint32(16, 4_000_000);
      view.setUint32(20, 16);
    }),
  ];
  for (const file of thin) await assertRefused(file, "image_too_large", /a side may have 65535/);
  const longest = sized("alpha.png", (view) => {
    view.setUint32(16, 1);
    view.setUint32(20, 65_535);
  });
  assertEquals(readHeader(longest).height, 65_535);
});

Deno.test("readHeader() refuses images without pixels", async () => {
  const empty: Uint8Array[] = [
    sized("alpha.png", (view) => view.setUint32(20, 0)),
    sized("baseline.jpg", (view) => view.setUint16(frameOf(JPEG), 0)),
    sized("lossy.webp", (view) => view.setUint16(26, 0, true)),
    sized("film.gif", (view) => view.setUint16(6, 0, true)),
    sized("plain.bmp", (view) => view.setInt32(18, 0, true)),
    sized("plain.bmp", (view) => view.setInt32(18, -48, true)),
  ];
  for (const file of empty) await assertRefused(file, "invalid_image", /begins as a/);
});

Deno.test("readHeader() refuses a GIF whose picture is larger than it", async () => {
  // The picture's own size is behind the table of colours and what the film is like.
  const gif = FILES.get("film.gif")!.slice();
  const at = gif.indexOf(0x2c, 13);
  new DataView(gif.buffer).setUint16(at + 5, 0xffff, true);
  await assertRefused(gif, "invalid_image", /ends outside of it, which is 48 · 32/);
});

Deno.test("decodeImage() refuses a GIF whose codes end before its pixels do", async () => {
  const gif = FILES.get("noise.gif")!.slice();
  // Behind the picture's place and size and the bits of a code: the first piece, made the last.
  const piece = gif.indexOf(0x2c, 13 + 3 * 256) + 11;
  gif[piece + 1 + gif[piece]] = 0;
  await assertRefused(gif, "invalid_image", /ends after \d+ of 6300 pixels/);
});

Deno.test("readHeader() refuses a JPEG of two sizes", async () => {
  const frame = JPEG.subarray(frameOf(JPEG) - 5, frameOf(JPEG) + 14);
  const twice = concatBytes([JPEG.subarray(0, 2), frame, JPEG.subarray(2)]);
  await assertRefused(twice, "invalid_image", /two sizes/);
});

Deno.test("readHeader() refuses a JPEG that goes over its pixels again and again", async () => {
  const { file: bytes } = readHeader(FILES.get("progressive.jpg")!) as { file: Uint8Array };
  const scan = Uint8Array.of(0xff, 0xda, 0, 8, 1, 1, 0, 1, 63, 0x00);
  const file = new Uint8Array(bytes.length + 100 * scan.length);
  file.set(bytes);
  for (let i = 0; i < 100; i++) file.set(scan, bytes.length - 2 + i * scan.length);
  await assertRefused(file, "invalid_image", /more than 100 times/);
});

Deno.test("decodeImage() unpacks no more of a PNG than it says", async () => {
  // A thousand times as much as it is long.
  const pixel = writePng({ width: 1, height: 1, bits: 8, type: 0, sample: () => 0 });
  const unpackedBytes = 60e6;
  const bomb = concatBytes([
    pixel.subarray(0, 33),
    pngChunk("IDAT", deflateSync(new Uint8Array(unpackedBytes), { level: 1 })),
    pngChunk("IEND", new Uint8Array()),
  ]);
  const before = Deno.memoryUsage().rss;
  await assertRefused(bomb, "invalid_image", /unpacked/);
  assertLess(Deno.memoryUsage().rss - before, unpackedBytes / 2, "bytes");
});

Deno.test("an image with any damage is refused in a few words, or has the size it says", async () => {
  const files = [...FILES.values()];
  const before = Deno.memoryUsage().rss;
  await fc.assert(
    fc.asyncProperty(fc.nat(files.length - 1), damages(200), async (index, pieces) => {
      const bytes = damage(files[index], pieces, 200);
      const startMs = performance.now();
      try {
        const { width, height } = await decodeImage(bytes);
        const header = readHeader(bytes);
        assertEquals([width, height].sort(), [header.width, header.height].sort());
      } catch (error) {
        assertRefusal(error, [RequestError]);
      }
      assertLess(performance.now() - startMs, 2500, "ms");
    }),
    fuzzRuns(600),
  );
  assertLess(Deno.memoryUsage().rss - before, 1000e6, "bytes");
});

/** A file of the corpus that says another size. */
function sized(name: string, change: (view: DataView) => void): Uint8Array {
  const bytes = FILES.get(name)!.slice();
  change(new DataView(bytes.buffer));
  return bytes;
}

/** Where a baseline JPEG says its height, and its width behind it. */
function frameOf(bytes: Uint8Array): number {
  const at = bytes.findIndex((byte, i) => byte === 0xff && bytes[i + 1] === 0xc0);
  return at + 5;
}

async function assertRefused(bytes: Uint8Array, code: string, message: RegExp): Promise<void> {
  const error = await assertRejects(() => decodeImage(bytes), RequestError);
  assertEquals([error.status, error.code], [400, code], error.message);
  assert(message.test(error.message), error.message);
}
