/** Opus in WebM to samples: what the same packets in Ogg give. */
import { assertEquals, assertLess, assertRejects, assertThrows } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { decodeSound } from "../../src/hearing/decode.ts";
import { oggPackets } from "../../src/hearing/decoders/ogg.ts";
import { frames } from "../../src/hearing/decoders/webm_frames.ts";
import { soundFile } from "../support/sound_files.ts";
import { element, writeWebm } from "../support/webm_files.ts";

const OGG = soundFile("tone.opus");
const { packets: [HEAD, , ...PACKETS], end: END } = oggPackets(OGG, Error);
const OF = { head: HEAD, packets: PACKETS };
/** Without the end that only Ogg's pages tell. */
const WHOLE = (await decodeSound(withoutEnd())).values;

/** The Ogg file whose last page says that the sound goes on for long. */
function withoutEnd(): Uint8Array {
  const file = OGG.slice();
  const last = file.findLastIndex((_, at) =>
    String.fromCharCode(...file.subarray(at, at + 4)) === "OggS"
  );
  file[last + 6 + 3] = 1;
  return file;
}

Deno.test("decodeSound() reads a WebM that ffmpeg has written as the Ogg it was made of", async () => {
  const [ogg, webm] = await Promise.all(
    [OGG, soundFile("tone.webm")].map((file) => decodeSound(file)),
  );
  assertEquals(webm, ogg);
});

Deno.test("decodeSound() reads WebM however its packets lie in it", async () => {
  const even = { head: HEAD, packets: Array<Uint8Array>(8).fill(PACKETS[1]) };
  const { values: repeated } = await decodeSound(writeWebm(even));
  for (
    const [form, expected] of [
      [OF, WHOLE],
      [{ ...OF, isLive: true }, WHOLE],
      [{ ...OF, lacing: "xiph" }, WHOLE],
      [{ ...OF, lacing: "ebml" }, WHOLE],
      [{ ...even, lacing: "fixed" }, repeated],
      [{ ...OF, track: 200, hasOthers: true, isLive: true }, WHOLE],
      // Samples of 48 kHz: so many are no sound.
      [{ ...OF, paddingNs: 480 / 48_000 * 1e9 }, WHOLE.subarray(0, -480)],
    ] as const
  ) {
    const { rate, values } = await decodeSound(writeWebm(form));
    assertEquals([rate, values.length], [48_000, expected.length], JSON.stringify(form).slice(-80));
    assertEquals(values, expected);
  }
  const more = Uint8Array.of(0x81, 0, 0, 0, ...PACKETS[1]);
  const behind = Uint8Array.of(...writeWebm({ ...OF, paddingNs: 1e7 }), ...element(0xa3, more));
  const { values } = await decodeSound(behind);
  const longer = await decodeSound(writeWebm({ ...OF, packets: [...PACKETS, PACKETS[1]] }));
  assertEquals(values, longer.values, "what is no sound is at the end, or nowhere");
  assertLess(END, WHOLE.length + 312, "the Ogg file ends before its packets do");
});

/** A block of track 1 with this lacing: what is told of sizes, then bytes that count. */
function blockOf(lacing: number, told: readonly number[], length: number): Uint8Array {
  return Uint8Array.of(0x81, 0, 0, lacing << 1, ...told, ...Array(length).keys());
}

Deno.test("frames() takes blocks apart, also those of long frames, and none that cannot be", () => {
  const lengths = (lacing: number, told: readonly number[], length: number) =>
    frames(blockOf(lacing, told, length), 1, Error).map((frame) => frame.length);
  assertEquals(lengths(0, [], 7), [7]);
  assertEquals(lengths(1, [3, 255, 45, 255, 0, 9], 600), [300, 255, 9, 36]);
  assertEquals(lengths(2, [2], 30), [10, 10, 10]);
  // 300, 280, 290, and what is left.
  assertEquals(lengths(3, [3, 0x41, 0x2c, 0x5f, 0xeb, 0x60, 0x09], 900), [300, 280, 290, 30]);
  const [, second] = frames(blockOf(2, [1], 8), 1, Error);
  assertEquals([...second], [4, 5, 6, 7]);
  for (
    const [lacing, told, length] of [
      [1, [1, 200], 199],
      [1, [3, 255], 0],
      [2, [2], 31],
      // A frame of 4, and one of 6 less.
      [3, [2, 0x84, 0xb9], 40],
      [3, [2, 0x84], 0],
    ] as const
  ) {
    assertThrows(() => frames(blockOf(lacing, told, length), 1, Error), Error, "longer than it is");
  }
});

Deno.test("decodeSound() refuses WebM that is damaged, packed or of other codings", async () => {
  const file = writeWebm(OF);
  const laced = writeWebm({ ...OF, lacing: "xiph" });
  // The first block's: how many frames it has, and how long the first one is.
  const lace = laced.findIndex((byte, at) => byte === 2 && laced[at - 3] === 0x81) + 1;
  const change = (of: Uint8Array, at: number, ...bytes: number[]) => {
    const changed = of.slice();
    changed.set(bytes, at);
    return changed;
  };
  const refused: readonly (readonly [Uint8Array, string])[] = [
    [file.subarray(0, file.length - 1), "ends within an element"],
    [Uint8Array.of(...file, 0), `there is no element at byte ${file.length}`],
    [Uint8Array.of(...file, ...new Uint8Array(20)), `there is no element at byte ${file.length}`],
    [Uint8Array.of(...file, 0x42), `there is no element at byte ${file.length}`],
    [writeWebm({ ...OF, codec: "A_VORBIS" }), "a WebM or Matroska without Opus, which is not read"],
    [writeWebm({ ...OF, packets: [] }), "none of it can be decoded"],
    [writeWebm({ ...OF, head: new Uint8Array(8) }), "does not say what it is"],
    [writeWebm({ ...OF, paddingNs: 2 ** 50 }), "has no sound in it"],
    [writeWebm({ ...OF, inTrack: element(0x6d80) }), "packed or encrypted"],
    [change(laced, lace, 255), "longer than it is"],
    [change(laced, lace + 1, 255, 255, 255, 255), "longer than it is"],
    [Uint8Array.of(...file, ...element(0xa3, 0x81, 0)), "a block of it has no head"],
    [file.subarray(0, 4), "there is no element at byte 0"],
  ];
  for (const [bytes, message] of refused) {
    const error = await assertRejects(() => decodeSound(bytes), RequestError, message);
    assertEquals([error.status, error.code], [400, "invalid_audio"]);
  }
});
