/** Images on the page: shown to a model that sees, kept, sent again, in a browser. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import type { Page } from "playwright-core";
import type { SeenImages } from "../../../src/llm/types.ts";
import { ScriptedModel } from "../../support/scripted_model.ts";
import { closeBrowserAtEnd, lastAnswer, pageTest, say, seriousFindings } from "./page_world.ts";

closeBrowserAtEnd();

/** One red pixel. */
const PIXEL = Uint8Array.fromBase64(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC",
);
const see = (): SeenImages => ({ ids: [[1]], given: [] });
const red = { name: "red.png", mimeType: "image/png", buffer: Buffer.from(PIXEL) };

/** Drops a file onto the conversation. */
async function drop(page: Page, file: { name: string; type: string; bytes: Uint8Array }) {
  const { name, type, bytes } = file;
  await page.evaluate(`(() => {
    const dataTransfer = new DataTransfer();
    const bytes = Uint8Array.fromBase64("${bytes.toBase64()}");
    dataTransfer.items.add(new File([bytes], "${name}", { type: "${type}" }));
    for (const kind of ["dragover", "drop"]) {
      const options = { dataTransfer, bubbles: true, cancelable: true };
      document.querySelector("main").dispatchEvent(new DragEvent(kind, options));
    }
  })()`);
}

/** A black bitmap of one bit a pixel: 2000 x 1000. */
function wideBitmap(): Uint8Array {
  const [width, height, headBytes] = [2000, 1000, 62];
  const rowBytes = Math.ceil(width / 32) * 4;
  const bytes = new Uint8Array(headBytes + rowBytes * height);
  const view = new DataView(bytes.buffer);
  bytes.set([0x42, 0x4d]);
  view.setUint32(2, bytes.length, true);
  view.setUint32(10, headBytes, true);
  for (const [at, value] of [[14, 40], [18, width], [22, height]]) {
    view.setUint32(at, value, true);
  }
  view.setUint16(26, 1, true);
  view.setUint16(28, 1, true);
  view.setUint32(46, 2, true);
  return bytes;
}

/** What lies in the clipboard when one has copied a picture: this one is half clear. */
const COPY_PICTURE = `(async () => {
  const canvas = new OffscreenCanvas(1600, 400);
  const context = canvas.getContext("2d");
  context.fillRect(0, 0, 800, 400);
  const blob = await canvas.convertToBlob();
  await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
})()`;

/** How far the end is out of sight when a flat image has become a high one, as it does at first. */
const ROOM_BELOW_WHEN_GROWN_PX = `(async () => {
  const main = document.querySelector("main");
  main.style.overflowAnchor = "none"; // as in Safari
  const [pixel, , wide] = document.images;
  // Who scrolls is told with a frame.
  const frames = () =>
    new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  const show = async (url) => {
    await new Promise((resolve) => {
      wide.onload = resolve;
      wide.src = url;
    });
    await frames();
  };
  const high = wide.src;
  await show(pixel.src);
  main.scrollTop = main.scrollHeight;
  await frames();
  await show(high);
  return Math.floor(main.scrollHeight - main.scrollTop - main.clientHeight);
})()`;

const shows = (page: Page) => page.getByRole("button", { name: /^Show image/ });
const widths = (page: Page) =>
  page.evaluate<number[]>(
    `[...document.querySelectorAll(".thumbnail img")].map(({ naturalWidth }) => naturalWidth)`,
  );

pageTest("images are attached, pasted and dropped, and a model sees them", async (world) => {
  const { page, model } = world;
  await page.getByLabel("Files of images").setInputFiles([red]);
  await shows(page).nth(0).waitFor();
  await page.evaluate(COPY_PICTURE);
  await page.getByLabel("Your message").press("Control+v");
  await shows(page).nth(1).waitFor();
  await drop(page, { bytes: wideBitmap(), name: "wide.bmp", type: "image/bmp" });
  await shows(page).nth(2).waitFor();
  assertEquals(await widths(page), [1, 1568, 1568]);
  assertEquals(await seriousFindings(page), []);
  await page.getByLabel("Your message").press("Enter");
  await lastAnswer(page);
  const [{ content, images }] = model.chats.at(-1)!;
  assertEquals([content, images?.map(({ at }) => at)], ["", [0, 0, 0]]);
  const heads = images!.map(({ file }) => [...file.subarray(0, 4)]);
  const [png, jpeg] = [[0x89, 0x50, 0x4e, 0x47], [0xff, 0xd8, 0xff, 0xe0]];
  assertEquals(heads, [png, png, jpeg]);
  assertEquals(images![0].file, PIXEL);
  assertEquals(await page.title(), "Image · Ganglion");
  // They are there after a reload, and with what is asked then.
  await page.setViewportSize({ width: 1280, height: 300 });
  await page.reload();
  await page.locator(".chat-title").click();
  await shows(page).nth(2).waitFor();
  assertEquals(await shows(page).count(), 3);
  assertEquals(await page.evaluate(ROOM_BELOW_WHEN_GROWN_PX), 0);
  const answer = await lastAnswer(page);
  await answer.getByRole("button", { name: "Answer again" }).click();
  await answer.getByText("2 / 2").waitFor();
  await lastAnswer(page);
  assertEquals(model.chats.at(-1)![0].images, images);
  await shows(page).first().click();
  await page.getByRole("dialog", { name: "Image" }).locator("img").waitFor();
  assertEquals(await seriousFindings(page), []);
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assertEquals(await page.evaluate("document.activeElement.ariaLabel"), "Show image 1");
}, { script: { see } });

pageTest("images leave a draft and a message by keys, and chats take them along", async (world) => {
  const { page, model } = world;
  const seen = () => model.chats.at(-1)!.map(({ images = [] }) => images.length);
  await page.getByLabel("Files of images").setInputFiles([red, red, red]);
  await page.getByRole("button", { name: "Remove image 3" }).press("Enter");
  await shows(page).nth(2).waitFor({ state: "detached" });
  await say(page, "What is it?");
  await lastAnswer(page);
  assertEquals([model.chats.at(-1)![0].content, ...seen()], ["What is it?", 2]);
  await page.getByLabel("Your message").press("ArrowUp");
  await page.getByRole("button", { name: "Remove image 1" }).press("Enter");
  await page.getByRole("button", { name: "Remove image", exact: true }).waitFor();
  await page.keyboard.press("Enter");
  await lastAnswer(page);
  assertEquals(seen(), [1]);
  // The other branch still has both, and so has a file of the chat.
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Export" }).click();
  await page.getByLabel("File with chats").setInputFiles(await (await download).path());
  await page.getByText("One chat imported.").waitFor();
  await page.locator(".chat-row:not(.is-current) .chat-title").click();
  assertEquals(await shows(page).count(), 1);
  const message = page.getByRole("article", { name: "You" });
  await message.getByRole("button", { name: "Version before" }).click();
  await shows(page).nth(1).waitFor();
  await say(page, "And now?");
  await lastAnswer(page);
  assertEquals(seen(), [2, 0, 0]);
  assertEquals(model.chats.at(-1)![0].images!.map(({ file }) => file), [PIXEL, PIXEL]);
}, { script: { see } });

const eyes = new ScriptedModel({ id: "eyes", see });
const blind = new ScriptedModel({ id: "blind" });

pageTest("what is no image, too many of them, and models without eyes", async (world) => {
  const { page } = world;
  const text = { name: "notes.png", mimeType: "image/png", buffer: Buffer.from("text") };
  await page.getByLabel("Files of images").setInputFiles([text, ...Array(8).fill(red)]);
  await page.getByText(
    "A message has at most 8 images. “notes.png” is no image that this browser can read.",
  ).waitFor();
  assertEquals(await shows(page).count(), 7);
  await page.getByLabel("Model", { exact: true }).selectOption("blind");
  await page.getByRole("button", { name: "Attach images" }).waitFor({ state: "detached" });
  await drop(page, { bytes: PIXEL, name: "red.png", type: "image/png" });
  await page.getByText("This model sees no images").waitFor();
  await say(page, "What is it?");
  const alert = page.getByRole("alert");
  await alert.getByText("This model reads no images").waitFor();
  assertStringIncludes((await alert.textContent())!, "Choose another model at the top");
  await page.getByLabel("Model", { exact: true }).selectOption("eyes");
  await alert.getByRole("button", { name: "Try again" }).click();
  await (await lastAnswer(page)).getByText("Hello, world").waitFor();
  assertEquals(eyes.chats.at(-1)![0].images!.length, 7);
  for (const line of world.errors.splice(0)) assertStringIncludes(line, "400");
}, { models: [eyes, blind] });
