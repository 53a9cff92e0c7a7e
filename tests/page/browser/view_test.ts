/** Models, settings, neurons, keys, and how the page is for everybody: in a browser. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { LanguageModel, NeuronActivity } from "../../../src/llm/types.ts";
import { ModelRegistry } from "../../../src/models/mod.ts";
import { ScriptedModel } from "../../support/scripted_model.ts";
import {
  closeBrowserAtEnd,
  lastAnswer,
  pageTest,
  say,
  seriousFindings,
  until,
} from "./page_world.ts";
import type { Page } from "playwright-core";

closeBrowserAtEnd();

/** Each look finds more done; three of four neurons are left out. */
class BusyModel extends ScriptedModel {
  #looks = 0;

  get neurons(): NeuronActivity {
    const n = 1000 * ++this.#looks;
    const layer = { neurons: n, hot: n / 10, skipped: 3 * n / 4 };
    const cache = { cacheHits: n / 5, cacheMisses: n / 20, diskReads: n, diskBytes: 1000 * n };
    return { isSparse: true, isStreamed: true, layers: Array(6).fill({ ...layer, ...cache }) };
  }
}

class DenseModel extends ScriptedModel {
  #looks = 0;

  get neurons(): NeuronActivity {
    const layer = { neurons: 1000 * ++this.#looks, hot: 0, skipped: 0, cacheHits: 0 };
    const disk = { cacheMisses: 0, diskReads: 0, diskBytes: 0 };
    return { isSparse: false, isStreamed: false, layers: Array(4).fill({ ...layer, ...disk }) };
  }
}

pageTest(
  "the neuron view shows each layer's share, the cache and the disk, live",
  async (world) => {
    const { page } = world;
    await page.keyboard.press("Alt+n");
    const panel = page.getByRole("complementary", { name: "Neurons" });
    await panel.getByText("live").waitFor();
    const numbers = (await panel.locator(".numbers").textContent())!;
    assertMatch(numbers, /skipped75\.0 %computed25\.0 %cache hits80\.0 %from disk[\d.]+ MB\/s/);
    assertEquals(await panel.locator(".bar").count(), 6);
    await panel.getByText("All numbers").click();
    assertEquals(await panel.getByRole("row").count(), 7);
    assertEquals(
      await panel.getByRole("row").nth(1).getByRole("cell").first().textContent(),
      "100",
    );
    await panel.getByRole("button", { name: "Hide neurons" }).click();
    await panel.waitFor({ state: "detached" });
  },
  { models: [new BusyModel({ id: "busy" })] },
);

pageTest("the neuron view says of a dense model that all is computed", async ({ page }) => {
  await page.getByRole("button", { name: "Neurons" }).click();
  const panel = page.getByRole("complementary", { name: "Neurons" });
  await panel.getByText("is dense: every neuron of every layer is computed").waitFor();
  assertMatch((await panel.locator(".numbers").textContent())!, /skipped0 %computed100 %/);
}, { models: [new DenseModel({ id: "dense" })] });

const LARGE = "large-model-with-a-name-that-no-telephone-has-room-for-Q4_K_M";
const loading = Promise.withResolvers<void>();
const registry = new ModelRegistry({
  catalog: { ids: () => ["small", LARGE] },
  loader: {
    bytesOf: () => Promise.resolve(1),
    async load(id, onProgress): Promise<LanguageModel> {
      if (id === LARGE) {
        onProgress(0.42);
        await loading.promise;
      }
      return new ScriptedModel({ id, script: [`I am ${id}`] });
    },
  },
  memoryBytes: 10,
  keepAliveMs: Infinity,
});

pageTest("choosing a model loads it and says how far it is", async ({ page }) => {
  const picker = page.getByLabel("Model", { exact: true });
  await picker.selectOption(LARGE);
  await page.getByText("Loading 42 %").waitFor();
  assertEquals(await page.getByRole("progressbar").getAttribute("value"), "0.42");
  await say(page, "Who are you?");
  await page.getByText("Loading the model: 42 %").waitFor();
  await page.setViewportSize({ width: 390, height: 844 });
  for (const button of ["Stop the answer", "Settings"]) {
    const box = await page.getByRole("button", { name: button }).boundingBox();
    assert(box!.x + box!.width <= 390, `${button} is on the page`);
  }
  await page.setViewportSize({ width: 1280, height: 860 });
  loading.resolve();
  await page.getByText("Loading 42 %").waitFor({ state: "detached" });
  await (await lastAnswer(page)).getByText(`I am ${LARGE}`).waitFor();
  await page.reload();
  await picker.waitFor();
  assertEquals(await picker.inputValue(), LARGE);
}, { server: { models: registry } });

pageTest(
  "the page asks for each of its files once, and for the libraries early",
  async ({ page }) => {
    const files = await page.evaluate<string[]>(
      `performance.getEntriesByType("resource").filter(({ name }) => name.includes("/page/"))
      .toSorted((a, b) => a.startTime - b.startTime).map(({ name }) => new URL(name).pathname)`,
    );
    assertEquals(files, ["/page/app.css", "/page/vendor.js", "/page/app.js"]);
  },
);

pageTest("settings go with every question, and outlive the page", async ({ page, model }) => {
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByLabel("System prompt").fill("Be brief.");
  await page.getByLabel("Temperature").fill("0.5");
  await page.getByLabel("Longest answer").fill("3");
  await page.getByLabel("Top k").fill("-7");
  await page.getByLabel("Dark").check();
  await page.getByRole("button", { name: "Done" }).click();
  await page.reload();
  await page.getByLabel("Your message").waitFor();
  assertEquals(await page.locator("html").getAttribute("data-theme"), "dark");
  await say(page, "Hi");
  await lastAnswer(page);
  assertEquals(model.chats[0].map(({ content }) => content), ["Be brief.", "Hi"]);
  const { maxTokens, sampling } = model.requests[0];
  assertEquals([maxTokens, sampling?.temperature, sampling?.topK], [3, 0.5, undefined]);
  await page.getByText("cut at the longest length").waitFor();
});

pageTest("everything can be done by keys", async ({ page }) => {
  await page.keyboard.type("First line");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("second");
  await page.keyboard.press("Enter");
  await lastAnswer(page);
  await page.getByText("First line\nsecond").waitFor();
  await page.keyboard.press("ArrowUp");
  await page.getByLabel("Edited message").waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("Control+/");
  await page.getByRole("dialog", { name: "Keys" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.keyboard.press("Control+b");
  await page.getByRole("complementary", { name: "Chats" }).waitFor({ state: "detached" });
  await page.keyboard.press("Control+Shift+o");
  await page.getByText("What shall we think about?").waitFor();
  assertEquals(await page.evaluate("document.activeElement.id"), "message");
});

const WIDE = `|${"Quantisation|".repeat(8)}\n|${"-|".repeat(8)}\n|${"a|".repeat(8)}`;

pageTest(
  "on a small page the welcome begins at its top, and words of tables stay whole",
  async ({ page }) => {
    const scrolled = () => page.evaluate("document.querySelector('main').scrollTop");
    assertEquals(await scrolled(), 0);
    await say(page, "Hi");
    await lastAnswer(page);
    const lines = await page.locator("th").first().evaluate((cell) => {
      const range = cell.ownerDocument.createRange();
      range.selectNodeContents(cell);
      return range.getClientRects().length;
    });
    assertEquals(lines, 1);
    const [width, shown] = await page.evaluate<number[]>(
      "[document.querySelector('main').scrollWidth, document.querySelector('main').clientWidth]",
    );
    assertEquals(width, shown);
  },
  {
    models: [new ScriptedModel({ script: [WIDE] })],
    viewport: { width: 320, height: 480 },
  },
);

const EVERYTHING =
  "# Title\n\nText with `code` and [a link](https://example.com).\n\n```js\nlet a;\n" +
  "```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n> quote";

for (
  const [colorScheme, width, isDeep] of [
    ["light", 1400, false],
    ["dark", 390, false],
    ["light", 390, true],
    ["dark", 1400, true],
  ] as const
) {
  pageTest(`axe finds nothing serious at ${width} px, ${colorScheme}`, async ({ page }) => {
    await say(page, "Hi");
    await lastAnswer(page);
    assertEquals(await seriousFindings(page), []);
    await page.keyboard.press("Alt+n");
    await page.getByText("live").waitFor();
    assertEquals(await seriousFindings(page), []);
    await page.keyboard.press("Alt+n");
    if (width < 1000) await page.getByRole("button", { name: "Show chats" }).click();
    assertEquals(await seriousFindings(page), []);
    if (width < 1000) await page.keyboard.press("Escape");
    const chats = await page.getByRole("complementary", { name: "Chats" }).count();
    assertEquals(chats, width < 1000 ? 0 : 1);
    assertEquals(await page.title(), "Hi · Ganglion");
    await page.keyboard.press("Control+,");
    await page.getByRole("dialog").waitFor();
    assertEquals(await seriousFindings(page), []);
    const [scrolled, shown] = await page.evaluate<number[]>(
      "[document.documentElement.scrollWidth, innerWidth]",
    );
    assert(scrolled <= shown, "nothing is wider than the page");
  }, {
    models: [new BusyModel({ script: [EVERYTHING] })],
    ...{ colorScheme, viewport: { width, height: 844 }, reducedMotion: "reduce" },
    ...isDeep && { deep: "both widths and both colour schemes are looked at, each with one" },
  });
}

/** Keeps a chat of `count` messages in the browser's database, and opens the page anew. */
async function keepLongChat(page: Page, count: number): Promise<void> {
  const nodes = Array.from({ length: count }, (_, i) => ({
    ...{ id: `n${i}`, parentId: i === 0 ? null : `n${i - 1}` },
    ...i % 2 === 0
      ? { role: "user", content: `Question ${i}?` }
      : { role: "assistant", content: `Answer ${i}.\n\n| a | b |\n|---|---|\n| 1 | 2 |` },
  }));
  const chat = { id: "long", title: "A long one", createdMs: 1, updatedMs: 2, nodes };
  await page.evaluate(`new Promise((resolve, reject) => {
    const request = indexedDB.open("ganglion", 1);
    request.onsuccess = () => {
      const change = request.result.transaction("chats", "readwrite");
      change.objectStore("chats").put(${JSON.stringify({ ...chat, leafId: `n${count - 1}` })});
      change.oncomplete = () => resolve(null);
      change.onerror = () => reject(change.error);
    };
  })`);
  await page.reload();
  await page.getByText("A long one").waitFor();
}

const TOP_OF = (id: string) =>
  `[...document.querySelectorAll("article")].find(({ textContent }) =>
    textContent.startsWith("${id}")).getBoundingClientRect().top`;

for (const anchors of [true, false]) {
  for (const by of ["-= 500", "= 0"]) {
    const how = `${anchors ? "" : ", by itself"}, scrolled ${by}`;
    const isDeep = anchors === (by === "= 0");
    pageTest(
      `a long chat opens at its end, and what is read stays where it is${how}`,
      ({ page }) => readLongChat(page, by, anchors),
      isDeep ? { deep: "each place and each way is looked at with one of the other" } : {},
    );
  }
}

/**
 * by: how far up somebody reads while older messages come; 0 is the top of what there is.
 * anchors: the browser keeps in place what is read.
 */
async function readLongChat(page: Page, by: string, anchors: boolean): Promise<void> {
  if (!anchors) await page.addInitScript("CSS.supports = () => false");
  await keepLongChat(page, 120);
  // Before the page hears anybody again: how many messages the click itself has shown.
  const shown = await page.evaluate<number>(`new Promise((resolve) => {
    ${anchors ? "" : `document.querySelector("main").style.overflowAnchor = "none";`}
    const button = [...document.querySelectorAll("button")]
      .find(({ textContent }) => textContent.includes("A long one"));
    button.click();
    requestAnimationFrame(() => resolve(document.querySelectorAll("article").length));
  })`);
  assertEquals(shown, 16);
  const fromEnd = `(({ scrollHeight, scrollTop, clientHeight }) =>
    scrollHeight - scrollTop - clientHeight)(document.querySelector("main"))`;
  assert(await page.evaluate<number>(fromEnd) < 2, "at the end");
  const answer = by === "= 0" ? "Answer 105." : "Answer 113.";
  // Somebody reads further up while older messages come.
  await page.evaluate(`document.querySelector("main").scrollTop ${by}`);
  await page.waitForTimeout(50);
  const top = await page.evaluate<number>(TOP_OF(answer));
  await until(page, `document.querySelectorAll("article").length === 120`);
  await until(page, `document.querySelectorAll(".is-resting").length === 104`);
  await until(page, `document.querySelector("[role=log]").ariaBusy === "false"`);
  assert(Math.abs(await page.evaluate<number>(TOP_OF(answer)) - top) < 2);
  // What rests is as high as it was: the end is where it would be with all of it drawn.
  const height = await page.evaluate<number>(`document.querySelector("main").scrollHeight`);
  await page.evaluate(`document.querySelectorAll("article")
    .forEach(({ style }) => style.contentVisibility = "visible")`);
  const drawn = await page.evaluate<number>(`document.querySelector("main").scrollHeight`);
  assert(Math.abs(drawn - height) < 2, `${height}, drawn ${drawn}`);
}
