/** Random templates: each ends within its budget, with a prompt or a 400 that says why. */
import { assert, assertEquals, assertLess } from "@std/assert";
import fc from "fast-check";
import { RequestError } from "../../src/base/errors.ts";
import { createChatTemplate } from "../../src/chat/mod.ts";
import { assertRefusal, corpus, fuzzRuns, timed } from "../support/fuzz.ts";

const MESSAGES = [
  { role: "system", content: "Be  brief.\nAlways." },
  { role: "user", content: "a</s>b 🙂 \ud800 {{ 1 }}" },
  { role: "assistant", content: "" },
  { role: "user", content: "word ".repeat(40) },
];
const TOOLS = [{ type: "function", function: { name: "f", parameters: { type: "object" } } }];
/** What templates may make of these messages: BASE_TEXT_CHARS and twice the client's. */
const TEXT_CHARS_MAX = 2 ** 20 + 2000;

Deno.test("templates that were found before end early (tests/corpus/templates)", () => {
  for (const { name, text } of corpus("templates")) renderAny(repeated(text), name);
});

Deno.test("any template of Jinja's constructs ends within its budget", () => {
  fc.assert(fc.property(TEMPLATE, (jinja) => renderAny(jinja, jinja)), fuzzRuns(1200));
});

Deno.test("any text of Jinja's tokens ends within its budget", () => {
  const tokens = fc.array(fc.constantFrom(...TOKENS), { maxLength: 60 });
  fc.assert(fc.property(tokens, (parts) => renderAny(parts.join(""))), fuzzRuns(1500));
});

Deno.test("a template of one piece 100,000 times is refused or rendered at once", () => {
  const pieces = TOKENS.flatMap((token) => [["", token], ["{{ ", token], ["{% if x %}", token]]);
  const wanted = fuzzRuns(40).numRuns;
  const step = Math.max(1, Math.floor(pieces.length / wanted));
  for (let index = 0; index < pieces.length; index += step) {
    const [begin, piece] = pieces[index];
    const count = Math.floor(100_000 / piece.length);
    renderAny(begin + piece.repeat(count), JSON.stringify([begin, piece]));
  }
});

/** Renders; whatever comes of it must be a text within the limits, or a refusal of this kind. */
function renderAny(jinja: string, hint = jinja): void {
  try {
    const text = timed(() => {
      const template = createChatTemplate({
        template: jinja,
        bosText: "<s>",
        eosText: "</s>",
        specialTexts: ["<s>", "</s>"],
      });
      return template.render(MESSAGES, { tools: TOOLS, variables: { enable_thinking: true } });
    }, hint);
    assert(typeof text === "string", hint);
    assertLess(text.length, TEXT_CHARS_MAX, hint);
  } catch (error) {
    assertRefusal(error, [RequestError], hint);
    const { status, code, message } = error as RequestError;
    assertEquals([status, code], [400, "chat_template_error"], hint);
    assert(!/Invalid (string|array) length|allocation|undefined \(/.test(message), message);
  }
}

/** `{{~"piece" 5000~}}` in a kept template stands for a piece so many times: files stay small. */
function repeated(text: string): string {
  return text.replace(
    /\{\{~("(?:[^"\\]|\\.)*") (\d+)~\}\}\n?/g,
    (_, piece, count) => (JSON.parse(piece) as string).repeat(Number(count)),
  );
}

const NAMES = ["messages", "tools", "m", "i", "ns", "x", "f", "loop", "bos_token", "nobody"];
const MEMBERS = ["role", "content", "a", "first", "last", "index0", "name", "__proto__"];
const METHODS = [
  "split",
  "replace",
  "strip",
  "upper",
  "items",
  "keys",
  "get",
  "title",
  "startswith",
];
const FILTERS = [
  ...["length", "trim", "upper", "join", "tojson", "list", "first", "last", "sort", "unique"],
  ...["reverse", "map", "selectattr", "rejectattr", "indent", "replace", "int", "float", "string"],
  ...["items", "dictsort", "default", "safe", "abs", "title", "capitalize", "nope"],
];
const TESTS = ["defined", "none", "string", "mapping", "iterable", "number", "true", "odd", "nope"];
const NUMBERS = ["0", "1", "-1", "2", "0.5", "10", "9999", "10000", "1000000000", "9".repeat(400)];
const OPERATORS = ["+", "-", "*", "/", "//", "%", "~", "==", "<", "in", "not in", "and", "**"];
const TEXTS = ["", "a", "\\n", " ", "</s>", "x".repeat(300), "%Y-%m-%d", "\\ud800", "$&"];

const TOKENS = [
  ...["{{", "}}", "{%", "%}", "{{-", "-}}", "{%-", "-%}", "{#", "#}", "(", ")", "[", "]", "{", "}"],
  ...[" ", "\n", " \n\t", ",", ".", ":", "|", "+", "-", "~", "*", "**", "/", "//", "%", "=", "=="],
  ...["'", '"', "'a'", '"b"', "\\", "1", "0.5", "a", "é", "if ", "elif ", "else ", "endif "],
  ...["for ", "in ", "endfor ", "set ", "endset ", "macro ", "endmacro ", "call ", "endcall "],
  ...["filter ", "endfilter ", "generation ", "endgeneration ", "not ", "and ", "or ", "is "],
  ...["{% if x %}", "{% endif %}", "{% for i in messages %}", "{% endfor %}", "{{ x }}", "range("],
];

type Texts = fc.Arbitrary<string>;

const pick = (words: readonly string[]): Texts => fc.constantFrom(...words);

/** The pattern with a text for each @. */
function filled(pattern: string, ...parts: Texts[]): Texts {
  return fc.tuple(...parts).map((texts) => {
    let next = 0;
    return pattern.replace(/@/g, () => texts[next++]);
  });
}

/** How deep is fast-check's to bound. */
const { template: TEMPLATE } = fc.letrec<{ expression: string; template: string }>((tie) => ({
  expression: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    ...expressions(tie("expression")),
  ),
  template: fc.oneof(
    { depthSize: "medium", withCrossShrink: true },
    ...templates(tie("template"), tie("expression")),
  ),
}));

function expressions(one: Texts): Texts[] {
  const number = pick(NUMBERS);
  return [
    ...[pick(NAMES), pick(TEXTS).map((inner) => `'${inner}'`), number],
    pick(["none", "true", "[]", "{}", "namespace(s='x')"]),
    filled("range(@)", number),
    filled("range(@, @)", number, number),
    filled("(@ @ @)", one, pick(OPERATORS), one),
    filled("@ | @", one, pick(FILTERS)),
    filled("@ | @(@)", one, pick(FILTERS), one),
    filled("@ | @(@, @)", one, pick(FILTERS), one, one),
    filled("(@ is @)", one, pick(TESTS)),
    filled("(@).@", one, pick(MEMBERS)),
    filled("(@).@(@)", one, pick(METHODS), one),
    filled("(@).@(@, @)", one, pick(METHODS), one, one),
    filled("(@)[@]", one, one),
    filled("(@)[@:@:@]", one, one, one, number),
    filled("[@, @]", one, one),
    filled("{'a': @, @: @}", one, one, one),
    filled("(@ if @ else @)", one, one, one),
    filled("f(@)", one),
    filled("raise_exception(@)", one),
    filled("strftime_now(@)", one),
  ];
}

function templates(body: Texts, one: Texts): Texts[] {
  return [
    pick(["text", "\n", "<s>", "{# note #}"]),
    filled("{{ @ }}", one),
    filled("{% set x = @ %}", one),
    filled("{% set ns.@ = @ %}", pick(MEMBERS), one),
    filled("{% set ns = namespace(s=@) %}@", one, body),
    filled("{% set x %}@{% endset %}@", body, body),
    filled("{% for i in @ %}@{% endfor %}", one, body),
    filled("{% for i in range(9999) %}@@{% endfor %}", body, body),
    filled("{% for m in messages if @ %}@{% else %}@{% endfor %}", one, body, body),
    filled("{% for i in x %}{% set x = x + x %}@{% endfor %}", body),
    filled("{% if @ %}@{% else %}@{% endif %}", one, body, body),
    filled("{% macro f(x) %}@{% endmacro %}@{{ f(@) }}", body, body, one),
    filled("{% call f(@) %}@{% endcall %}", one, body),
    filled("{% filter @ %}@{% endfilter %}", pick(FILTERS), body),
    filled("@@", body, body),
    pick(["{% break %}", "{% continue %}"]),
  ];
}
