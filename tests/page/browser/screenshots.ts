/**
 * Pictures of the page for the documents: of a real engine with the built-in model, and of
 * `--model FILE` for the neurons, where one is given.
 *
 *   deno task screenshots [--model FILE]
 */
import { parseArgs } from "node:util";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { BUILT_IN_MODEL_PATH } from "../../../src/cli/built_in_model.ts";
import { loadModel } from "../../../src/llm/mod.ts";
import { loadedModels, serve } from "../../../src/server/mod.ts";
import { lastAnswer, launch, say } from "./page_world.ts";

const FOLDER = new URL("../../../docs/screenshots/", import.meta.url);
const DESK: BrowserContextOptions = { viewport: { width: 1360, height: 860 } };
const PHONE: BrowserContextOptions = {
  viewport: { width: 390, height: 844 },
  ...{ deviceScaleFactor: 2, isMobile: true, hasTouch: true },
};
const SEED = { temperature: 0, seed: 1 };

interface Shot {
  readonly name: string;
  readonly look: BrowserContextOptions;
  readonly act: (page: Page) => Promise<void>;
}

const SHOTS: readonly Shot[] = [
  { name: "light", look: { ...DESK, colorScheme: "light" }, act: talk },
  { name: "dark", look: { ...DESK, colorScheme: "dark" }, act: talk },
  { name: "phone", look: { ...PHONE, colorScheme: "light" }, act: talk },
  { name: "phone_dark", look: { ...PHONE, colorScheme: "dark" }, act: welcome },
  {
    name: "neurons",
    look: { viewport: { width: 1440, height: 1180 }, colorScheme: "dark" },
    act: watchNeurons,
  },
];

async function welcome(page: Page): Promise<void> {
  await page.getByText("What shall we think about?").waitFor();
}

async function talk(page: Page): Promise<void> {
  for (const text of ["What is Ganglion?", "What is a neuron cluster?", "Tell me a short story."]) {
    await say(page, text);
    await lastAnswer(page);
  }
}

async function watchNeurons(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Neurons" }).click();
  await say(page, "Tell me a story.");
  await page.getByText("live", { exact: true }).waitFor();
  await page.waitForTimeout(15_000);
}

async function take(browser: Browser, url: string, { name, look, act }: Shot): Promise<void> {
  const context = await browser.newContext(look);
  await context.addInitScript(
    `localStorage.setItem("ganglion.settings", ${JSON.stringify(JSON.stringify(SEED))})`,
  );
  const page = await context.newPage();
  await page.goto(url);
  await page.getByLabel("Your message").waitFor();
  await act(page);
  await page.mouse.move(0, 0);
  await page.waitForTimeout(400);
  const path = new URL(`${name}.png`, FOLDER);
  await Deno.writeFile(path, await page.screenshot());
  await context.close();
}

const { values } = parseArgs({
  args: Deno.args,
  options: { model: { type: "string" }, only: { type: "string" }, memory: { type: "string" } },
});
await Deno.mkdir(FOLDER, { recursive: true });
const isOfNeurons = values.model !== undefined;
const model = await loadModel(values.model ?? BUILT_IN_MODEL_PATH, {
  ...isOfNeurons ? {} : { id: "built-in" },
  ...values.memory === undefined ? {} : { memoryBytes: Number(values.memory) },
});
const server = serve({ models: loadedModels([model]), port: 0 });
const browser = await launch();
for (const shot of SHOTS) {
  const isWanted = values.only === undefined ? isOfNeurons === (shot.name === "neurons") : false;
  if (isWanted || values.only === shot.name) await take(browser, server.url, shot);
}
await browser.close();
await Promise.all([server.shutdown(), server.shutdown()]);
await model.close();
