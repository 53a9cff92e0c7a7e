/** Gemma 4's templates: what the older ones are told of tools' answers, and what all forget. */
import { assertEquals } from "@std/assert";
import { createChatTemplate } from "../../src/chat/template.ts";

/** As the older ones go through messages, in short. */
const OLD = `{%- for m in messages -%}
{{- '<|turn>' + m.role + '\\n' -}}
{%- for call in m.tool_calls or [] -%}
  {{- '<|tool_call>call:' + call.function.name + '{}<tool_call|>' -}}
{%- endfor -%}
{%- for each in m.tool_responses or [] -%}
  {{- '<|tool_response>response:' + each.name + '{' + each.response + '}<tool_response|>' -}}
{%- endfor -%}
{{- m.content -}}
{%- if not (m.tool_responses and not m.content) -%}{{- '<turn|>\\n' -}}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt and not messages[-1].tool_responses -%}
  {{- '<|turn>model\\n' -}}
{%- endif -%}`;
/** These read them where they are. */
const NEW = OLD + "{# tool_call_id #}";

function render(template: string, messages: readonly object[], addGenerationPrompt = true) {
  const source = { template, bosText: "", eosText: "", specialTexts: [] };
  return createChatTemplate(source).render(messages as never, { addGenerationPrompt });
}

const call = (id: string, name: string) => ({ id, function: { name, arguments: {} } });
const CALLS = { role: "assistant", content: "", tool_calls: [call("1", "f"), call("2", "g")] };
const CALLED = "<|turn>assistant\n<|tool_call>call:f{}<tool_call|><|tool_call>call:g{}<tool_call|>";
/** In another order than the calls, one by its id and one by its name. */
const ANSWERS = [
  { role: "tool", tool_call_id: "2", content: "two" },
  { role: "tool", name: "f", content: "one" },
];
const ANSWERED = "<|tool_response>response:g{two}<tool_response|>" +
  "<|tool_response>response:f{one}<tool_response|>";

Deno.test("older templates of Gemma 4 are told tools' answers where they were called", () => {
  assertEquals(render(OLD, [CALLS, ...ANSWERS]), CALLED + ANSWERED);
  // By their place, where nothing says whose they are.
  const nameless = ANSWERS.map(({ content }) => ({ role: "tool", content }));
  const byPlace = ANSWERED.replace("g{", "_{").replace("f{", "g{").replace("_{", "f{");
  assertEquals(render(OLD, [CALLS, ...nameless]), CALLED + byPlace);
});

Deno.test("what the assistant says of answers is of the turn that called", () => {
  const said = { role: "assistant", content: "Done." };
  const asked = { role: "user", content: "Hi" };
  assertEquals(
    render(OLD, [CALLS, ...ANSWERS, said, asked]),
    `${CALLED}${ANSWERED}Done.<turn|>\n<|turn>user\nHi<turn|>\n<|turn>model\n`,
  );
  // Another call is another message.
  assertEquals(
    render(OLD, [CALLS, ...ANSWERS, CALLS, ...ANSWERS]),
    CALLED + ANSWERED + CALLED + ANSWERED,
  );
});

Deno.test("a turn begins where a template of Gemma 4 ended one and began none", () => {
  const withText = { ...CALLS, content: "Let me see." };
  const closed = `${CALLED}${ANSWERED}Let me see.<turn|>\n`;
  assertEquals(render(OLD, [withText, ...ANSWERS]), closed + "<|turn>model\n");
  assertEquals(render(OLD, [withText, ...ANSWERS], false), closed);
});

Deno.test("other templates are told the messages as they came", () => {
  const plain = "{% for m in messages %}{{ m.role }}:{{ m.content }}<turn|>\n{% endfor %}";
  assertEquals(render(plain, ANSWERS), "tool:two<turn|>\ntool:one<turn|>\n");
  assertEquals(
    render(NEW, [CALLS, ...ANSWERS]),
    `${CALLED}<turn|>\n<|turn>tool\ntwo<turn|>\n<|turn>tool\none<turn|>\n<|turn>model\n`,
  );
});

Deno.test("tags of other models that are named so change nothing: Hy3's", () => {
  const template = `{%- for m in messages -%}[{{ m.role }}]{{ m.content }}
{%- if m.role == 'tool' -%}{{- '<tool_responses:x>' -}}{%- endif -%}{%- endfor -%}`;
  const shown = "[assistant][tool]two<tool_responses:x>[tool]one<tool_responses:x>";
  assertEquals(render(template, [CALLS, ...ANSWERS]), shown);
});
