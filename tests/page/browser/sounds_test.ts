/** Sounds on the page: attached and dropped for a model that hears, played, kept, sent again. */
import { assertEquals } from "@std/assert";
import type { Page } from "playwright-core";
import type { SeenImages } from "../../../src/llm/types.ts";
import { ScriptedModel } from "../../support/scripted_model.ts";
import { soundFile, tone, writeWav } from "../../support/sound_files.ts";
import {
  closeBrowserAtEnd,
  lastAnswer,
  pageTest,
  say,
  seriousFindings,
  until,
} from "./page_world.ts";

closeBrowserAtEnd();

const see = (): SeenImages => ({ ids: [[1]], given: [] });
const ears = new ScriptedModel({ id: "ears", see, details: { uses: ["writing", "sounds"] } });
const deaf = new ScriptedModel({ id: "deaf" });
/** Without the part that browsers do not skip, for it is too short. */
const WAV = plain(writeWav({ values: tone(8000) }));
const MP3 = soundFile("tone.mp3");

function plain(file: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from([...file.subarray(0, 36), ...file.subarray(48)]);
  new DataView(bytes.buffer).setUint32(4, bytes.length - 8, true);
  return bytes;
}

const fileOf = (name: string, mimeType: string, bytes: Uint8Array) => ({
  ...{ name, mimeType, buffer: Buffer.from(bytes) },
});

/** Seconds of what the page could play. */
const durations = (page: Page) =>
  page.evaluate<number[]>(`Promise.all([...document.querySelectorAll("audio")].map((sound) =>
    new Promise((resolve, reject) => {
      if (sound.readyState > 0) return resolve(sound.duration);
      sound.onloadedmetadata = () => resolve(sound.duration);
      sound.onerror = () => reject(new Error(sound.error?.message));
      sound.load();
    })))`);

pageTest("sounds are attached, played, kept, and a model hears them", async (world) => {
  const { page } = world;
  const chooser = page.getByLabel("Files of sounds");
  await chooser.setInputFiles([
    fileOf("a.wav", "audio/x-wav", WAV),
    fileOf("b.mp3", "", MP3),
    fileOf("c.amr", "audio/amr", new TextEncoder().encode("#!AMR\n")),
  ]);
  await page.getByText("“c.amr” is no sound that models hear here").waitFor();
  assertEquals(await page.locator("audio").count(), 2);
  const [first, second] = await durations(page);
  assertEquals([first, second > 0.5 && second < 0.7], [0.5, true]);
  assertEquals(await seriousFindings(page), []);
  await page.getByLabel("Your message").press("Enter");
  await lastAnswer(page);
  const heard = () => ears.chats.at(-1)![0].images!.map(({ file, kind }) => [kind, file]);
  assertEquals(heard(), [["sound", WAV], ["sound", MP3]]);
  assertEquals(await page.title(), "Sound · Ganglion");
  await page.reload();
  await page.locator(".chat-title").click();
  await page.locator("audio").nth(1).waitFor();
  assertEquals((await durations(page))[0], 0.5);
  await say(page, "And now?");
  await lastAnswer(page);
  assertEquals(heard(), [["sound", WAV], ["sound", MP3]]);
  await page.getByLabel("Model", { exact: true }).selectOption("deaf");
  await page.getByRole("button", { name: "Attach sounds" }).waitFor({ state: "detached" });
}, { models: [ears, deaf] });

pageTest("of a sound that does not say how long it is the length is found", async ({ page }) => {
  const file = soundFile("tone.webm").slice();
  // The element that says it becomes one of nothing, as long: recorders do not know it yet.
  const at = file.findIndex((byte, i) => byte === 0x44 && file[i + 1] === 0x89);
  file[at] = 0xec;
  await page.getByLabel("Files of sounds").setInputFiles([fileOf("a.webm", "audio/webm", file)]);
  await page.locator("audio").waitFor();
  await until(page, `document.querySelector("audio").duration < 60`);
  await until(page, `document.querySelector("audio").currentTime === 0`);
}, { models: [ears] });
