/** Models of random weights, held to the forms of their templates: what they choose is a call. */
import { assert, assertEquals } from "@std/assert";
import type { LoadedModel } from "../../../src/llm/mod.ts";
import { createApp, loadedModels } from "../../../src/server/mod.ts";
import { IS_DEEP } from "../../support/deep.ts";
import { HARMONY_CONTROLS, HARMONY_TEMPLATE } from "../../support/harmony.ts";
import { withModel, withTinyFile } from "../../support/loaded_model.ts";
import { CALL_CONTROLS, CALL_TEMPLATES } from "../../support/native_calls.ts";
import { templated, TEMPLATED_SHAPE } from "../../support/templated.ts";
import { CHAT, hello, post } from "../http_client.ts";
import "../../support/thread_pool.ts";

const schema = {
  type: "object",
  properties: { n: { type: "integer" }, yes: { type: "boolean" } },
  required: ["n", "yes"],
  additionalProperties: false,
};
const tools = ["first", "second"].map((name) => ({
  type: "function",
  function: { name, parameters: schema },
}));

function assertArguments(json: string): void {
  const { n, yes, ...more } = JSON.parse(json);
  assert(Number.isInteger(n) && typeof yes === "boolean", json);
  assertEquals(more, {});
}

interface Call {
  readonly function: { readonly name: string; readonly arguments: string };
}

/** The message that a model answers with, however unlikely. */
async function answer(model: LoadedModel, seed: number, more: object) {
  const app = createApp({ models: loadedModels([model]) });
  const asked = { ...hello, seed, temperature: 1, max_tokens: 80, ...more };
  const response = await post(app, CHAT, asked);
  const { choices: [{ message, finish_reason }] } = await response.json();
  return { message, finish_reason };
}

const PYTHON_CONTROLS = { "<|tool_call_start|>": "", "<|tool_call_end|>": "" };

const LONG = new Set(["dsml", "kimi3"]);

const MODELS = {
  kimi: templated(CALL_TEMPLATES.kimi, CALL_CONTROLS),
  deepseekR1: templated(CALL_TEMPLATES.deepseekR1, CALL_CONTROLS),
  qwen: templated("{{ tools | tojson }}<tool_call><function=f><parameter=k>", {}),
  mistral: templated(CALL_TEMPLATES.mistral, CALL_CONTROLS),
  dsml: templated(CALL_TEMPLATES.dsml, CALL_CONTROLS),
  functionary: templated(CALL_TEMPLATES.functionary, CALL_CONTROLS),
  kimi3: templated(CALL_TEMPLATES.kimi3, CALL_CONTROLS),
  apertus: templated(CALL_TEMPLATES.apertus, CALL_CONTROLS),
  lfm2: templated("{{ tools }}{{ m.tool_calls }}<|tool_call_start|>", PYTHON_CONTROLS),
  "gpt-oss": templated(HARMONY_TEMPLATE, HARMONY_CONTROLS),
};

Deno.test("a call that must be made is one, by control tokens, whatever a model would say", async () => {
  for (const [name, metadata] of Object.entries(MODELS)) {
    await withTinyFile(
      { metadata, ...TEMPLATED_SHAPE },
      (path) =>
        withModel(path, { threads: 1 }, async (model) => {
          // Marks that are spelt out take a token for each of their characters.
          const must = { tools, tool_choice: "required", max_tokens: LONG.has(name) ? 320 : 80 };
          for (let seed = 0; seed < (IS_DEEP ? 4 : 2); seed++) {
            const { message, finish_reason } = await answer(model, seed, must);
            assertEquals(finish_reason, "tool_calls", name);
            assertEquals(message.content ?? "", "", name);
            assert(message.tool_calls.length > 0);
            for (const { function: { name, arguments: json } } of message.tool_calls as Call[]) {
              assert(name === "first" || name === "second");
              assertArguments(json);
            }
          }
        }),
    );
  }
});

Deno.test("answers of a form have thoughts before it, and the form, whatever a model says", async () => {
  for (const name of ["gpt-oss", "kimi3"] as const) {
    const metadata = MODELS[name];
    await withTinyFile(
      { metadata, ...TEMPLATED_SHAPE },
      (path) =>
        withModel(path, { threads: 1 }, async (model) => {
          const response_format = { type: "json_schema", json_schema: { schema } };
          let thoughts = "";
          for (let seed = 0; seed < 8; seed++) {
            const { message, finish_reason } = await answer(model, seed, { response_format });
            assertEquals(finish_reason, "stop");
            assertArguments(message.content);
            thoughts += message.reasoning_content ?? "";
          }
          assert(thoughts.length > 0, name);
        }),
    );
  }
});
