/** Models that write calls between marks of their own, for tests: marks, and templates' shapes. */
import type { ScriptedModelOptions } from "./scripted_model.ts";

/** The characters that stand for marks in a script. */
export const CALL_CONTROLS = {
  "<｜tool▁calls▁begin｜>": "\uE100",
  "<｜tool▁call▁begin｜>": "\uE101",
  "<｜tool▁sep｜>": "\uE102",
  "<｜tool▁call▁end｜>": "\uE103",
  "<｜tool▁calls▁end｜>": "\uE104",
  "<|tool_calls_section_begin|>": "\uE105",
  "<|tool_call_begin|>": "\uE106",
  "<|tool_call_argument_begin|>": "\uE107",
  "<|tool_call_end|>": "\uE108",
  "<|tool_calls_section_end|>": "\uE109",
  "[TOOL_CALLS]": "\uE10A",
  "[ARGS]": "\uE10B",
  "｜DSML｜": "\uE10C",
  "<|tools_prefix|>": "\uE10D",
  "<|tools_suffix|>": "\uE10E",
  "<|python_tag|>": "\uE10F",
  "<|open|>": "\uE110",
  "<|close|>": "\uE111",
  "<|sep|>": "\uE112",
};

const call = (before: string, behind: string, end: string) =>
  `${before}{{ call.function.name }}${behind}{{ call.function.arguments | tojson }}${end}`;
const conversation = (calls: string, condition = "m.tool_calls") =>
  `{% for m in messages %}{% if ${condition} %}${calls}{% else %}{{ m.content }}
{% endif %}{% endfor %}`;
const loop = (each: string) => `{% for call in m.tool_calls %}${each}{% endfor %}`;

/** What the forms need, in few words. DeepSeek's V3.1 does not say which functions there are. */
export const CALL_TEMPLATES = {
  deepseekR1: "{{ tools | tojson }}" + conversation(
    "<｜tool▁calls▁begin｜>" + loop(
      call(
        "<｜tool▁call▁begin｜>{{ call.type }}<｜tool▁sep｜>",
        "\n```json\n",
        "\n```<｜tool▁call▁end｜>",
      ),
    ) + "<｜tool▁calls▁end｜>",
    // As these templates ask.
    "m.tool_calls and m['content'] is none",
  ),
  deepseek: conversation(
    "<｜tool▁calls▁begin｜>" +
      loop(call("<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>")) +
      "<｜tool▁calls▁end｜>",
  ),
  kimi: "{{ tools | tojson }}" + conversation(
    "<|tool_calls_section_begin|>" + loop(
      "<|tool_call_begin|>{{ call.id }}<|tool_call_argument_begin|>" +
        "{{ call.function.arguments | tojson }}<|tool_call_end|>",
    ) + "<|tool_calls_section_end|>",
  ),
  mistral: "{{ tools | tojson }}" + conversation(loop(call("[TOOL_CALLS]", "[ARGS]", ""))),
  // The mark is put together with what is between it, as these templates do.
  dsml: "{% set mark = '｜DSML｜' %}{{ tools | tojson }}" + conversation(
    "<{{ mark }}function_calls>\n" + loop(
      '<{{ mark }}invoke name="{{ call.function.name }}">\n' +
        "{% for key, value in call.function.arguments.items() %}" +
        '<{{ mark }}parameter name="{{ key }}" string="false">{{ value | tojson }}' +
        "</{{ mark }}parameter>\n{% endfor %}</{{ mark }}invoke>\n",
    ) + "</{{ mark }}function_calls>",
  ),
  functionary: "{{ tools | tojson }}{% set answer = '>>>all\\n' %}" + conversation(
    loop("{{ '>>>' + call.function.name + '\\n' + call.function.arguments }}"),
  ) + "{% if add_generation_prompt %}>>>{% endif %}",
  apertus: "{{ tools | tojson }}" + conversation(
    "<|tools_prefix|>[" + loop(
      "{{ '{\"' + call.function.name + '\": ' + call.function.arguments | tojson + '}' }}" +
        "{{ '' if loop.last else ', ' }}",
    ) + "]<|tools_suffix|>",
  ),
  // Tags are put together, too.
  kimi3: "{% macro tag(mark, name) %}{{ mark + name + '<|sep|>' }}{% endmacro %}" +
    "{{ tools | tojson }}" + conversation(
      "{{ tag('<|open|>', 'tools') }}" + loop(
        "{{ tag('<|open|>', 'call tool=\"' + call.function.name + '\" index=\"1\"') }}" +
          "{% for key, value in call.function.arguments.items() %}" +
          "{{ tag('<|open|>', 'argument key=\"' + key + '\" type=\"number\"') }}" +
          "{{ value | tojson }}{{ tag('<|close|>', 'argument') }}{% endfor %}" +
          "{{ tag('<|close|>', 'call') }}",
      ) + "{{ tag('<|close|>', 'tools') }}",
    ) + "{% if add_generation_prompt %}{{ tag('<|open|>', 'think') }}{% endif %}",
  llama: "{{ tools | tojson }}" + conversation(loop(
    "{% if builtin_tools %}<|python_tag|>{{ call.function.name + '.call()' }}{% else %}" +
      '{"name": "{{ call.function.name }}", "parameters": {{ call.function.arguments | tojson }}}' +
      "{% endif %}",
  )),
};

export type NativeModel = keyof typeof CALL_TEMPLATES;

/** Options of a scripted model that says `text`, marks spelt out, a token at a time. */
export function nativeModel(name: NativeModel, text: string): ScriptedModelOptions {
  let written = text;
  for (const [mark, char] of Object.entries(CALL_CONTROLS)) {
    written = written.replaceAll(mark, char);
  }
  return {
    details: { chatTemplate: CALL_TEMPLATES[name] },
    controls: CALL_CONTROLS,
    script: [...written],
  };
}
