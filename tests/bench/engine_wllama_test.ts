import { assertEquals, assertRejects } from "@std/assert";
import { join } from "node:path";
import { tinyModel } from "../support/tiny_model.ts";
import type { Sample } from "./engine.ts";
import { wllama } from "./engine_wllama.ts";

/** A browser that runs `script` instead of the page; the page's address is in `url`. */
async function measureWith(script: string, modelBytes?: number): Promise<Sample> {
  const folder = await Deno.makeTempDir({ prefix: "ganglion-bench-test-" });
  try {
    const package_ = join(folder, "node_modules", "@wllama", "wllama");
    await Deno.mkdir(join(package_, "esm", "single-thread"), { recursive: true });
    await Deno.writeTextFile(join(package_, "package.json"), `{"version":"9.9.9"}`);
    await Deno.writeTextFile(join(package_, "esm", "index.js"), "export {};");
    const modelPath = join(folder, "tiny.gguf");
    await Deno.writeFile(modelPath, tinyModel());
    if (modelBytes !== undefined) await Deno.truncate(modelPath, modelBytes); // sparse
    const chromium = join(folder, "browser");
    await Deno.writeTextFile(
      chromium,
      `#!/usr/bin/env -S ${Deno.execPath()} run --no-prompt --ext=js --allow-net=127.0.0.1\n` +
        `const url = Deno.args.at(-1);\n${script}`,
      { mode: 0o755 },
    );
    const engine = await wllama(folder, { chromium, sandbox: true });
    const lengths = { promptIds: [3, 4, 5], genTokens: 2, seed: 1, decodeAtDepth: false };
    return await engine.measure({ modelPath, threads: 2, ...lengths });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const ignore = Deno.build.os === "windows"; // no scripts as programs

Deno.test({
  name: "wllama() gives the page its job, the package and the model, isolated; takes its report",
  ignore,
  async fn() {
    const sample = await measureWith(`
      const get = async (path) => {
        const response = await fetch(url + path);
        if (response.headers.get("cross-origin-opener-policy") !== "same-origin") throw path;
        if (response.headers.get("cross-origin-embedder-policy") !== "require-corp") throw path;
        return response;
      };
      const page = await (await get("")).text();
      if (!page.includes("/wllama/index.js")) throw "page";
      const job = await (await get("job")).json();
      const module = await get("wllama/index.js");
      if (module.headers.get("content-type") !== "text/javascript") throw "type";
      if (await module.text() !== "export {};") throw "module";
      const model = await (await get("model/0")).bytes();
      if (new TextDecoder().decode(model.subarray(0, 4)) !== "GGUF") throw "model";
      for (const missing of ["model/1", "wllama/none.js", "etc/passwd", "wllama//etc/passwd"]) {
        const response = await get(missing);
        if (response.status !== 404) throw missing;
        await response.body.cancel();
      }
      const report = { prefillTps: job.promptIds.length * 10, decodeTps: job.threads + job.files };
      await fetch(url + "report", { method: "POST", body: JSON.stringify(report) });
      setInterval(() => {}, 1000); // a browser stays open
    `);
    assertEquals(sample, { prefillTps: 30, decodeTps: 3, idsHash: null, version: "9.9.9" });
  },
});

Deno.test({
  name: "wllama() fails with the page's error, and when the browser ends without a report",
  ignore,
  async fn() {
    const report = `await fetch(url + "report", { method: "POST", body: '{"error":"no memory"}' })`;
    await assertRejects(() => measureWith(report), Error, "no memory");
    await assertRejects(() => measureWith("Deno.exit(7)"), Error, "ended with code 7");
  },
});

Deno.test({
  name: "wllama() refuses a file that no browser can hold, before it starts one",
  ignore,
  async fn() {
    const tooLarge = measureWith("Deno.exit(7)", 2 ** 31);
    await assertRejects(() => tooLarge, Error, "split it with llama-gguf-split");
  },
});
