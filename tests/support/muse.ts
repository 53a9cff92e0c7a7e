/** A model whose messages say whom they are for, as Muse Glimmer's do, for tests. */
import type { ScriptedModelOptions } from "./scripted_model.ts";

/** The characters that stand for marks in a script. */
const MUSE_CONTROLS = {
  "<|start|>": "\uE000",
  "<|message|>": "\uE001",
  "<|eom|>": "\uE002",
  "<|eot|>": "\uE003",
};

/** What the form needs, in few words. */
const MUSE_TEMPLATE = `{% for tool in tools %}{{ tool.function.name }} {% endfor -%}
{%- for m in messages %}<|start|>{{ m.role }} to=user<|message|>{{ m.content }}
{%- if m.tool_calls %}<atem:function_calls>{{ m.tool_calls | tojson }}{% endif %}<|eot|>
{%- endfor %}{# <|eom|> #}<|start|>assistant`;

/** Options of a scripted model that says `text`, marks spelt out, a token at a time. */
export function museModel(text: string): ScriptedModelOptions {
  let written = text;
  for (const [mark, char] of Object.entries(MUSE_CONTROLS)) {
    written = written.replaceAll(mark, char);
  }
  return {
    details: { chatTemplate: MUSE_TEMPLATE },
    controls: MUSE_CONTROLS,
    script: [...written],
  };
}
