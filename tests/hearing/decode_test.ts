/** Sound files to samples. */
import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { decodeSound } from "../../src/hearing/decode.ts";
import { SECONDS_MAX, SOUND_BYTES_MAX } from "../../src/hearing/limits.ts";
import { soundFile, tone, type WavOptions, writeWav } from "../support/sound_files.ts";

const VALUES = [0, 0.5, -0.5, 0.25, 0.875, -0.75];

function worst(found: Float32Array, expected: ArrayLike<number>): number {
  assertEquals(found.length, expected.length);
  return Math.max(...Array.from(found, (value, i) => Math.abs(value - expected[i])));
}

Deno.test("decodeSound() reads WAV of whole numbers and of floats", async () => {
  const codings: readonly (readonly [Partial<WavOptions>, number])[] = [
    [{ bits: 8 }, 1 / 100],
    [{ bits: 16 }, 1 / 2 ** 14],
    [{ bits: 24 }, 1 / 2 ** 22],
    [{ bits: 32 }, 1e-7],
    [{ bits: 32, isFloat: true }, 1e-9],
    [{ bits: 64, isFloat: true }, 1e-9],
    [{ bits: 24, isExtensible: true }, 1 / 2 ** 22],
    // Writers that do not know the end yet.
    [{ size: 0 }, 1 / 2 ** 14],
    [{ size: 0x7ffff000 }, 1 / 2 ** 14],
    [{ size: 0xffffffff }, 1 / 2 ** 14],
  ];
  for (const [coding, most] of codings) {
    const { rate, values } = await decodeSound(
      writeWav({ ...coding, values: VALUES, rate: 8000 }),
    );
    assertEquals(rate, 8000);
    assertLess(worst(values, VALUES), most, JSON.stringify(coding));
  }
});

/** A WAV of bytes as they are. */
function wavOf(bytes: readonly number[], how: { coding: number; bits: number }): Uint8Array {
  const { coding, bits } = how;
  const size = Math.ceil(bits / 8);
  const file = writeWav({ values: Array(bytes.length / size).fill(0), bits: 8 * size });
  file.set(bytes, file.length - bytes.length);
  file[20] = coding;
  file[34] = bits;
  return file;
}

Deno.test("decodeSound() reads what telephones send, by both laws", async () => {
  // Extremes, the smallest ones and some between, of 16 bits, as ffmpeg makes them, too.
  const muLaw: [byte: number, value: number][] = [
    ...[[0x00, -32124], [0x80, 32124], [0xff, 0], [0x7f, 0], [0xfe, 8], [0x7e, -8]] as const,
    ...[[0xef, 132], [0x6f, -132], [0x9a, 10876], [0x31, -3772]] as const,
  ].map(([byte, value]) => [byte, value]);
  const aLaw: [byte: number, value: number][] = [
    ...[[0x2a, -32256], [0xaa, 32256], [0xd5, 8], [0x55, -8], [0xd4, 24], [0xc5, 264]] as const,
    ...[[0x45, -264], [0xf5, 528], [0x9a, 4032], [0x31, -10496]] as const,
  ].map(([byte, value]) => [byte, value]);
  for (const [coding, law] of [[7, muLaw], [6, aLaw]] as const) {
    const file = wavOf(law.map(([byte]) => byte), { coding, bits: 8 });
    const { values } = await decodeSound(file);
    assertEquals([...values].map((value) => value * 2 ** 15), law.map(([, value]) => value));
  }
});

Deno.test("decodeSound() reads WAV whose numbers do not fill their bytes", async () => {
  // From above: 20 bits of 24, 12 of 16.
  const twenty = await decodeSound(
    wavOf([0x00, 0x00, 0x40, 0x10, 0, 0xc0], { coding: 1, bits: 20 }),
  );
  assertEquals([...twenty.values], [0.5, -0.5 + 16 / 2 ** 23]);
  const twelve = await decodeSound(wavOf([0x10, 0x40], { coding: 1, bits: 12 }));
  assertEquals([...twelve.values], [0.5 + 16 / 2 ** 15]);
});

Deno.test("decodeSound() reads a WAV that says its size elsewhere", async () => {
  const file = writeWav({ values: VALUES, size: 0xffffffff });
  file.set(new TextEncoder().encode("RF64"));
  assertLess(worst((await decodeSound(file)).values, VALUES), 1 / 2 ** 14);
  // RF64 says it in a chunk before, and more may come behind the sound.
  const size = new Uint8Array(8 + 28);
  size.set(new TextEncoder().encode("ds64"));
  new DataView(size.buffer).setUint32(4, 28, true);
  new DataView(size.buffer).setBigUint64(8 + 8, BigInt(2 * VALUES.length), true);
  const list = [..."LIST"].map((letter) => letter.charCodeAt(0));
  const behind = [...list, 40, 0, 0, 0, ...new Array(40).fill(77)];
  const long = Uint8Array.of(...file.subarray(0, 12), ...size, ...file.subarray(12), ...behind);
  const { values } = await decodeSound(long);
  assertEquals(values.length, VALUES.length);
  assertLess(worst(values, VALUES), 1 / 2 ** 14);
});

Deno.test("decodeSound() takes parts behind a sound of no length for no sound, and few of them", async () => {
  const part = [...[..."LIST"].map((letter) => letter.charCodeAt(0)), 4, 0, 0, 0, 1, 2, 3, 4];
  const empty = writeWav({ values: [] });
  const silent = Uint8Array.of(...empty, ...part, ...part);
  await assertRejects(() => decodeSound(silent), Error, "it has no sound in it");
  const many = new Uint8Array(8 * 2000 + empty.length);
  many.set(empty.subarray(0, 12));
  many.set(empty.subarray(12), 12 + 8 * 2000);
  await assertRejects(() => decodeSound(many), Error, "more than 1000 parts");
});

Deno.test("decodeSound() mixes channels", async () => {
  const { values } = await decodeSound(writeWav({ values: VALUES, channels: 3 }));
  assertLess(worst(values, [0, 0.375 / 3]), 1e-4);
});

Deno.test("decodeSound() takes what is no number, or louder than any sound, for silence", async () => {
  const file = writeWav({ values: [NaN, Infinity, 1e30, -0.5], bits: 32, isFloat: true });
  assertEquals([...(await decodeSound(file)).values], [0, 0, 0, -0.5]);
});

Deno.test("decodeSound() reads MP3", async () => {
  const { rate, values } = await decodeSound(soundFile("tone.mp3"));
  assertEquals(rate, 16000);
  // A tone of 440 Hz, as loud as it was: its energy is at that frequency and nowhere else.
  const middle = values.subarray(2000, 8400);
  let [re, im, all] = [0, 0, 0];
  middle.forEach((value, i) => {
    re += value * Math.cos(2 * Math.PI * 440 * i / rate);
    im += value * Math.sin(2 * Math.PI * 440 * i / rate);
    all += value * value;
  });
  // Its encoder makes everything a little quieter.
  assertLess(Math.abs(all / middle.length - (0.95 * 12000 / 32768) ** 2 / 2), 0.001);
  assertLess(Math.abs(2 * (re * re + im * im) / middle.length / all - 1), 0.01);
});

Deno.test("decodeSound() refuses files that are no sound, damaged or too long", async () => {
  const sound = writeWav({ values: VALUES });
  const change = (at: number, ...bytes: number[]) => {
    const file = sound.slice();
    file.set(bytes, at);
    return file;
  };
  const cat = (...parts: Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => [...part]));
  const listOf = (size: number) => Uint8Array.of(76, 73, 83, 84, size, 0, 0, 0, 1, 2, 3, 0);
  const mp3 = soundFile("tone.mp3");
  // Silence at another rate, 44.1 kHz: frames of 417 bytes.
  const frame = Uint8Array.from({ length: 417 }, (_, i) => [0xff, 0xfb, 0x90, 0x64][i] ?? 0);
  const frame44100 = (count: number) => cat(...Array(count).fill(frame));
  const long = new Uint8Array(56 + SECONDS_MAX * 1000 + 1);
  long.set(writeWav({ values: [], rate: 1000, bits: 8, size: 0 }));
  const refused: readonly (readonly [Uint8Array, string])[] = [
    [new Uint8Array(), "empty"],
    [new Uint8Array(SOUND_BYTES_MAX + 1), "20.0 MiB"],
    [new TextEncoder().encode("RIFF    WEBP"), "no kind"],
    [new Uint8Array(100), "no kind"],
    [new TextEncoder().encode("#!AMR\n"), "is an AMR, which is not read"],
    [new TextEncoder().encode("....ftypM4A "), "begins as an MP4 or M4A"],
    [Uint8Array.of(0xff, 0xf1, 0x50, 0x80), "begins as an AAC"],
    [sound.subarray(0, 30), "ends within a part of 16 bytes"],
    [sound.subarray(0, 40), "has no sound in it"],
    [sound.subarray(0, sound.length - 3), "ends 3 bytes before its sound does"],
    [writeWav({ values: [] }), "has no sound in it"],
    // No sound, and a note behind it.
    [cat(writeWav({ values: [] }), listOf(3)), "has no sound in it"],
    [cat(mp3, frame44100(3)), "change their rate"],
    [change(12, 120), "comes before what it is"],
    [change(16, 15), "in 15 bytes"],
    [change(20, 0x11), "coded as ADPCM with 16 bits"],
    [change(20, 9), "coded as 9 with 16 bits"],
    // A telephone's bytes are bytes.
    [change(20, 6), "coded as 6 with 16 bits"],
    [change(20, 3), "coded as 3 with 16 bits"],
    [change(34, 40), "40 bits"],
    [change(34, 0), "0 bits"],
    [change(22, 0), "0 channels"],
    [change(24, 0, 0, 0, 0), "0 samples a second"],
    [change(32, 9), "of another size"],
    [Uint8Array.of(0x49, 0x44, 0x33, 4, 0, 0, 0, 0, 0, 0), "none of it can be decoded"],
    [long, "more than 10 minutes"],
  ];
  for (const [file, message] of refused) {
    const error = await assertRejects(() => decodeSound(file), RequestError, message);
    assertEquals([error.status, error.param], [400, "messages"]);
    assert(["invalid_audio", "audio_too_long"].includes(error.code!), `${error.code}`);
  }
  assertEquals((await decodeSound(writeWav({ values: tone(99) }))).values.length, 99);
});

Deno.test("decodeSound() hears all of an MP3 of many pieces", async () => {
  const bytes = soundFile("tone.mp3");
  const one = (await decodeSound(bytes)).values.length;
  const many = new Uint8Array(30 * bytes.length);
  for (let i = 0; i < 30; i++) many.set(bytes, i * bytes.length);
  const { rate, values } = await decodeSound(many);
  assertEquals(rate, 16000);
  assertLess(Math.abs(values.length - 30 * one), 30 * 2000);
  assertLess(0.1, Math.max(...values.subarray(values.length - 5000)));
});

Deno.test("decodeSound() calls a file damaged that stops its decoder, and hides no other fault", async () => {
  const file = writeWav({ values: VALUES });
  const by = (error: Error) => {
    const stop = () => Promise.reject(error);
    const [mp4, aac] = [stop, stop];
    return decodeSound(file, {
      wav: stop,
      mp3: stop,
      flac: stop,
      opus: stop,
      webm: stop,
      mp4,
      aac,
    });
  };
  for (const error of [new WebAssembly.RuntimeError("unreachable"), new RangeError("Invalid")]) {
    const refusal = await assertRejects(() => by(error), RequestError, error.message);
    assertEquals([refusal.status, refusal.code], [400, "invalid_audio"]);
  }
  await assertRejects(() => by(new TypeError("of ours")), TypeError);
});
