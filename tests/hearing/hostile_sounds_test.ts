/** Sounds that are made to harm, by the thousand. */
import { assert } from "@std/assert";
import fc from "fast-check";
import { RequestError } from "../../src/base/errors.ts";
import { decodeSound } from "../../src/hearing/decode.ts";
import { assertRefusal, damage, damages, fuzzRuns } from "../support/fuzz.ts";
import { soundFile, tone, writeWav } from "../support/sound_files.ts";

const FILES = [
  writeWav({ values: tone(40) }),
  writeWav({ values: tone(40), bits: 24, channels: 2, isExtensible: true }),
  soundFile("tone.mp3"),
  soundFile("stereo_24_bit.flac"),
  soundFile("tone.flac"),
  soundFile("tone.opus"),
  soundFile("tone.webm"),
  soundFile("talk.m4a"),
  soundFile("clicks.aac"),
];

/** Before the sound of the longest. */
const HEADER_BYTES = 80;

Deno.test("damaged sounds are refused, or are sounds of finite numbers", async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...FILES), damages(HEADER_BYTES), async (file, changes) => {
      try {
        const { rate, values } = await decodeSound(damage(file, changes, HEADER_BYTES));
        assert(rate >= 1000 && values.length > 0 && values.every(Number.isFinite));
      } catch (error) {
        assertRefusal(error, [RequestError]);
      }
    }),
    fuzzRuns(200),
  );
});
