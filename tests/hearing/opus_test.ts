/** Opus in Ogg to samples. */
import { assertEquals, assertLess, assertRejects } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { decodeSound } from "../../src/hearing/decode.ts";
import { soundFile } from "../support/sound_files.ts";

const FILE = soundFile("tone.opus");
/** Where its second page begins. */
const SECOND = FILE.findIndex((_, at) => at > 40 && isPage(at));

function isPage(at: number): boolean {
  return new TextDecoder("latin1").decode(FILE.subarray(at, at + 4)) === "OggS";
}

/** How much of it is at so many hertz: 1 is all. */
function shareOf(values: Float32Array, hertz: number, rate: number): [share: number, all: number] {
  let [re, im, all] = [0, 0, 0];
  values.forEach((value, i) => {
    re += value * Math.cos(2 * Math.PI * hertz * i / rate);
    im += value * Math.sin(2 * Math.PI * hertz * i / rate);
    all += value * value;
  });
  return [2 * (re * re + im * im) / values.length / all, all / values.length];
}

Deno.test("decodeSound() reads Opus, from where its sound begins to where it ends", async () => {
  const { rate, values } = await decodeSound(FILE);
  // 0.4 s were written, of 16 kHz.
  assertEquals([rate, values.length], [48000, 19200]);
  const [share, energy] = shareOf(values.subarray(4800, 14400), 440, rate);
  assertLess(Math.abs(1 - share), 0.01);
  // It begins where it was written to begin, to a fiftieth of a wave.
  let [cos, sin] = [0, 0];
  values.forEach((value, i) => {
    cos += value * Math.cos(2 * Math.PI * 440 * i / rate);
    sin += value * Math.sin(2 * Math.PI * 440 * i / rate);
  });
  assertLess(Math.abs(Math.atan2(cos, sin)) / (2 * Math.PI), 0.02);
  assertLess(Math.abs(energy - 0.4 ** 2 / 2), 0.01);
});

Deno.test("decodeSound() hears the first stream of an Ogg file, and no other", async () => {
  const other = FILE.slice(FILE.findLastIndex((_, at) => isPage(at)));
  // A stream of another number behind it, which ends later.
  other[14] ^= 1;
  other[8] ^= 1;
  const mixed = Uint8Array.from([...FILE, ...other]);
  assertEquals((await decodeSound(mixed)).values, (await decodeSound(FILE)).values);
});

Deno.test("decodeSound() refuses Opus that is damaged, and Ogg of other codings by its name", async () => {
  const change = (at: number, ...bytes: number[]) => {
    const file = FILE.slice();
    file.set(bytes, at);
    return file;
  };
  const short = change(27, 12).subarray(0, 28 + 12);
  const refused: readonly (readonly [Uint8Array, string])[] = [
    [FILE.subarray(0, FILE.length - 1), "ends within a page"],
    [FILE.subarray(0, SECOND), "none of it can be decoded"],
    [change(SECOND, 0), `there is no page at byte ${SECOND}`],
    [change(28 + 9, 0), "has 0 channels"],
    [change(28 + 9, 9), "has 9 channels"],
    [change(28 + 18, 1), "what cannot be"],
    [short, "does not say what it is"],
    [change(28, 1, ...new TextEncoder().encode("vorbis")), "an Ogg of Vorbis, which is not read"],
    [change(28, 0x7f), "an Ogg without Opus"],
  ];
  for (const [file, message] of refused) {
    const error = await assertRejects(() => decodeSound(file), RequestError, message);
    assertEquals([error.status, error.code], [400, "invalid_audio"]);
  }
});
