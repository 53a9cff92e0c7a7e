/** Thoughts of a bounded length, in every API that has them. */
import { assert, assertEquals, assertLessOrEqual, assertStringIncludes } from "@std/assert";
import { createApp, loadedModels } from "../../../src/server/mod.ts";
import { HARMONY_CONTROLS, HARMONY_TEMPLATE } from "../../support/harmony.ts";
import { withModel, withTinyFile } from "../../support/loaded_model.ts";
import { CALL_TEMPLATES } from "../../support/native_calls.ts";
import { templated, TEMPLATED_SHAPE } from "../../support/templated.ts";
import { CHAT, hello, post, testApp } from "../http_client.ts";
import { judgeCall } from "../tools/bound_calls.ts";
import "../../support/thread_pool.ts";

const details = { chatTemplate: "<think></think>" };
const opened = { messages: [{ role: "user", content: "Hi<think>\n" }] };

/** Tokens that thoughts may have, as the model was told; null: any number. */
async function told(path: string, body: object, thoughtTokensMax?: number) {
  const { app, model } = testApp({ details }, { thoughtTokensMax });
  const response = await post(app, path, { ...opened, ...body });
  assertEquals(response.status, 200, await response.text());
  const [{ prelude }] = model.requests;
  return prelude?.tokensMax ?? null;
}

Deno.test("what a request lets a model think comes before what the server does", async () => {
  assertEquals(await told(CHAT, {}), null);
  assertEquals(await told(CHAT, { thinking_budget_tokens: 7 }), 7);
  assertEquals(await told(CHAT, {}, 9), 9);
  assertEquals(await told(CHAT, { thinking_budget_tokens: 0 }, 9), 0);
  assertEquals(await told(CHAT, { thinking_budget_tokens: -1 }, 9), null);
  assertEquals(await told(CHAT, { thinking_budget_tokens: 7, reasoning_format: "none" }), 7);
  assertEquals(await told("/api/chat", { stream: false }, 9), 9);
});

Deno.test("thoughts whose closing mark a request forbids are bound by no server, and by no budget", async () => {
  const close = testApp({ details }).model.encodeText("</think>", { special: true });
  for (const id of close) {
    assertEquals(await told(CHAT, { logit_bias: { [id]: -100 } }, 9), null);
    assertEquals(await told(CHAT, { logit_bias: { [id]: -99.5 } }, 9), 9);
    const { app, model } = testApp({ details });
    const budget = { ...opened, thinking_budget_tokens: 7, logit_bias: { [id]: -100 } };
    const response = await post(app, CHAT, { ...budget, stream: true });
    assertEquals(response.status, 400);
    const { error } = await response.json();
    assertEquals([error.param, model.requests.length], ["logit_bias", 0]);
    assertStringIncludes(error.message, `forbids the token ${id} of "</think>"`);
    const unbounded = { ...budget, thinking_budget_tokens: -1 };
    assertEquals((await post(app, CHAT, unbounded)).status, 200);
  }
});

Deno.test("Anthropic's budget is one, unless nothing is to be thought", async () => {
  const ask = (thinking: object) => told("/v1/messages", { max_tokens: 100, thinking });
  assertEquals(await ask({ type: "enabled", budget_tokens: 20 }), 20);
  assertEquals(await ask({ type: "enabled" }), null);
  assertEquals(await ask({ type: "disabled", budget_tokens: 20 }), null);
});

Deno.test("an answer that has begun has no thoughts to bound, and a budget is a whole number", async () => {
  const begun = [...hello.messages, { role: "assistant", content: "I" }];
  const { app, model } = testApp({ details }, { thoughtTokensMax: 5 });
  assertEquals((await post(app, "/v1/messages", { max_tokens: 9, messages: begun })).status, 200);
  assertEquals(model.requests[0].prelude, undefined);
  for (const thinking_budget_tokens of [-2, 1.5, "7", 2 ** 40]) {
    const response = await post(app, CHAT, { ...hello, thinking_budget_tokens });
    assertEquals(response.status, 400);
    assertStringIncludes(await response.text(), "thinking_budget_tokens");
  }
});

const TAGS = { "<think>": "", "</think>": "" };
const MODELS = {
  opened: {
    metadata: templated("{{ messages[0].content }}<think>\n{# </think> #}", TAGS),
    closes: ["</think>"],
  },
  harmony: { metadata: templated(HARMONY_TEMPLATE, HARMONY_CONTROLS), closes: ["<|end|>"] },
};

Deno.test("a model that would think for ever closes its thoughts, and answers", async () => {
  for (const [name, { metadata, closes }] of Object.entries(MODELS)) {
    await withTinyFile(
      { metadata, ...TEMPLATED_SHAPE },
      (path) =>
        withModel(path, { threads: 1 }, async (model) => {
          const app = createApp({ models: loadedModels([model]) });
          const idOf = (mark: string) => model.encodeText(mark, { special: true })[0];
          const never = Object.fromEntries(
            [...closes.map(idOf), ...model.tokenizer.endIds].map((id) => [id, -99]),
          );
          // Of random weights nothing begins thoughts: what binds the answer does.
          const response_format = name === "harmony"
            ? { type: "json_schema", json_schema: { schema: { enum: ["yes", "no"] } } }
            : undefined;
          for (const thinking_budget_tokens of [0, 1, 6]) {
            const body = {
              ...{ ...hello, thinking_budget_tokens, response_format, max_tokens: 60, seed: 3 },
              ...{ temperature: 1, logit_bias: never },
            };
            const { choices: [choice], usage } = await (await post(app, CHAT, body)).json();
            const { reasoning_tokens } = usage.completion_tokens_details;
            const said = `${name} ${thinking_budget_tokens}: ${JSON.stringify(choice)}`;
            assertLessOrEqual(reasoning_tokens, thinking_budget_tokens, said);
            assert(choice.message.content.length > 0, said);
            if (response_format) assert(["yes", "no"].includes(JSON.parse(choice.message.content)));
          }
        }),
    );
  }
});

Deno.test("a call that ends thoughts is not cut by their budget", async () => {
  const chatTemplate = CALL_TEMPLATES.dsml + "</think>";
  const { app, model } = testApp({ details: { chatTemplate } });
  const tools = [{ type: "function", function: { name: "f" } }];
  for (const more of [{ tools }, {}]) {
    await (await post(app, CHAT, { ...opened, ...more, thinking_budget_tokens: 3 })).text();
  }
  const call = "Hm <｜DSML｜function_calls>\n";
  const judged = model.requests.map(({ prelude }) => judgeCall(prelude!.grammar, call));
  assertEquals(judged, ["yes", "begun"]);
});

Deno.test("thoughts that are shown as text are bounded from where the prompt opens them", async () => {
  const { app, model } = testApp({ details });
  const body = { ...opened, thinking_budget_tokens: 3, reasoning_format: "none" };
  assertEquals((await post(app, CHAT, body)).status, 200);
  assertEquals(judgeCall(model.requests[0].prelude!.grammar, "Hm"), "begun");
});
