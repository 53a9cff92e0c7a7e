import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { join } from "node:path";
import { declarationsOf } from "../../packaging/declarations.ts";
import { ROOT } from "../../packaging/include_list.ts";
import { temporaryFolder } from "./app.ts";

/** Writes modules, by their names, and returns the declarations of `mod.ts`. */
function declare(modules: Readonly<Record<string, string>>): string {
  const folder = temporaryFolder();
  for (const [name, text] of Object.entries(modules)) {
    Deno.writeTextFileSync(join(folder, name), text);
  }
  return declarationsOf(join(folder, "mod.ts"));
}

Deno.test("declarationsOf() follows names through doors, and takes nothing else along", () => {
  const text = declare({
    "mod.ts": 'export { make as build } from "./door.ts";',
    "door.ts": 'export { make, unused } from "./make.ts";',
    "make.ts": `/** A header. */
import type { Size } from "./size.ts";
import { inner } from "npm:secret";
/** Makes one. */
export function make(size: Size): number { return inner(size); }
export function unused(): void {}`,
    "size.ts": "/** How large. */\nexport interface Size { readonly bytes: number }",
  });
  assertEquals(
    text,
    `/** Makes one. */
declare function make(size: Size): number;

/** How large. */
interface Size {
    readonly bytes: number;
}

export { make as build };
`,
  );
});

Deno.test("declarationsOf() takes what a module imports and shows from where it is declared", () => {
  const text = declare({
    "mod.ts": 'export type { Size } from "./door.ts";',
    "door.ts": 'import type { Size } from "./size.ts";\nexport type { Size };\n' +
      "export interface Box { readonly size: Size }",
    "size.ts": "export interface Size { readonly bytes: number }",
  });
  assertEquals(text, "interface Size {\n    readonly bytes: number;\n}\n\nexport { Size };\n");
});

Deno.test("declarationsOf() refuses what would be no type: any, a package's, two of one name", () => {
  const refuse = (modules: Readonly<Record<string, string>>, message: string) =>
    assertThrows(() => declare(modules), Error, message);
  refuse({ "mod.ts": "export const a = Math.max(1, 2);" }, "it has no type");
  refuse({
    "mod.ts": 'import type { Hono } from "hono";\nexport function a(app: Hono): void { app; }',
  }, "Cannot declare Hono: its type is of the package hono");
  refuse({
    "mod.ts": 'export { type A } from "./a.ts";\nexport { type B } from "./b.ts";',
    "a.ts": "interface Same {}\nexport interface A { x: Same }",
    "b.ts": "interface Same {}\nexport interface B { x: Same }",
  }, "Cannot declare Same twice");
});

Deno.test("declarationsOf() sees any in types and nowhere else, and follows types alone", () => {
  const text = declare({
    "mod.ts": 'import { size } from "npm:secret";\n/** One: any of these. */\n' +
      "export interface A<T> extends B { readonly size: number; of(size: T): typeof limit }\n" +
      "interface B {}\nconst limit: number = size;",
  });
  assertStringIncludes(text, "/** One: any of these. */\ninterface A<T> extends B {");
  assertStringIncludes(text, "\ninterface B {\n}\n");
  assertStringIncludes(text, "declare const limit: number;");
  for (const type of ["any", "Array<any>", "number | any[]", "(x: any) => void"]) {
    assertThrows(() => declare({ "mod.ts": `export type A = ${type};` }), Error, "has no type");
  }
});

Deno.test("declarationsOf() has all that mod.ts shows, with its documentation", () => {
  const text = declarationsOf(join(ROOT, "mod.ts"));
  assertStringIncludes(text, "declare class Engine implements AsyncDisposable {");
  assertStringIncludes(text, "/** At most this many new tokens; left out: until the context is");
  assertStringIncludes(text, "serveModels as serve");
  assertEquals(/\bimport\b(?! \{ Engine)/.test(text), false);
});
