/**
 * The house rules that a machine can check: which folder may import which, how long files,
 * functions and lines may get, where npm packages come in. Tables change with ARCHITECTURE.md.
 */
import { assertEquals } from "@std/assert";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { functionsOf, type Import, importsOf, type SourceFile } from "./support/source_file.ts";

/**
 * What a part may import besides itself and src/base, by the beginning of the imported path.
 * "type x" allows type-only imports of x. `null`: anything but tests.
 */
const MAY_IMPORT: Record<string, readonly string[] | null> = {
  "mod.ts": ["src/llm", "src/server"],
  "src/base": [],
  "src/gguf": ["src/model/dtypes.ts"],
  "src/model": ["src/gguf"],
  "src/tokenizer": ["src/gguf"],
  "src/chat": ["src/tokenizer", "src/llm/types.ts"],
  "src/grammar": ["type src/llm/types.ts"],
  "src/memory": [],
  "src/adapter": ["src/quantize/encode.ts", "src/model", "src/gguf"],
  "src/reference": ["src/adapter", "src/model", "src/gguf"],
  "src/bundle": ["src/rank/plan/weight_types.ts", "src/memory", "src/model", "src/gguf"],
  "src/io": ["src/memory"],
  "src/cache": [],
  "src/shapes": [],
  "src/vision": ["type src/model/vision_types.ts"],
  "src/hearing": ["type src/vision/types.ts", "type src/model/vision_types.ts"],
  "src/rank": [
    "wasm",
    "gpu",
    "src/adapter",
    "src/bundle",
    "src/io",
    "src/cache",
    "src/shapes",
    "src/memory",
    "src/model",
    "src/gguf",
  ],
  "src/pack": [
    "wasm",
    "src/rank",
    "src/bundle",
    "src/stats",
    "src/memory",
    "src/model",
    "src/gguf",
  ],
  "src/planner": [
    "src/cache",
    "src/rank",
    "src/bundle",
    "src/stats",
    "src/memory",
    "src/model",
    "src/gguf",
  ],
  "src/engine": [
    ...["src/rank", "src/grammar", "src/memory", "src/model", "src/gguf", "src/llm/types.ts"],
  ],
  "src/llm": [
    "workers",
    "wasm",
    "gpu",
    "type src/engine",
    "src/engine/types.ts",
    "src/engine/given_spans.ts",
    "src/engine/logprob_rows.ts",
    "src/engine/drafts/drafts.ts",
    "src/engine/row_independence.ts",
    "src/rank/plan/plan.ts",
    ...["src/rank/plan/plan_units.ts", "src/rank/plan/place_matrix.ts"],
    "src/rank/load/load_order.ts",
    ...["src/rank/plan/kept_shapes.ts", "src/rank/gpu/obstacle.ts"],
    "src/rank/gpu/tower_obstacle.ts",
    "src/rank/gpu/unit_share.ts",
    "src/adapter",
    "src/bundle",
    "src/planner",
    "type src/stats",
    "type src/rank",
    "src/vision/mod.ts",
    "src/hearing/mod.ts",
    "src/tokenizer",
    "src/grammar",
    "src/chat",
    "src/gguf",
    "src/model",
    "src/memory",
  ],
  "src/metrics": [],
  "src/batch": [],
  "src/models": ["type src/llm/types.ts"],
  "src/pull": ["src/models", "src/bundle", "src/gguf", "deno.json"],
  "src/server": [
    "src/llm",
    "src/hearing/mod.ts",
    "src/chat",
    "src/metrics",
    "src/batch/mod.ts",
    "src/page",
    "type src/models",
    "deno.json",
  ],
  "src/page": [],
  "src/quantize": ["src/gguf", "src/model"],
  "src/synth": ["src/quantize", "src/gguf", "src/model"],
  "src/train": [
    "wasm",
    "src/quantize",
    "src/synth/seeded_random.ts",
    "src/rank/plan/weight_types.ts",
    "src/memory",
    "src/model",
    "src/gguf",
  ],
  "src/stats": ["type src/llm", "src/reference/activation_ops.ts"],
  "src/cli": null,
  "builtin/recipe": ["src/gguf", "src/model", "src/tokenizer", "src/quantize"],
  "builtin/evaluation": ["src/llm"],
  "wasm": ["src/memory"],
  "workers": [
    "src/engine",
    "src/rank",
    "src/io",
    "src/train",
    "src/vision",
    "src/hearing",
    "wasm",
    "src/memory",
    "src/model",
    "src/gguf",
  ],
  "gpu": ["src/shapes", "src/model", "src/memory"],
  // A program of a user's: it knows the library by its name, and nothing else of this repository.
  "examples": [],
  "packaging": ["deno.json"],
  "docs/make": ["src/server"],
};

/** The folders of src/rank, each above those that it computes with; types go any way. */
const RANK_FOLDERS = [
  ...["plan", "bound", "step", "load", "neurons", "stream", "blocks", "tower", "gpu", "."],
];

/** Folders of the top level: the layout that README and ARCHITECTURE.md draw. */
const TOP_FOLDERS = [
  ...[".ci", ".git", "builtin", "deploy", "docs", "examples", "gpu", "packaging", "src", "tests"],
  ...["wasm", "workers"],
];
/** What .gitignore leaves out: build results that may lie about in a checkout. */
const IGNORED_FOLDERS = [".gl", "cov", "dist", "node_modules"];

/** Files that block or wake threads, each with a reason in its header or where it does. */
const BLOCKING = [
  "src/batch/sqlite/database.ts",
  "src/io/board.ts",
  "src/io/read_queue.ts",
  "src/io/serve_reads.ts",
  "src/memory/control.ts",
  "workers/meter_worker.ts",
  "workers/process_end.ts",
];

/** The only file that names an npm package directly; all others go through the import map. */
const NPM_DOOR = "tests/support/std_assert.ts";

const FILE_LINES_MAX = 400;
const FUNCTION_LINES_MAX = 70;
const LINE_COLUMNS_MAX = 100;

const ROOT = fileURLToPath(new URL("..", import.meta.url));

const SOURCES = [
  "mod.ts",
  ...["src", "builtin", "docs", "examples", "packaging", "wasm", "workers", "gpu", "tests"].flatMap(
    listFiles,
  ),
]
  .filter((path) => /\.tsx?$/.test(path) && exists(path))
  .map((path): SourceFile => ({ path, text: Deno.readTextFileSync(join(ROOT, path)) }));

/** AssemblyScript is no TypeScript: its top-level decorators do not parse here. */
const TYPESCRIPT = SOURCES.filter(({ path }) => !path.startsWith("wasm/assembly/"));

/** Generated files may be as long and wide as they like. */
const HANDWRITTEN = SOURCES.filter(({ text }) => !/^\/[/*]+ *Generated/i.test(text));

Deno.test("every import goes the way the table allows", () => {
  assertNone(
    TYPESCRIPT.filter(({ path }) => !path.startsWith("tests/")).flatMap((file) => {
      const part = partOf(file.path);
      if (part === undefined) return [`${file.path}: its folder is not in the table`];
      return importsOf(file).filter((each) => each.isFile && !isAllowed(part, each))
        .map((each) =>
          `${file.path} imports ${each.target}: ${part} may import ${describeRule(part)}`
        );
    }),
  );
});

Deno.test("folders of a rank import values of those before them only", () => {
  const folderOf = (path: string) => relative("src/rank", dirname(path)) || ".";
  const isUpward = (from: string, { target, typeOnly, isFile }: Import) =>
    isFile && !typeOnly && isWithin(target, "src/rank") &&
    RANK_FOLDERS.indexOf(folderOf(target)) > RANK_FOLDERS.indexOf(from);
  const files = TYPESCRIPT.filter(({ path }) => isWithin(path, "src/rank"));
  assertNone(files.flatMap((file) => {
    const folder = folderOf(file.path);
    if (!RANK_FOLDERS.includes(folder)) return [`${file.path}: its folder is not in the list`];
    return importsOf(file).filter((each) => isUpward(folder, each))
      .map(({ target }) => `${file.path} imports ${target}, which is behind it`);
  }));
  const forward = { target: "src/rank/forward.ts", typeOnly: false, isFile: true };
  assertEquals(isUpward("blocks", forward), true);
  assertEquals(isUpward("blocks", { ...forward, typeOnly: true }), false);
  assertEquals(isUpward(".", { ...forward, target: "src/rank/plan/plan.ts" }), false);
});

Deno.test("isAllowed() refuses what the table leaves out, and values where it says type", () => {
  const value = { typeOnly: false, isFile: true };
  assertEquals(isAllowed("src/engine", { ...value, target: "src/rank/rank.ts" }), true);
  assertEquals(isAllowed("src/engine", { ...value, target: "src/server/app.ts" }), false);
  assertEquals(isAllowed("src/engine", { ...value, target: "src/memory_map/x.ts" }), false);
  assertEquals(isAllowed("src/llm", { ...value, target: "src/engine/engine.ts" }), false);
  const typeOnly = { typeOnly: true, isFile: true, target: "src/engine/engine.ts" };
  assertEquals(isAllowed("src/llm", typeOnly), true);
  assertEquals(isAllowed("src/cli", { ...value, target: "src/synth/mod.ts" }), true);
  assertEquals(isAllowed("src/cli", { ...value, target: "tests/support/rng.ts" }), false);
});

Deno.test("importsOf() sees every form of import", () => {
  const text = `import type { A } from "./a.ts";
    import { type B } from "./b.ts";
    import { c } from "./c.ts";
    export * from "../d.ts";
    export type { E } from "./e.ts";
    await import("./f.ts");
    new Worker(new URL("./g.ts", import.meta.url));
    import "hono";`;
  assertEquals(
    importsOf({ path: "src/x/x.ts", text }).map((each) =>
      `${each.typeOnly ? "type " : ""}${each.target}`
    ),
    [
      "type src/x/a.ts",
      "type src/x/b.ts",
      "src/x/c.ts",
      "src/d.ts",
      "type src/x/e.ts",
      "src/x/f.ts",
      "src/x/g.ts",
      "hono",
    ],
  );
});

Deno.test("few files block or wake threads, and one spins", () => {
  const files = TYPESCRIPT.filter(({ path }) => /^(src|workers|gpu|wasm)\//.test(path));
  const using = (call: RegExp) =>
    files.filter(({ text }) => call.test(text)).map(({ path }) => path);
  assertEquals(using(/Atomics\.(wait|waitAsync|notify)\(/).sort(), BLOCKING);
  assertEquals(using(/Atomics\W+(as \W+)?pause/), ["src/memory/control.ts"]);
});

Deno.test("packages come in through the import map only", () => {
  const config = JSON.parse(Deno.readTextFileSync(join(ROOT, "deno.json")));
  const mapped: string[] = Object.keys(config.imports);
  assertNone(
    TYPESCRIPT.filter(({ path }) => path !== NPM_DOOR).flatMap((file) =>
      importsOf(file)
        .filter(({ isFile, target }) => !isFile && !target.startsWith("node:"))
        .filter(({ target }) =>
          !mapped.some((name) => name === target || name.endsWith("/") && target.startsWith(name))
        )
        .map(({ target }) => `${file.path} imports "${target}": add it to deno.json's imports`)
    ),
  );
});

Deno.test("the top level holds the allowed folders only", () => {
  const folders = [...Deno.readDirSync(ROOT)].filter((each) => each.isDirectory)
    .map((each) => each.name);
  const allowed = [...TOP_FOLDERS, ...IGNORED_FOLDERS];
  assertEquals(folders.filter((name) => !allowed.includes(name)), []);
});

Deno.test(`files have at most ${FILE_LINES_MAX} lines, lines ${LINE_COLUMNS_MAX} columns`, () => {
  assertNone(HANDWRITTEN.flatMap(({ path, text }) => {
    const lines = text.replace(/\n$/, "").split("\n");
    const wide = lines.flatMap((line, index) =>
      // A test's name is a sentence, and a string cannot be wrapped.
      [...line].length > LINE_COLUMNS_MAX && !line.startsWith("Deno.test(")
        ? [`${path}:${index + 1} has ${[...line].length} columns`]
        : []
    );
    return lines.length > FILE_LINES_MAX ? [`${path} has ${lines.length} lines`, ...wide] : wide;
  }));
});

Deno.test(`functions have at most ${FUNCTION_LINES_MAX} lines`, () => {
  assertNone(
    TYPESCRIPT.flatMap((file) =>
      functionsOf(file)
        .filter(({ lines }) => lines > FUNCTION_LINES_MAX)
        .map(({ line, lines }) => `${file.path}:${line} is a function of ${lines} lines`)
    ),
  );
});

Deno.test("functionsOf() measures functions, methods and closures", () => {
  const text = "function a() {\n  return () => {\n  };\n}\nclass B {\n  c() {}\n}\n";
  assertEquals(functionsOf({ path: "x.ts", text }), [
    { line: 1, lines: 4 },
    { line: 2, lines: 2 },
    { line: 6, lines: 1 },
  ]);
});

/** Fails with one violation a line. */
function assertNone(violations: readonly string[]): void {
  if (violations.length > 0) {
    throw new Error(`${violations.length} violations:\n  ${violations.join("\n  ")}`);
  }
}

/** The row of the table that a path belongs to. */
function partOf(path: string): string | undefined {
  return Object.keys(MAY_IMPORT).find((part) => isWithin(path, part));
}

function isWithin(path: string, part: string): boolean {
  return path === part || path.startsWith(`${part}/`);
}

function isAllowed(part: string, { target, typeOnly }: Import): boolean {
  if (isWithin(target, "tests")) return false;
  if (isWithin(target, part) || isWithin(target, "src/base")) return true;
  const rules = MAY_IMPORT[part];
  if (rules === null) return true;
  return rules.some((rule) =>
    rule.startsWith("type ") ? typeOnly && isWithin(target, rule.slice(5)) : isWithin(target, rule)
  );
}

function describeRule(part: string): string {
  const rules = MAY_IMPORT[part];
  if (rules === null) return "anything but tests";
  return ["itself", "src/base", ...rules].join(", ");
}

/** Files below a folder of the root, as paths relative to the root. */
function listFiles(folder: string): string[] {
  if (!exists(folder)) return [];
  return [...Deno.readDirSync(join(ROOT, folder))].flatMap((each) =>
    each.isDirectory ? listFiles(`${folder}/${each.name}`) : [`${folder}/${each.name}`]
  );
}

function exists(path: string): boolean {
  try {
    Deno.statSync(join(ROOT, path));
    return true;
  } catch {
    return false;
  }
}
