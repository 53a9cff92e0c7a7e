import { Command } from "commander";
import { assertEquals, assertThrows } from "@std/assert";
import { createChatTemplate } from "../../src/chat/mod.ts";
import { addTemplateOptions, type LoadFlags, toLoadOptions } from "../../src/cli/load.ts";

Deno.test("toLoadOptions() takes f16 for this engine's 16 bits, other types as they are", () => {
  const kvTypes = (["f16", "i16", "f32", "auto"] as const).map((kvType) =>
    toLoadOptions({ kvType }).kvType
  );
  assertEquals(kvTypes, ["i16", "i16", "f32", "auto"]);
});

Deno.test("toLoadOptions() says how the file cache is used, as it was told", () => {
  const modes = ([undefined, "auto", "on", "off"] as const).map((fileCache) =>
    toLoadOptions({ fileCache }).fileCache
  );
  assertEquals(modes, [undefined, "auto", "on", "off"]);
});

Deno.test("flags of templates are read as a file and as JSON", () => {
  const parse = (...args: string[]) => {
    const verb = addTemplateOptions(new Command()).exitOverride().configureOutput({
      writeErr: () => {},
    });
    return toLoadOptions(verb.parse(args, { from: "user" }).opts<LoadFlags>());
  };
  const path = Deno.makeTempFileSync();
  try {
    Deno.writeTextFileSync(path, "{{ messages }}");
    const file = parse("--chat-template-file", path);
    assertEquals([file.chatTemplate, file.templateVariables], ["{{ messages }}", undefined]);
  } finally {
    Deno.removeSync(path);
  }
  const kwargs = parse("--chat-template-kwargs", '{"enable_thinking": false}');
  assertEquals(kwargs.templateVariables, { enable_thinking: false });
  for (const text of ["[1]", "null", "{", "1"]) {
    assertThrows(() => parse("--chat-template-kwargs", text), Error, "A JSON object is needed.");
  }
  // What a request is told of a value that is too deep, every request would be told.
  const nested = (levels: number) => `{"x":${"[".repeat(levels)}${"]".repeat(levels)}}`;
  const template = createChatTemplate({
    ...{ template: "{{ messages }}", bosText: "", eosText: "", specialTexts: [] },
    variables: parse("--chat-template-kwargs", nested(63)).templateVariables,
  });
  template.render([{ role: "user", content: "hi" }]);
  for (const levels of [64, 100_000]) {
    const deep = () => parse("--chat-template-kwargs", nested(levels));
    assertThrows(deep, Error, "Its values nest deeper than 64 levels.");
  }
  assertThrows(() => parse("--chat-template-file", `${path}.none`), Error, "Cannot read");
});
