/** What a source file imports and which functions it has, by Deno's own parser. */
/// <reference lib="deno.unstable" />
import { dirname, join, relative } from "node:path";

/** One import of a source file, its target relative to the root when it is a file. */
export interface Import {
  readonly target: string;
  readonly typeOnly: boolean;
  readonly isFile: boolean;
}

export interface SourceFile {
  /** Relative to the root, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

/** What a file's syntax tree tells. */
interface Parsed {
  readonly imports: Import[];
  readonly functions: { line: number; lines: number }[];
}

/** A file is parsed once for all that is asked of it. */
const parsed = new WeakMap<SourceFile, Parsed>();

/** Every import, re-export, dynamic import and `new URL("….ts")` (a worker's entry) of a file. */
export function importsOf(file: SourceFile): Import[] {
  return parsedOf(file).imports;
}

/** First line and line count of every function with a body. */
export function functionsOf(file: SourceFile): { line: number; lines: number }[] {
  return parsedOf(file).functions;
}

/** Walks a file's syntax tree with Deno's own parser: a lint rule that only looks. */
function parsedOf(file: SourceFile): Parsed {
  const earlier = parsed.get(file);
  if (earlier) return earlier;
  const found: Parsed = { imports: [], functions: [] };
  const create = () => ({ ...lookForImports(file, found), ...lookForFunctions(file, found) });
  Deno.lint.runPlugin({ name: "architecture", rules: { look: { create } } }, file.path, file.text);
  parsed.set(file, found);
  return found;
}

function lookForImports({ path }: SourceFile, { imports }: Parsed): Deno.lint.LintVisitor {
  const add = (specifier: string, typeOnly: boolean) => {
    const isFile = /^\.\.?\//.test(specifier);
    const target = isFile
      ? relative(".", join(dirname(path), specifier)).replaceAll("\\", "/")
      : specifier;
    imports.push({ target, typeOnly, isFile });
  };
  const literal = (node: { type: string }) =>
    node.type === "Literal" ? String((node as Deno.lint.StringLiteral).value) : null;
  return {
    ImportDeclaration(node) {
      const typeOnly = node.importKind === "type" ||
        node.specifiers.length > 0 &&
          node.specifiers.every((each) =>
            each.type === "ImportSpecifier" && each.importKind === "type"
          );
      add(node.source.value, typeOnly);
    },
    ExportAllDeclaration: (node) => add(node.source.value, node.exportKind === "type"),
    ExportNamedDeclaration(node) {
      if (node.source) add(node.source.value, node.exportKind === "type");
    },
    ImportExpression(node) {
      const specifier = literal(node.source);
      if (specifier !== null) add(specifier, false);
    },
    NewExpression(node) {
      const specifier = node.arguments.length === 2 ? literal(node.arguments[0]) : null;
      if (specifier?.endsWith(".ts")) add(specifier, false);
    },
  };
}

function lookForFunctions({ text }: SourceFile, { functions }: Parsed): Deno.lint.LintVisitor {
  const measure = (node: { range: [number, number] }) =>
    functions.push({
      line: lineCount(text.slice(0, node.range[0])),
      lines: lineCount(text.slice(...node.range)),
    });
  return {
    FunctionDeclaration: measure,
    FunctionExpression: measure,
    ArrowFunctionExpression: measure,
  };
}

function lineCount(text: string): number {
  return text.split("\n").length;
}
