/** Models and files that mean harm, and servers that say no: in a browser. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { RequestError } from "../../../src/base/errors.ts";
import { ApiKeys } from "../../../src/server/api_keys.ts";
import { closeBrowserAtEnd, lastAnswer, pageTest, say } from "./page_world.ts";

closeBrowserAtEnd();

const HOSTILE = `<script>window.hacked = 1</script>
<img src=x onerror="window.hacked = 2"> <svg onload="window.hacked = 3"></svg>
<style>body { display: none }</style> <iframe srcdoc="<script>parent.hacked = 4</script>"></iframe>
<form action="https://example.com"><input name=a autofocus onfocus="window.hacked = 5"></form>

[click](javascript:window.hacked=6) [data](data:text/html,x) ![pixel](https://example.com/p.png)
[good](https://example.com/ "title\\" onclick=\\"window.hacked=7")

\`\`\`"><img src=x onerror=window.hacked=8>
</code></pre><script>window.hacked = 9</script>
\`\`\`

| a | <b onclick="window.hacked=10">b</b> |
|---|---|
| 1 | <math><mtext></mtext></math> |`;

const ALLOWED = new Set([
  ...["ARTICLE", "DIV", "P", "A", "STRONG", "EM", "CODE", "PRE", "SPAN", "BUTTON", "svg", "path"],
  ...["TABLE", "THEAD", "TBODY", "TR", "TH", "TD", "BR", "UL", "OL", "LI"],
]);

pageTest("what a model writes does no harm, and imported chats neither", async ({ page }) => {
  const look = async () => {
    const answer = await lastAnswer(page);
    await answer.getByText("pixel").waitFor();
    const tags: string[] = await answer.locator("*")
      .evaluateAll((all) => all.map(({ tagName }) => tagName));
    assertEquals(tags.filter((tag) => !ALLOWED.has(tag)), []);
    const links: (string | null)[] = await answer.locator("a")
      .evaluateAll((all) => all.map((link) => link.getAttribute("href")));
    assertEquals(links, ["https://example.com/p.png", "https://example.com/"]);
    const bad = await answer.locator("[onerror],[onclick],[onload],[onfocus],[style],img").count();
    assertEquals([bad, await page.evaluate("window.hacked")], [0, undefined]);
    assertStringIncludes((await answer.textContent())!, "<script>window.hacked = 1</script>");
  };
  await say(page, HOSTILE);
  await look();
  const node = { id: "a", parentId: null, role: "user", content: HOSTILE, __proto__: { x: 1 } };
  const nodes = [node, { id: "b", parentId: "a", role: "assistant", content: HOSTILE }];
  const file = { format: "ganglion-chats", version: 1, chats: [{ title: HOSTILE, nodes }] };
  const buffer = Buffer.from(JSON.stringify(file));
  const upload = { name: "chats.json", mimeType: "application/json", buffer };
  await page.getByLabel("File with chats").setInputFiles(upload);
  await page.getByText("One chat imported.").waitFor();
  await page.locator(".chat-title").first().click();
  await look();
}, { script: { script: [HOSTILE] } });

pageTest("an answer that fails says why and what helps, and can be tried again", async (world) => {
  const { page } = world;
  await say(page, "Hi");
  const alert = page.getByRole("alert");
  await alert.getByText("The prompt does not fit.").waitFor();
  assertStringIncludes((await alert.textContent())!, "Begin a new chat");
  await alert.getByRole("button", { name: "Try again" }).click();
  const answer = await lastAnswer(page);
  await answer.getByText("half an answer").waitFor();
  await answer.getByText("The engine is gone").waitFor();
  await answer.getByRole("button", { name: "Try again" }).click();
  await answer.getByText("whole").waitFor();
  // The browser itself tells of a status that is none of success.
  assertEquals(world.errors.splice(0).length, 1);
}, { script: failing() });

function failing() {
  let asked = 0;
  return {
    refuse: () =>
      asked++ === 0
        ? new RequestError("The prompt does not fit", {
          ...{ status: 400, code: "context_length_exceeded" },
        })
        : undefined,
    script: () =>
      asked === 2
        ? ["half an answer", 50, new RequestError("The engine is gone", { status: 500 })]
        : ["whole"],
  };
}

pageTest(
  "a server that is gone is said to be, and the question can be put again",
  async (world) => {
    const { page } = world;
    await page.context().setOffline(true);
    await say(page, "Hi");
    const alert = page.getByRole("alert");
    await alert.getByText("The server does not answer.").waitFor();
    await page.getByText("No connection: is the server running?").waitFor();
    await page.context().setOffline(false);
    await alert.getByRole("button", { name: "Try again" }).click();
    await (await lastAnswer(page)).getByText("Hello, world").waitFor();
    await page.getByText("No connection").waitFor({ state: "detached" });
    for (const line of world.errors.splice(0)) assertStringIncludes(line, "ERR_INTERNET");
  },
);

pageTest("a server that wants a key gets it, after a wrong one is refused", async (world) => {
  const { page } = world;
  const dialog = page.getByRole("dialog", { name: "API key" });
  await dialog.getByLabel("This server asks for an API key").fill("wrong");
  await dialog.getByRole("button", { name: "Use this key" }).click();
  await dialog.getByText("does not know that key").waitFor();
  await dialog.getByLabel("This server asks for an API key").fill("right");
  await page.keyboard.press("Enter");
  await page.getByLabel("Model").waitFor();
  await say(page, "Hi");
  await (await lastAnswer(page)).getByText("Hello, world").waitFor();
  await page.reload();
  await page.getByLabel("Model").waitFor();
  for (const line of world.errors.splice(0)) assertStringIncludes(line, "401");
}, { server: { apiKeys: new ApiKeys(["right"]) } });
