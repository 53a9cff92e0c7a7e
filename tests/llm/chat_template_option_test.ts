import { assertEquals, assertRejects } from "@std/assert";
import { loadModel, type LoadOptions } from "../../src/llm/mod.ts";
import { withModel, withTinyFile } from "../support/loaded_model.ts";
import "../support/thread_pool.ts";

const HI = [{ role: "user", content: "Hi" }];
const chatTemplate = "{{ messages[0].content }}{% if think %}<think>{% endif %}</think>";

function rendered(options: LoadOptions, variables?: Record<string, unknown>) {
  const texts: (string | null | undefined)[] = [];
  return withTinyFile({}, (path) =>
    withModel(path, { threads: 1, ...options }, (model) => {
      texts.push(model.renderChat(HI, { variables }), model.details?.chatTemplate);
      return Promise.resolve();
    })).then(() => texts);
}

Deno.test("a template of the options' is the model's, for all who look at it", async () => {
  const [text, known] = await rendered({ chatTemplate });
  assertEquals([text, known], ["Hi</think>", chatTemplate]);
});

Deno.test("the options' variables are the template's where a request has none", async () => {
  const templateVariables = { think: true };
  const options = { chatTemplate, templateVariables };
  assertEquals((await rendered(options))[0], "Hi<think></think>");
  assertEquals((await rendered(options, { think: false }))[0], "Hi</think>");
});

Deno.test("loadModel() refuses a template that is no Jinja, or empty, before it loads", () =>
  withTinyFile({}, async (path) => {
    const onProgress = () => assertEquals("loaded", "refused");
    const wrong = [["{% if", "it is not valid Jinja"], ["", "it is empty"], [" \n", "it is empty"]];
    for (const [chatTemplate, fault] of wrong) {
      const load = () => loadModel(path, { chatTemplate, onProgress });
      await assertRejects(load, RangeError, `Cannot use the chat template: ${fault}`);
    }
  }));
