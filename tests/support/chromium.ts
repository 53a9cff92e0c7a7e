/**
 * Pages in a headless Chromium, which has compilers of its own for shaders and for WebAssembly: a
 * test serves them on a port of this machine, and waits for what they post. Knows no models.
 */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { notDeep } from "./deep.ts";

const CHROMIUM = "/usr/bin/chromium";
/**
 * Workgroup memory is not zeroed: no shader counts on it, and the software adapter takes five to
 * ten times as long to compile and to run shaders that begin with it.
 */
const DAWN = "--enable-dawn-features=disable_workgroup_init";
const FLAGS = [
  "--headless=new",
  "--no-sandbox",
  "--disable-gpu-sandbox",
  "--disable-dev-shm-usage",
  "--enable-unsafe-webgpu",
  DAWN,
];
/** All shaders take 35 s where caches are empty and two cores have three processes. */
const TIMEOUT_MS = 120_000;

/** Only pages that nobody else has a part in get shared memory. */
const ISOLATED = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
};

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html",
  js: "text/javascript",
  json: "application/json",
  wasm: "application/wasm",
};

/** Why these are deep. */
const IN_SOFTWARE = "the same ranks and shaders run on Deno's WebGPU in the gate";

/** A deep test that needs Chromium: see CONTRIBUTING.md. */
export function chromiumTest(
  name: string,
  run: () => Promise<void>,
  { missing = null }: { missing?: string | null } = {},
): void {
  const absent = existsSync(CHROMIUM)
    ? missing ?? notDeep(IN_SOFTWARE)
    : `no ${CHROMIUM}: apt-get install chromium`;
  const skipped = absent === null ? name : `${name} [skipped: ${absent}]`;
  Deno.test({ name: skipped, ignore: absent !== null, fn: run });
}

/**
 * Serves the files, "/index.html" first, lets Chromium look at them and waits for what it posts.
 * A page that takes long posts to "/progress" meanwhile.
 * @throws {Error} when nothing is posted for `timeoutMs`.
 */
export async function askChromium<Report>(
  files: Readonly<Record<string, string | Uint8Array<ArrayBuffer>>>,
  timeoutMs = TIMEOUT_MS,
): Promise<Report> {
  const { promise, resolve, reject } = Promise.withResolvers<Report>();
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    async (request) => {
      const { pathname } = new URL(request.url);
      if (request.method === "POST") {
        if (pathname === "/progress") wait();
        else resolve(await request.json());
        return new Response();
      }
      const path = pathname === "/" ? "/index.html" : decodeURIComponent(pathname);
      const file = files[path];
      if (file === undefined) return new Response(null, { status: 404 });
      const type = TYPES[path.split(".").at(-1)!] ?? "application/octet-stream";
      return new Response(file, { headers: { ...ISOLATED, "content-type": type } });
    },
  );
  const profile = await Deno.makeTempDir({ prefix: "ganglion-chromium-" });
  let timer: ReturnType<typeof setTimeout> | undefined;
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(() => reject(new Error("Chromium posted nothing")), timeoutMs);
  };
  wait();
  const browser = new Deno.Command(CHROMIUM, {
    args: [...FLAGS, `--user-data-dir=${profile}`, `http://127.0.0.1:${server.addr.port}/`],
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    browser.kill("SIGKILL");
    await browser.status;
    await server.shutdown();
    await Deno.remove(profile, { recursive: true }).catch(() => {}); // its children may linger
  }
}

/**
 * A module and all that it imports as one script for a page (`deno bundle`: needs esbuild, which
 * Deno takes from npm). What Deno and Node.js have and a page has not is there by name only.
 */
export async function bundleForPage(entry: URL): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", "--platform", "browser", fileURLToPath(entry)],
  }).output();
  const script = new TextDecoder().decode(stdout);
  if (!success || script === "") throw new Error(new TextDecoder().decode(stderr));
  return script.replaceAll(
    /^import (.+) from "node:[\w/]+";$/gm,
    (_, names: string) =>
      names.replaceAll(/[{}]/g, "").split(",")
        .map((each) => `const ${each.trim().split(/ as /).at(-1)} = undefined;`).join(" "),
  );
}
