/** The whole path of sounds: a model and its projector on their threads, files in, answers out. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { prepareSound } from "../../src/hearing/prepare.ts";
import { openGguf, TensorReader } from "../../src/gguf/mod.ts";
import { type LoadedModel, loadModel } from "../../src/llm/mod.ts";
import type { ChatMessage } from "../../src/llm/types.ts";
import { dequantize, readHearing } from "../../src/model/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { nmse } from "../support/compare.ts";
import { withTinyFile } from "../support/loaded_model.ts";
import { soundFile, tone, writeWav } from "../support/sound_files.ts";
import { writePng } from "../support/png_writer.ts";
import { tinyBoth } from "../support/tiny_both.ts";
import { tinyHearing, type TinyHearingName } from "../support/tiny_hearing.ts";
import "../support/thread_pool.ts";

const A = writeWav({ values: tone(5000) });
const B = writeWav({ values: tone(9001, { hertz: 3000, rate: 22050 }), rate: 22050, bits: 24 });

function asking(...files: readonly Uint8Array[]): ChatMessage[] {
  const images = files.map((file) => ({ at: 3, file, kind: "sound" as const }));
  return [{ role: "user", content: "Is it a cat?", images }];
}

/** What the model says of sounds, greedily, and how sure it is. */
async function answerTo(model: LoadedModel, messages: ChatMessage[]): Promise<string> {
  const seen = await model.lookAt!(messages);
  const ids = model.encodeChat(messages, { images: seen });
  const asked = { ids, given: seen.given, sampling: { temperature: 0 }, maxTokens: 4 };
  let answer = "";
  const generation = model.generate({ ...asked, ignoreEnd: true, logprobs: 1 });
  for await (const { logprobs = [] } of generation) {
    for (const { id, logprob } of logprobs) answer += `${id} ${logprob.toFixed(3)} `;
  }
  return answer;
}

async function withHearing(
  kind: TinyHearingName | Uint8Array,
  use: (model: LoadedModel, projectorPath: string) => Promise<void>,
): Promise<void> {
  await withTinyFile({ architecture: "llama" }, async (path) => {
    const projectorPath = path.replace(".gguf", "-ears.gguf");
    await Deno.writeFile(projectorPath, typeof kind === "string" ? tinyHearing({ kind }) : kind);
    try {
      const model = await loadModel(path, { threads: 2, projectorPath });
      try {
        await use(model, projectorPath);
      } finally {
        await model.close();
      }
    } finally {
      await Deno.remove(projectorPath);
    }
  });
}

Deno.test("answers depend on sounds, whose rows are the reference's", () =>
  withHearing("ultravox", async (model, path) => {
    assertEquals(model.details.uses, ["writing", "vectors", "sounds"]);
    const mp3 = soundFile("tone.mp3");
    const answers = [];
    const flac = soundFile("stereo_24_bit.flac"), opus = soundFile("tone.opus");
    for (const file of [A, B, mp3, flac, opus]) answers.push(await answerTo(model, asking(file)));
    assertEquals(new Set(answers).size, 5, `${answers}`);
    assertEquals(await answerTo(model, asking(A)), answers[0]);
    // The same packets in another kind of file.
    assertEquals(await answerTo(model, asking(soundFile("tone.webm"))), answers[4]);
    const { ids: [ids], given } = await model.lookAt!(asking(A));
    // 5000 samples are 32 frames, of which 8 are a row.
    assertEquals(ids.map((id) => id < 0), [true, true, true, true]);
    const file = openGguf(path);
    const { description, sounds } = readHearing(file);
    const reader = TensorReader.open(file);
    const tensor = file.tensors.get(sounds.positions!.tensor)!;
    const positions = dequantize(tensor.type, reader.readAll(tensor));
    const tables = { positions, classTokens: null, patchBias: null };
    const { tiles: [tile] } = await prepareSound(A, sounds, tables);
    const expected = new ReferenceModel(file, { description, reader }).see(tile);
    assert(nmse(given[0].values, expected) < 1e-11);
    reader.close();
  }));

Deno.test("a model with a projector of both sees and hears, and takes neither for the other", () => {
  const [vision, audio] = ["qwen2.5vl_merger", "qwen2.5o"] as const;
  const file = tinyBoth("qwen2.5o", { vision: { kind: vision }, audio: { kind: audio } });
  const sample = (x: number, y: number) => (x * 5 + y * 3) % 256;
  const image = writePng({ width: 40, height: 40, bits: 8, type: 2, sample });
  return withHearing(file, async (model) => {
    assertEquals(model.details.uses, ["writing", "vectors", "images", "sounds"]);
    const both: ChatMessage[] = [{
      ...{ role: "user", content: "What?" },
      images: [{ at: 0, file: image }, { at: 3, file: A, kind: "sound" }],
    }];
    const { ids: [seen, heard], given } = await model.lookAt!(both);
    assertEquals([seen, heard].map((ids) => ids.some((id) => id < 0)), [true, true]);
    // 5000 samples are 32 frames, 16 rows, means of two.
    assertEquals(given.at(-1)!.values.length, 8 * 64);
    const answers = [await answerTo(model, both), await answerTo(model, asking(A))];
    assertEquals(new Set(answers).size, 2);
    // What was seen is not heard.
    const exchanged: ChatMessage[] = [{
      ...{ role: "user", content: "x", images: [{ at: 0, file: image, kind: "sound" }] },
    }];
    await assertRejects(() => model.lookAt!(exchanged), RequestError);
  });
});

Deno.test("a file of Gemma 4's sees and hears", () => {
  const names = { vision: "gemma4v", audio: "gemma4a" } as const;
  const file = tinyBoth(names, { vision: { kind: "gemma4v" }, audio: { kind: "gemma4a" } });
  const sample = (x: number, y: number) => (x * 5 + y * 3) % 256;
  const image = writePng({ width: 40, height: 40, bits: 8, type: 2, sample });
  return withHearing(file, async (model, path) => {
    assertEquals(model.details.uses, ["writing", "vectors", "images", "sounds"]);
    const both: ChatMessage[] = [{
      ...{ role: "user", content: "What?" },
      images: [{ at: 0, file: image }, { at: 3, file: A, kind: "sound" }],
    }];
    const { ids: [, heard], given } = await model.lookAt!(both);
    // 5000 samples are 31 frames, of which four are a row.
    assertEquals(heard.filter((id) => id < 0).length, 8);
    const answers = [await answerTo(model, both), await answerTo(model, asking(A))];
    assertEquals(new Set(answers).size, 2);
    const read = openGguf(path);
    const { description, sounds } = readHearing(read);
    using reader = TensorReader.open(read);
    const tables = { positions: null, classTokens: null, patchBias: null };
    const { tiles: [tile] } = await prepareSound(A, sounds, tables);
    const expected = new ReferenceModel(read, { description, reader }).see(tile);
    assert(nmse(given.at(-1)!.values, expected) < 1e-11);
  });
});

Deno.test("rows of granite_speech and parakeet are the reference's, from files on", async () => {
  for (const [kind, rows] of [["granite_speech", 8], ["parakeet", 4]] as const) {
    await withHearing(kind, async (model, path) => {
      const { ids: [ids], given } = await model.lookAt!(asking(A));
      // 5000 samples are 32 frames: four windows of five pairs, or four eighths.
      assertEquals(ids.filter((id) => id < 0).length, rows);
      const file = openGguf(path);
      const { description, sounds } = readHearing(file);
      using reader = TensorReader.open(file);
      const floats = (name: string) => {
        const tensor = file.tensors.get(name)!;
        return dequantize(tensor.type, reader.readAll(tensor));
      };
      const { filters } = sounds;
      const tables = {
        ...{ positions: null, classTokens: null, patchBias: null },
        ...filters && {
          filters: { window: floats(filters.window), bands: floats(filters.bands) },
        },
      };
      const { tiles: [tile] } = await prepareSound(A, sounds, tables);
      const expected = new ReferenceModel(file, { description, reader }).see(tile);
      assert(nmse(given[0].values, expected) < 1e-11);
    });
  }
});

Deno.test("GLM-ASR's sounds stand between two rows that its file has", () =>
  withHearing("glma", async (model, path) => {
    const { ids: [ids], given } = await model.lookAt!(asking(A));
    assertEquals([ids.length, given.map(({ values }) => values.length)], [14, [64, 12 * 64, 64]]);
    using reader = TensorReader.open(openGguf(path));
    for (const [place, name] of [[0, "v.boi"], [2, "v.eoi"]] as const) {
      const tensor = openGguf(path).tensors.get(name)!;
      const expected = dequantize(tensor.type, reader.readAll(tensor));
      assertEquals([...given[place].values], [...expected]);
    }
  }));

Deno.test("a model that hears is shown no images, and files that are no sounds are refused", () =>
  withHearing("voxtral", async (model) => {
    const image = [{ role: "user", content: "x", images: [{ at: 0, file: A }] }];
    const wrong: readonly (readonly [ChatMessage[], string])[] = [
      [image, "images_not_supported"],
      [asking(new Uint8Array(99)), "invalid_audio"],
      [asking(A.subarray(0, 40)), "invalid_audio"],
      [asking(writeWav({ values: new Float32Array(500_000), bits: 8 })), "context_length_exceeded"],
    ];
    for (const [messages, code] of wrong) {
      const error = await assertRejects(() => model.lookAt!(messages), RequestError);
      assertEquals([error.status, error.code], [400, code]);
    }
    const { ids: [ids] } = await model.lookAt!(asking(A));
    assertEquals(ids.filter((id) => id < 0).length, 12);
  }));
