import { assertEquals, assertThrows } from "@std/assert";
import { importFrom, librariesOf } from "../../src/page/vendor_imports.ts";

const LIBRARIES = librariesOf(
  `/** Words. */\nexport { a, b } from "x";\nexport {\n  c,\n  default as D,\n} from "y/z";\n`,
);

Deno.test("librariesOf() finds what is exported of each library, and by which name", () => {
  assertEquals(LIBRARIES.map(({ specifier, names }) => [specifier, ...names]), [
    ["x", ["a", "a"], ["b", "b"]],
    ["y/z", ["c", "c"], ["default", "D"]],
  ]);
});

Deno.test("importFrom() makes one import of all that a bundle imports of libraries", () => {
  const text = `const t='import{a}from"x";';`;
  for (
    const [bundle, parts, code] of [
      [
        `import{a as e}from"x";var n=1;import t,{c}from"y/z";${text}import{b}from"x";f();`,
        "a as e,D as t,c,b",
        `var n=1;${text}f();`,
      ],
      [`import D from "y/z";\nimport { a } from "x";\n${text}`, "D,a", `\n\n${text}`],
      [text, "", text],
    ]
  ) {
    assertEquals(
      importFrom("./v.js", LIBRARIES, bundle),
      `import{${parts}}from"./v.js";${code}`,
    );
  }
});

Deno.test("importFrom() says what vendor.ts does not export", () => {
  for (
    const [bundle, missing] of [
      [`import{d as e}from"x";`, `no d of "x"`],
      [`import e from"x";`, `no default of "x"`],
      [`import{a}from"w";`, `no a of "w"`],
    ]
  ) assertThrows(() => importFrom("./v.js", LIBRARIES, bundle), Error, missing);
});
