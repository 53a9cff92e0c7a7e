/**
 * llama.cpp compiled to WebAssembly (npm's wllama) in a headless Chromium: a local server gives the
 * page, the package and the model; the page measures and posts its report back. No driver of the
 * browser is needed.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openGguf } from "../../src/gguf/mod.ts";
import { type Engine, ENGINE_TIMEOUT_MS, type Sample, type Work } from "./engine.ts";

const PAGE = fileURLToPath(new URL("peer_wllama.html", import.meta.url));
/** A browser holds a file in one ArrayBuffer; larger models have to be split. */
const FILE_BYTES_MAX = 2 ** 31 - 1;
/** Shared memory, and with it threads, exists only on pages that are isolated so. */
const ISOLATION = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
};
const TYPES: Readonly<Record<string, string>> = {
  html: "text/html",
  js: "text/javascript",
  wasm: "application/wasm",
};

/** What the page posts: speeds, or why there are none. */
type PageReport = Pick<Sample, "prefillTps" | "decodeTps"> | { readonly error: string };

/** A browser, and whether it runs its pages in a sandbox, which Chromium refuses to root. */
export interface Browser {
  readonly chromium: string;
  readonly sandbox: boolean;
}

/** wllama in the node_modules of `packageFolder`. */
export async function wllama(packageFolder: string, browser: Browser): Promise<Engine> {
  const package_ = join(packageFolder, "node_modules", "@wllama", "wllama");
  const { version } = JSON.parse(await Deno.readTextFile(join(package_, "package.json")));
  return {
    name: "wllama",
    settings: "headless Chromium, given ids, no sampling",
    isOurs: false,
    measuresContexts: false,
    async measure(work) {
      const modelPaths = openGguf(work.modelPath).parts.map((part) => part.path);
      await checkSizes(modelPaths);
      const report = await runPage(browser, { folder: join(package_, "esm"), modelPaths, work });
      if ("error" in report) throw new Error(report.error);
      return { ...report, idsHash: null, version };
    },
  };
}

/** A Chromium of this machine: $CHROMIUM, or the first of the usual names; null without one. */
export async function findChromium(): Promise<string | null> {
  const named = Deno.env.get("CHROMIUM");
  const names = named ? [named] : [
    ...["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"],
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  ];
  for (const name of names) {
    try {
      const { success } = await new Deno.Command(name, { args: ["--version"] }).output();
      if (success) return name;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return null;
}

async function checkSizes(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const { size } = await Deno.stat(path);
    if (size > FILE_BYTES_MAX) {
      throw new Error(
        `"${path}" has ${size} bytes, a browser takes at most ${FILE_BYTES_MAX} in one file: ` +
          "split it with llama-gguf-split",
      );
    }
  }
}

interface PageWork {
  /** Where the package's modules lie. */
  readonly folder: string;
  /** All files of the model. */
  readonly modelPaths: readonly string[];
  readonly work: Work;
}

async function runPage(
  { chromium, sandbox }: Browser,
  page: PageWork,
): Promise<PageReport> {
  const report = Promise.withResolvers<PageReport>();
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => answer(request, page, report.resolve),
  );
  const profile = await Deno.makeTempDir({ prefix: "ganglion-bench-chromium-" });
  const child = new Deno.Command(chromium, {
    args: [...browserArgs(profile, { sandbox }), `http://127.0.0.1:${server.addr.port}/`],
    stdout: "null",
    stderr: "null",
  }).spawn();
  const ended = child.status.then(({ code }): PageReport => ({
    error: `${chromium} ended with code ${code} before the page reported`,
  }));
  const { promise: tooLate, resolve } = Promise.withResolvers<PageReport>();
  const timer = setTimeout(() => resolve({ error: "The page took too long" }), ENGINE_TIMEOUT_MS);
  try {
    return await Promise.race([report.promise, ended, tooLate]);
  } finally {
    clearTimeout(timer);
    stop(child);
    await child.status;
    await removeFolder(profile);
  }
}

function browserArgs(profile: string, { sandbox }: Pick<Browser, "sandbox">): string[] {
  return [
    ...["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"],
    // A page that nobody looks at would be slowed down.
    ...["--disable-background-timer-throttling", "--disable-renderer-backgrounding"],
    `--user-data-dir=${profile}`,
    ...sandbox ? [] : ["--no-sandbox"],
  ];
}

async function answer(
  request: Request,
  { folder, modelPaths, work }: PageWork,
  onReport: (report: PageReport) => void,
): Promise<Response> {
  const { pathname } = new URL(request.url);
  if (request.method === "POST" && pathname === "/report") {
    onReport(await request.json());
    return new Response(null, { status: 204 });
  }
  if (pathname === "/job") {
    const { threads, promptIds, genTokens } = work;
    const job = { threads, promptIds, genTokens, files: modelPaths.length };
    return Response.json(job, { headers: ISOLATION });
  }
  const model = /^\/model\/(\d+)$/.exec(pathname);
  if (model) return await sendFile(modelPaths[Number(model[1])]);
  const module = /^\/wllama((?:\/[\w-]+)*\/[\w.-]+)$/.exec(pathname);
  if (module) return await sendFile(join(folder, module[1]));
  if (pathname === "/") return await sendFile(PAGE);
  return new Response("No such file", { status: 404, headers: ISOLATION });
}

async function sendFile(path: string | undefined): Promise<Response> {
  try {
    if (path === undefined) throw new Deno.errors.NotFound();
    const file = await Deno.open(path);
    const type = TYPES[path.replace(/.*\./, "")] ?? "application/octet-stream";
    return new Response(file.readable, { headers: { ...ISOLATION, "content-type": type } });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return new Response("No such file", { status: 404, headers: ISOLATION });
  }
}

function stop(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGTERM");
  } catch {
    // It has ended by itself.
  }
}

/** The browser's own processes may write for a moment after the first has ended. */
async function removeFolder(path: string): Promise<void> {
  for (let attempt = 0; attempt < 10; attempt++) {
    try {
      return await Deno.remove(path, { recursive: true });
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}
