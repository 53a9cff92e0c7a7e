/**
 * The page in Debian's Chromium, by Playwright, with a real server behind it whose model says what
 * its script says. One browser serves all tests of a run; each test has a profile of its own.
 * Playwright looks at far more of the machine than tests may elsewhere: `deno task test:page` is a
 * run of its own.
 */
import { assertEquals } from "@std/assert";
import { existsSync } from "node:fs";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import type { LanguageModel } from "../../../src/llm/types.ts";
import { type AppOptions, loadedModels, serve } from "../../../src/server/mod.ts";
import { notDeep } from "../../support/deep.ts";
import { ScriptedModel, type ScriptedModelOptions } from "../../support/scripted_model.ts";

const CHROMIUM = "/usr/bin/chromium";

export interface PageWorld {
  readonly page: Page;
  readonly url: string;
  readonly model: ScriptedModel;
  /** Console lines of the page that tell of errors, to be taken out by who expects them. */
  readonly errors: string[];
}

export interface PageTestOptions extends BrowserContextOptions {
  readonly script?: ScriptedModelOptions;
  readonly server?: Partial<AppOptions>;
  /** Models behind the server; left out: one scripted one. */
  readonly models?: readonly LanguageModel[];
  /** Who looks at the same in the gate, which leaves this out then. */
  readonly deep?: string;
}

let browser: Browser | null = null;

/** A test of the page as it is when it has been opened; skips where there is no Chromium. */
export function pageTest(
  name: string,
  use: (world: PageWorld) => Promise<void>,
  options: PageTestOptions = {},
): void {
  const missing = whatIsMissing() ?? notDeep(options.deep);
  Deno.test({
    name: missing === null ? name : `${name} [skipped: ${missing}]`,
    ignore: missing !== null,
    // The browser outlives the test.
    sanitizeOps: false,
    sanitizeResources: false,
    fn: () => withPage(use, options),
  });
}

/** Ends the browser after the last test of the run: all files of one share an isolate. */
export function closeBrowserAtEnd(): void {
  Deno.test.afterAll(async () => {
    await browser?.close();
    browser = null;
  });
}

function whatIsMissing(): string | null {
  if (!existsSync(CHROMIUM)) return `no ${CHROMIUM}: apt-get install chromium`;
  const isAllowed = (["sys", "run", "read", "write", "env", "ffi"] as const)
    .every((name) => Deno.permissions.querySync({ name }).state === "granted");
  return isAllowed ? null : "deno task test:page runs it";
}

async function withPage(
  use: (world: PageWorld) => Promise<void>,
  { script = {}, server: appOptions = {}, models, deep: _, ...contextOptions }: PageTestOptions,
): Promise<void> {
  browser ??= await launch();
  const model = new ScriptedModel(script);
  const server = serve({
    models: loadedModels(models ?? [model]),
    ...{ port: 0, onError: () => {}, ...appOptions },
  });
  const context = await browser.newContext({
    viewport: { width: 1280, height: 860 },
    ...contextOptions,
  });
  try {
    await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: server.url });
    const page = await context.newPage();
    const errors: string[] = [];
    const strangers: string[] = [];
    page.on("console", (line) => line.type() === "error" && errors.push(line.text()));
    page.on("pageerror", (error) => errors.push(String(error)));
    page.on("request", (request) => {
      const { protocol, origin } = new URL(request.url());
      if (protocol.startsWith("http") && origin !== server.url) strangers.push(request.url());
    });
    await page.goto(server.url);
    await page.getByLabel("Your message").waitFor();
    await use({ page, url: server.url, model, errors });
    assertEquals(strangers, [], "requests to other hosts");
    assertEquals(errors, [], "errors on the console");
  } finally {
    await context.close();
    await Promise.all([server.shutdown(), server.shutdown()]);
  }
}

/** Starts Chromium. */
export async function launch(): Promise<Browser> {
  const { chromium } = await import("playwright-core");
  return await chromium.launch({
    executablePath: CHROMIUM,
    args: [
      ...["--no-sandbox", "--disable-dev-shm-usage"],
      "--use-fake-device-for-media-stream", // a microphone that beeps
    ],
  });
}

/** Writes a message and sends it. */
export async function say(page: Page, text: string): Promise<void> {
  await page.getByLabel("Your message").fill(text);
  await page.getByLabel("Your message").press("Enter");
}

/** Waits until nothing is being answered, and gives the last answer's element. */
export async function lastAnswer(page: Page) {
  await page.getByRole("button", { name: "Send message" }).waitFor();
  return page.getByRole("article", { name: "Answer" }).last();
}

/** Waits until something is true of the page, whose policy lets it evaluate nothing by itself. */
export async function until(page: Page, expression: string): Promise<void> {
  for (let i = 0; i < 100; i++) {
    if (await page.evaluate(expression)) return;
    await page.waitForTimeout(50);
  }
  throw new Error(`It is not so after 5 s: ${expression}`);
}

/** What axe finds on the page that keeps people out. */
export async function seriousFindings(page: Page): Promise<readonly string[]> {
  const { default: axe } = await import("axe-core");
  await page.evaluate(axe.source);
  return await page.evaluate<string[]>(`axe.run().then(({ violations }) => violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => id + ": " + nodes.map(({ html }) => html.slice(0, 150)).join(", ")))`);
}
