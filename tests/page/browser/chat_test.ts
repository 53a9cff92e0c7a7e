/** What people do on the page, in a browser. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { closeBrowserAtEnd, lastAnswer, pageTest, say } from "./page_world.ts";

closeBrowserAtEnd();

const CODE = "Look:\n\n```js\nlet one = 1;\n```\n\n- a\n- **b**";

const seen = Promise.withResolvers<void>();
pageTest("the page shows an answer while it comes, and how fast it came", async ({ page }) => {
  await say(page, "Hi");
  const answer = page.getByRole("article", { name: "Answer" });
  await answer.getByText("Once upon").waitFor();
  await page.getByRole("button", { name: "Stop the answer" }).waitFor();
  seen.resolve();
  await answer.getByText("a time").waitFor();
  await lastAnswer(page);
  const facts = await answer.locator(".facts").textContent();
  assertMatch(facts!, /^16 tokens · 1600 tokens\/s · first after \d+ ms$/);
}, { script: { script: ["Once upon", seen.promise, " a time"] } });

pageTest("the page renders markdown and colours code, which can be copied", async ({ page }) => {
  await say(page, "Hi");
  const answer = await lastAnswer(page);
  assertEquals(await answer.locator("li strong").textContent(), "b");
  assertEquals(await answer.locator("code .hljs-keyword").textContent(), "let");
  await answer.getByRole("button", { name: "Copy", exact: true }).click();
  await answer.getByRole("button", { name: "Copied" }).waitFor();
  assertEquals(await page.evaluate("navigator.clipboard.readText()"), "let one = 1;");
}, { script: { script: [CODE.slice(0, 20), 30, CODE.slice(20)] } });

pageTest("stopping keeps what has come, by the button and by Esc", async ({ page, model }) => {
  for (const stop of ["button", "key"]) {
    await say(page, "Hi");
    await page.getByRole("article", { name: "Answer" }).last().getByText("endless").waitFor();
    if (stop === "key") await page.keyboard.press("Escape");
    else await page.getByRole("button", { name: "Stop the answer" }).click();
    const answer = await lastAnswer(page);
    assertStringIncludes((await answer.textContent())!, "endless");
    assertStringIncludes((await answer.locator(".facts").textContent())!, "stopped");
  }
  await model.until(({ aborted }) => aborted === 2);
  // So does leaving the page.
  await say(page, "Hi");
  await page.getByRole("article", { name: "Answer" }).last().getByText("endless").waitFor();
  await page.reload();
  await page.locator(".chat-title").click();
  const answer = await lastAnswer(page);
  assertStringIncludes((await answer.textContent())!, "endless");
  assertStringIncludes((await answer.locator(".facts").textContent())!, "stopped");
  await model.until(({ aborted }) => aborted === 3);
}, { script: { script: ["endless", 60_000] } });

let turn = 0;
pageTest("answering again makes a version, and versions can be turned", async ({ page, model }) => {
  await say(page, "Hi");
  const answer = await lastAnswer(page);
  const first = (await answer.locator(".prose").textContent())!.trim();
  await answer.getByRole("button", { name: "Answer again" }).click();
  await answer.getByText("2 / 2").waitFor();
  assert((await answer.locator(".prose").textContent())!.trim() !== first);
  await answer.getByRole("button", { name: "Version before" }).click();
  await answer.getByText("1 / 2").waitFor();
  assertEquals((await answer.locator(".prose").textContent())!.trim(), first);
  // What is said next follows the version that is shown.
  await say(page, "Go on");
  await lastAnswer(page);
  assertEquals(model.chats.at(-1)!.map(({ content }) => content), ["Hi", first, "Go on"]);
}, { script: { script: () => [`turn ${++turn}`] } });

pageTest("editing a message begins a branch, and the other one stays", async ({ page, model }) => {
  await say(page, "What is red?");
  await lastAnswer(page);
  await say(page, "And blue?");
  await lastAnswer(page);
  const first = page.getByRole("article", { name: "You" }).first();
  await first.hover();
  await first.getByRole("button", { name: "Edit message" }).click();
  await page.getByLabel("Edited message").fill("What is green?");
  await page.keyboard.press("Enter");
  await lastAnswer(page);
  assertEquals(model.chats.at(-1)!.map(({ content }) => content), ["What is green?"]);
  assertEquals(await page.getByRole("article", { name: "You" }).count(), 1);
  await first.getByRole("button", { name: "Version before" }).click();
  await page.getByText("And blue?").waitFor();
});

pageTest(
  "chats are kept over a reload, found, renamed, deleted and brought back",
  async (world) => {
    const { page } = world;
    for (const text of ["About lighthouses", "About whales"]) {
      await page.getByRole("button", { name: "New chat" }).click();
      await say(page, text);
      await lastAnswer(page);
    }
    await page.reload();
    const chats = page.getByRole("navigation", { name: "Chats" });
    await chats.getByText("About whales").waitFor();
    await page.keyboard.press("Control+k");
    await page.keyboard.type("lighthouse");
    await chats.getByText("About whales").waitFor({ state: "detached" });
    await chats.getByText("About lighthouses").click();
    await page.getByRole("article", { name: "Answer" }).getByText("Hello, world").waitFor();
    await chats.getByRole("button", { name: "Rename About lighthouses" }).click();
    await page.getByLabel("Name of the chat").fill("Lighthouses by night");
    await page.keyboard.press("Enter");
    await chats.getByRole("button", { name: "Delete Lighthouses by night" }).click();
    await chats.getByText("Nothing found.").waitFor();
    await page.getByRole("button", { name: "Undo" }).click();
    await chats.getByText("Lighthouses by night").waitFor();
  },
);

pageTest("chats that are exported can be imported elsewhere", async ({ page }) => {
  await say(page, "Keep me");
  await lastAnswer(page);
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Export" }).click();
  const path = await (await download).path();
  page.once("dialog", (dialog) => dialog.accept());
  await page.getByRole("button", { name: "Delete Keep me" }).click();
  await page.getByText("No chats yet.").waitFor();
  await page.getByLabel("File with chats").setInputFiles(path);
  await page.getByText("One chat imported.").waitFor();
  await page.getByRole("button", { name: "Keep me", exact: true }).click();
  await page.getByRole("article", { name: "Answer" }).getByText("Hello, world").waitFor();
  const bad = { name: "x.json", mimeType: "application/json", buffer: Buffer.from("{}") };
  await page.getByLabel("File with chats").setInputFiles(bad);
  await page.getByText("The file holds no chats").waitFor();
});

pageTest("tabs see each other's chats", async ({ page, url }) => {
  const other = await page.context().newPage();
  await other.goto(url);
  await other.getByText("No chats yet.").waitFor();
  await say(page, "Said here");
  await lastAnswer(page);
  await other.getByRole("button", { name: "Said here", exact: true }).click();
  await other.getByRole("article", { name: "Answer" }).getByText("Hello, world").waitFor();
  await other.getByRole("button", { name: "Delete Said here" }).click();
  await page.getByText("No chats yet.").waitFor();
});

pageTest("what a model thinks is apart from what it says", async ({ page, model }) => {
  await say(page, "Hi");
  const answer = await lastAnswer(page);
  await answer.getByText("Thoughts").click();
  await answer.getByText("Perhaps yes?").waitFor();
  assertEquals((await answer.locator(".prose").textContent())!.trim(), "Yes.");
  await say(page, "Sure?");
  await lastAnswer(page);
  assertEquals(model.chats.at(-1)!.map(({ content }) => content), ["Hi", "Yes.", "Sure?"]);
}, {
  script: {
    details: { chatTemplate: "<think></think>" },
    script: ["<think>Perhaps yes?</think>\n\n", 20, "Yes."],
  },
});
