/** The microphone on the page: attached for a model that hears, written down by one for others. */
import { assert, assertEquals } from "@std/assert";
import type { Page } from "playwright-core";
import { decodeSound } from "../../../src/hearing/decode.ts";
import type { SeenImages } from "../../../src/llm/types.ts";
import { ScriptedModel } from "../../support/scripted_model.ts";
import { closeBrowserAtEnd, lastAnswer, pageTest, seriousFindings, until } from "./page_world.ts";

closeBrowserAtEnd();

const see = (): SeenImages => ({ ids: [[1]], given: [] });
const ears = () =>
  new ScriptedModel({
    ...{ id: "ears", see, script: ["It beeps."] },
    details: { uses: ["writing", "sounds"] },
  });
const deaf = new ScriptedModel({ id: "deaf" });
const button = (page: Page, name: string) => page.getByRole("button", { name });

async function allow(page: Page, url: string): Promise<void> {
  await page.context().grantPermissions(["microphone"], { origin: url });
}

const heard = ears();
pageTest("what is recorded goes with the message, and is what the server reads", async (world) => {
  const { page, url } = world;
  await allow(page, url);
  await button(page, "Record a sound").click();
  const clock = page.getByRole("timer", { name: "Length of the recording" });
  await clock.getByText("0:01").waitFor();
  assertEquals(await seriousFindings(page), []);
  await until(
    page,
    `Number(/[\\d.]+/.exec(document.querySelector(".level span").style.transform)) > 0.1`,
  );
  assert(await button(page, "Send message").isDisabled());
  await button(page, "End the recording").press("Enter");
  await page.locator("audio").waitFor();
  await clock.waitFor({ state: "detached" });
  await until(page, `document.querySelector("audio").duration < 60`);
  assertEquals(await seriousFindings(page), []);
  await button(page, "Send message").click();
  await lastAnswer(page);
  const [{ file }] = heard.chats.at(-1)![0].images!;
  const { values, rate } = await decodeSound(file);
  const seconds = values.length / rate;
  assert(seconds > 0.8 && seconds < 20, `${seconds} s`);
  assert(values.some((value) => Math.abs(value) > 0.01), "the fake microphone beeps");
}, { models: [heard] });

const writer = ears();
pageTest("for a model that does not hear another one writes down what is said", async (world) => {
  const { page, url } = world;
  await allow(page, url);
  await page.getByLabel("Your message").fill("I say:");
  await page.keyboard.press("Alt+r");
  await page.getByRole("timer").getByText("0:01").waitFor();
  await page.keyboard.press("Alt+r");
  await until(page, `document.querySelector("#message").value === "I say: It beeps."`);
  assertEquals(writer.chats.at(-1)![0].images!.length, 1);
  assertEquals(await page.evaluate("document.activeElement.id"), "message");
  await button(page, "Say the message").click();
  await button(page, "Discard the recording").click();
  await page.getByRole("timer").waitFor({ state: "detached" });
  assertEquals(await page.evaluate("document.activeElement.id"), "message");
  assertEquals(writer.chats.length, 1);
}, { models: [deaf, writer] });

pageTest("who refuses the microphone, or has none, is told what to do", async ({ page }) => {
  await button(page, "Record a sound").click();
  await page.getByText("The page may not use the microphone: allow it").waitFor();
  assertEquals(await button(page, "Record a sound").isEnabled(), true);
  for (
    const [fault, words] of [
      [`() => Promise.reject(new DOMException("", "NotFoundError"))`, "There is no microphone"],
      [`() => Promise.reject(new DOMException("", "NotReadableError"))`, "another program"],
    ]
  ) {
    await page.evaluate(`navigator.mediaDevices.getUserMedia = ${fault}`);
    await button(page, "Record a sound").click();
    await page.getByText(words).waitFor();
  }
  await page.evaluate(
    `Object.defineProperty(navigator, "mediaDevices", { value: undefined })`,
  );
  await button(page, "Record a sound").click();
  await page.getByText("only to pages by https").waitFor();
}, { models: [ears()] });

pageTest("there is no microphone where no model hears", async ({ page }) => {
  await page.getByLabel("Model", { exact: true }).waitFor();
  assertEquals(await page.getByRole("button", { name: /Record|Say/ }).count(), 0);
}, { models: [deaf] });
