/**
 * What the program consists of: modules, entries of its threads, and files that it reads beside
 * itself (kernels, the built-in model). Found in the sources, by `new URL("…", import.meta.url)`
 * and by names of workers, so that a list cannot be out of date.
 */
import { dirname, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/** The repository's folder. */
export const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** The program's entry. */
export const MAIN = "src/cli/main.ts";

/** Paths relative to the root, sorted. */
export interface IncludeList {
  /** Local modules and what they import as text or JSON, the workers' included. */
  readonly modules: readonly string[];
  /** Entries of threads: nobody imports them. */
  readonly workers: readonly string[];
  /** Files that are opened at run time. */
  readonly assets: readonly string[];
  /** The same of npm packages, as the import map names them. */
  readonly packaged: readonly string[];
}

/** All that `entries` and the threads that they start need. */
export async function listIncludes(entries: readonly string[] = [MAIN]): Promise<IncludeList> {
  const modules = new Set<string>();
  const workers = new Set<string>();
  const assets = new Set<string>();
  const packaged = new Set<string>();
  const waiting = [...entries];
  while (waiting.length > 0) {
    const graph = await graphOf(waiting.splice(0));
    for (const path of graph.filter((each) => !modules.has(each))) {
      modules.add(path);
      const source = Deno.readTextFileSync(join(ROOT, path));
      for (const found of filesOfPackages(path, source)) packaged.add(found);
      for (const found of filesBeside(path, source)) {
        if (!found.endsWith(".ts")) assets.add(found);
        else if (!workers.has(found)) {
          workers.add(found);
          waiting.push(found);
        }
      }
    }
  }
  const [all, threads, opened, ofPackages] = [modules, workers, assets, packaged]
    .map((each) => [...each].sort());
  return { modules: all, workers: threads, assets: opened, packaged: ofPackages };
}

/** The literal in `new URL("…", import.meta.url)`, or the name of a worker's entry. */
const BESIDE =
  /new URL\(\s*"([^"]+)",\s*import\.meta\.url,?\s*\)|"(\.{1,2}\/(?:\w+\/)*\w+_worker\.ts)"/g;

/** Files that the source of a module names beside itself, relative to the root. */
export function filesBeside(path: string, source: string): string[] {
  if (!path.endsWith(".ts")) return [];
  return [...source.matchAll(BESIDE)].map(([, url, worker]) =>
    join(dirname(path), url ?? worker).replaceAll("\\", "/")
  );
}

/** The literal in `import.meta.resolve("…")`. */
const PACKAGED = /import\.meta\.resolve\(\s*"([^"]+)",?\s*\)/g;

/** Files of npm packages that the source of a module opens. */
export function filesOfPackages(path: string, source: string): string[] {
  return path.endsWith(".ts") ? [...source.matchAll(PACKAGED)].map(([, name]) => name) : [];
}

/** The same in bundled code, which has no packages: each beside it, where `place` says. */
export function bringFilesOfPackages(code: string, place: (name: string) => string): string {
  return code.replace(
    PACKAGED,
    (_, name) => `new URL(${JSON.stringify(place(name))}, import.meta.url).href`,
  );
}

/** Files beside modules in bundled code, each put through `replace`. */
export function replaceFilesBeside(code: string, replace: (literal: string) => string): string {
  return code.replace(
    BESIDE,
    (whole, url, worker) => whole.replace(`"${url ?? worker}"`, `"${replace(url ?? worker)}"`),
  );
}

/** What local modules import, by URL; nobody changes sources while they are packed. */
const imports = new Map<string, readonly string[]>();

/** Local modules that some entries import, themselves included. */
async function graphOf(entries: readonly string[]): Promise<string[]> {
  const found = new Set(entries.map((entry) => pathToFileURL(join(ROOT, entry)).href));
  const unknown = [...found].filter((url) => !imports.has(url));
  if (unknown.length > 0) await readGraph(unknown);
  // A set gives what is added while it is gone through, too.
  for (const url of found) imports.get(url)?.forEach((each) => found.add(each));
  return [...found].map((url) => relative(ROOT, fileURLToPath(url)).replaceAll("\\", "/"));
}

interface GraphModule {
  readonly specifier: string;
  readonly dependencies?: readonly {
    readonly code?: { readonly specifier?: string };
    readonly type?: { readonly specifier?: string };
  }[];
}

/** Asks Deno what some modules import, and all those: a process for all of them. */
async function readGraph(urls: readonly string[]): Promise<void> {
  const all = urls.map((url) => `import ${JSON.stringify(url)};`).join("\n");
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", `data:application/typescript,${encodeURIComponent(all)}`],
    cwd: ROOT,
  }).output();
  if (!success) throw new Error(`Cannot list the modules of ${urls}: ${decode(stderr)}`);
  const { modules }: { modules: readonly GraphModule[] } = JSON.parse(decode(stdout));
  for (const { specifier, dependencies = [] } of modules) {
    const targets = dependencies.flatMap(({ code, type }) => [code?.specifier, type?.specifier]);
    imports.set(specifier, targets.filter((each) => each?.startsWith("file:")) as string[]);
  }
  const missing = urls.filter((url) => !imports.has(url));
  if (missing.length > 0) throw new Error(`Cannot list the modules of ${missing}`);
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
