/** A model that writes in Harmony's form, for tests: its marks, and a template with its shape. */
import type { ScriptedModelOptions, Step } from "./scripted_model.ts";

/** The characters that stand for marks in a script. */
export const HARMONY_CONTROLS = {
  "<|start|>": "\uE000",
  "<|channel|>": "\uE001",
  "<|constrain|>": "\uE002",
  "<|message|>": "\uE003",
  "<|end|>": "\uE004",
  "<|return|>": "\uE005",
  "<|call|>": "\uE006",
};

/** What the form needs, in few words: tools, thoughts, calls, results. */
export const HARMONY_TEMPLATE = `<|start|>system<|message|>Reasoning: {{ reasoning_effort }}<|end|>
{%- for m in messages %}
{%- if m.role == "system" %}<|start|>developer<|message|>{{ m.content }}
{%- for tool in tools %} {{ tool.function.name + ": " + tool.function.description }}{% endfor -%}
<|end|>
{%- elif m.tool_calls %}
{%- if m.thinking %}<|start|>assistant<|channel|>analysis<|message|>{{ m.thinking }}<|end|>
{%- endif %}<|start|>assistant to=functions.{{ m.tool_calls[0].function.name -}}
<|channel|>commentary json<|message|>{{ m.tool_calls[0].function.arguments | tojson }}<|call|>
{%- elif m.role == "tool" %}<|start|>functions to=assistant<|channel|>commentary<|message|>
{{- m.content | tojson }}<|end|>
{%- elif m.role == "assistant" %}<|start|>assistant<|channel|>final<|message|>
{{- m.content }}<|end|>
{%- else %}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|start|>assistant{% endif %}`;

/** Options of a scripted model that says `text`, marks spelt out, a token at a time. */
export function harmonyModel(text: string): ScriptedModelOptions {
  return {
    details: { chatTemplate: HARMONY_TEMPLATE },
    controls: HARMONY_CONTROLS,
    script: harmonySteps(text),
  };
}

/** `text` as a script, a token at a time. */
export function harmonySteps(text: string): Step[] {
  let written = text;
  for (const [mark, char] of Object.entries(HARMONY_CONTROLS)) {
    written = written.replaceAll(mark, char);
  }
  return [...written];
}
