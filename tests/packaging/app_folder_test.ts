/** The program as a folder, from strange places, and whether anything is missing in it. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { APP_MAIN, files } from "../../packaging/app_folder.ts";
import {
  bringFilesOfPackages,
  filesBeside,
  filesOfPackages,
  listIncludes,
  ROOT,
} from "../../packaging/include_list.ts";
import { readLaunch, runArguments } from "../../packaging/launch.ts";
import { WorkerCaller } from "../../workers/caller.ts";
import { Log } from "../cli/server_process.ts";
import { corpus } from "../support/fuzz.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { IMAGE_CONFIGS } from "../vision/image_configs.ts";
import { appFolder, hostileFolder, runToEnd, temporaryFolder } from "./app.ts";

/** One argument could be a file: `run` looks. */
const QUESTION = "What is Ganglion?";
const ASK = ["run", QUESTION, "--temperature", "0", "--max-tokens", "12"];

/** A machine without the user's settings and without a cache. */
const ENV = { HOME: "/nonexistent", PATH: "/usr/bin:/bin", NO_COLOR: "1" };

Deno.test("filesBeside() finds assets and threads' entries, relative to the root", () => {
  const source = `const a = new URL("./kernels.wasm", import.meta.url);
    const b = new URL(
      "../../x/y.gguf",
      import.meta.url,
    );
    start(isGpu ? "./gpu_worker.ts" : "../deep/io_worker.ts");
    new URL(path, base);`;
  assertEquals(filesBeside("src/a/b.ts", source), [
    "src/a/kernels.wasm",
    "x/y.gguf",
    "src/a/gpu_worker.ts",
    "src/deep/io_worker.ts",
  ]);
});

Deno.test("filesOfPackages() finds what of packages is opened, and bringFilesOfPackages() names it", () => {
  const source = 'read(import.meta.resolve("@a/b/c.wasm")); import.meta.resolve(name);';
  assertEquals(filesOfPackages("src/a.ts", source), ["@a/b/c.wasm"]);
  assertEquals(
    bringFilesOfPackages(source, (name) => `../${name.slice(-6)}`),
    'read(new URL("../c.wasm", import.meta.url).href); import.meta.resolve(name);',
  );
});

Deno.test("listIncludes() has every entry in workers, the kernels and the built-in model", async () => {
  const { workers, assets, modules, packaged } = await listIncludes();
  const entries = [...Deno.readDirSync(join(ROOT, "workers"))]
    .map(({ name }) => `workers/${name}`).filter((path) => path.endsWith("_worker.ts")).sort();
  assertEquals(workers, entries);
  assertEquals(assets, ["builtin/model.gguf", "wasm/kernels.wasm"]);
  const decoders = [
    "@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm",
    "@jsquash/webp/codec/dec/webp_dec.wasm",
  ];
  assertEquals(packaged, decoders);
  assert(modules.some((path) => path.endsWith(".wgsl")), "shaders are imported as text");
});

Deno.test("the program from its sources opens nothing that listIncludes() leaves out", async () => {
  const { modules, workers, assets } = await listIncludes();
  const folder = temporaryFolder();
  const allowed = [...modules, ...workers, ...assets, QUESTION].map((path) => join(ROOT, path));
  const { permissions, v8Flags } = readLaunch();
  const narrow = permissions.filter((flag) => !/^--allow-(read|write)/.test(flag));
  const { code, stdout, stderr } = await runToEnd(Deno.execPath(), [
    ...["run", ...narrow, `--allow-read=${[...allowed, folder].join(",")}`],
    ...[join(ROOT, "src/cli/main.ts"), ...ASK],
  ], {
    cwd: ROOT,
    env: {
      ...ENV,
      DENO_V8_FLAGS: v8Flags,
      XDG_CONFIG_HOME: folder,
      XDG_CACHE_HOME: folder,
      DENO_DIR: denoDir(),
    },
  });
  assertEquals(code, 0, stderr);
  assertStringIncludes(stdout, "Ganglion");
});

Deno.test("every file that an app's code names beside itself is there", async () => {
  const app = await appFolder();
  let count = 0;
  for await (const path of files(app)) {
    if (!path.endsWith(".js")) continue;
    const code = Deno.readTextFileSync(join(app, path));
    assertEquals(filesBeside("x.ts", code).filter((each) => each.endsWith(".ts")), []);
    for (const [, url] of code.matchAll(/new URL\(\s*"([^"]+)",\s*import\.meta\.url/g)) {
      assert(Deno.statSync(join(app, dirname(path), url)).isFile);
      count++;
    }
  }
  assert(count >= 5, `${count} files named`);
});

Deno.test("an app's thread of images has its decoders", async () => {
  const script = pathToFileURL(join(await appFolder(), "workers/image_worker.js"));
  const thread = new WorkerCaller(script, "images", {});
  const config = IMAGE_CONFIGS.mlp;
  const tables = { positions: null, classTokens: null, patchBias: null };
  for (const name of ["baseline.jpg.bin", "lossy.webp.bin"]) {
    const file = corpus("image").find((each) => each.name === name)!.bytes;
    const { tiles } = await thread.call("prepareImage", { file, config, tables });
    assertEquals(tiles.map(({ count }) => count), [9], name);
  }
  await thread.close(1000);
});

Deno.test("an app answers in a folder that cannot be written, reading nothing else", async () => {
  const app = await appFolder();
  const before = await listing(app);
  const cwd = hostileFolder();
  const { code, stdout, stderr } = await runToEnd(Deno.execPath(), [
    ...[...readingOnly(app, "/nonexistent", join(cwd, QUESTION)), join(app, APP_MAIN), ...ASK],
  ], { cwd, env: ENV });
  assertEquals(code, 0, stderr);
  assertStringIncludes(stdout, "Ganglion runs");
  assertEquals(await listing(app), before);
});

Deno.test("an app's launcher finds Deno on the PATH, and runs threads that read from disk", async () => {
  const app = await appFolder();
  const folder = hostileFolder();
  const env = { ...ENV, HOME: folder, PATH: `${dirname(Deno.execPath())}:${ENV.PATH}` };
  const ganglion = (...args: string[]) =>
    runToEnd(join(app, "ganglion"), args, { cwd: folder, env });
  await Deno.writeFile(join(folder, "tiny.gguf"), tinyModel({ type: "Q4_0" }));
  const packed = await ganglion("pack", "tiny.gguf");
  assertEquals(packed.code, 0, packed.stderr);
  const { code, stdout, stderr } = await ganglion(
    ...[
      "bench",
      "tiny.ganglion",
      "--json",
      "--prompt-tokens",
      "8",
      "--gen-tokens",
      "4",
      "--repeat",
      "1",
    ],
  );
  assertEquals(code, 0, stderr);
  assertMatch(stdout, /"flags":[^\]]*revectorize/s);
});

Deno.test("an app serves its page and its API, reading nothing else", async () => {
  const app = await appFolder();
  const child = new Deno.Command(Deno.execPath(), {
    args: [...readingOnly(app, "/nonexistent"), join(app, APP_MAIN), "serve", "--port", "0"],
    cwd: hostileFolder(),
    env: { ...ENV, XDG_RUNTIME_DIR: "/tmp" },
    clearEnv: true,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const log = new Log(child.stderr);
  try {
    const [, url] = await log.match(/at (http:\/\/127\.0\.0\.1:\d+)/);
    assertStringIncludes(await (await fetch(url)).text(), "<title>");
    const answer = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ messages: [{ role: "user", content: "hello" }], max_tokens: 4 }),
    });
    assertEquals((await answer.json()).usage.completion_tokens, 4);
  } finally {
    child.kill("SIGTERM");
    await Promise.all([child.status, log.ended]);
  }
});

/** Deno's arguments for an app that may read these paths only, and write nothing. */
function readingOnly(...paths: string[]): string[] {
  const others = runArguments(readLaunch()).filter((flag) => !/^--allow-(read|write)/.test(flag));
  return [...others, `--allow-read=${paths}`];
}

/** Where this process has npm's packages. */
function denoDir(): string {
  return Deno.env.get("DENO_DIR") ?? join(Deno.env.get("HOME") ?? "", ".cache/deno");
}

/** Names, sizes and times of a folder's files. */
async function listing(folder: string): Promise<string[]> {
  const lines: string[] = [];
  for await (const path of files(folder)) {
    const { size, mtime } = await Deno.stat(join(folder, path));
    lines.push(`${path} ${size} ${mtime?.getTime()}`);
  }
  return lines.sort();
}
