import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { tinyModel } from "../support/tiny_model.ts";
import { checkXml } from "./check_xml.ts";
import type { Report } from "./report.ts";

const BENCH = fileURLToPath(new URL("./bench.ts", import.meta.url));

async function runBench(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const allowed = ["read", "write", "env", "sys", "run", "net=127.0.0.1"];
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", ...allowed.map((each) => `--allow-${each}`), BENCH, ...args],
    env: { NO_COLOR: "1" },
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, out, err };
}

Deno.test("bench measures a tiny model alone, and writes table, JSON and chart", async () => {
  const folder = await Deno.makeTempDir({ prefix: "ganglion-bench-test-" });
  try {
    const [model, json, svg] = ["tiny.gguf", "r.json", "r.svg"].map((name) => join(folder, name));
    await Deno.writeFile(model, tinyModel());
    const { code, out, err } = await runBench(
      ...[model, "--prompt-tokens", "64", "--gen-tokens", "4", "--repeat", "1", "--load"],
      ...["--peers", `llama-bench=${model}.missing`, "--variants", "flags,plain"],
      ...["--context", "8", "--json", json, "--svg", svg, "--markdown"],
    );
    assertEquals(code, 0, err);
    assertStringIncludes(err, "Not measured: llama-bench: ");
    assertStringIncludes(out, "not measured: llama-bench: ");
    assert(/\| tiny \| 1 \| ganglion plain \| [\d.]+ \| [\d.]+ \|/.test(out), out);
    assert(!out.includes("ATTENTION"), out);
    const report: Report = JSON.parse(await Deno.readTextFile(json));
    assertEquals(report.speed[0].engines.map(({ engine }) => engine), [
      "ganglion",
      "ganglion plain",
    ]);
    const [ours, plain] = report.speed[0].engines;
    assert(ours.idsHash !== null && ours.idsHash === plain.idsHash, "same bits without flags");
    assertEquals([report.contexts.length, report.load.length], [2, 2]);
    checkXml(await Deno.readTextFile(svg));
    const again = await runBench("--from", json, "--svg", `${folder}/new/again.svg`, "--markdown");
    assertEquals([again.code, again.out], [0, out], again.err);
    assertEquals(await Deno.readTextFile(`${folder}/new/again.svg`), await Deno.readTextFile(svg));
    await Deno.writeTextFile(json, "{}");
    const damaged = await runBench("--from", json);
    assertEquals(damaged.code, 1);
    assertStringIncludes(damaged.err, "is no report");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test({
  name: "bench goes on without a peer that fails, and says so once",
  ignore: Deno.build.os === "windows", // no scripts as programs
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "ganglion-bench-test-" });
    try {
      const [model, peer] = ["tiny.gguf", "llama-bench"].map((name) => join(folder, name));
      await Deno.writeFile(model, tinyModel());
      await Deno.writeTextFile(peer, "#!/bin/sh\necho no memory >&2\nexit 3\n", { mode: 0o755 });
      const { code, out, err } = await runBench(
        ...[model, "--prompt-tokens", "8", "--gen-tokens", "2", "--repeat", "2"],
        ...["--peers", `llama-bench=${peer}`],
      );
      assertEquals(code, 0, err);
      const notes = out.split("\n").filter((line) => line.startsWith("not measured"));
      assertEquals(notes, [
        "not measured: llama-bench, tiny, 1 thread(s), 8 + 2 tokens: " +
        `round 1: "${peer}" ended with code 3: no memory`,
      ]);
      assertStringIncludes(out, "median (min–max) of 2 interleaved rounds");
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("bench ends with code 1 and a sentence when there is no such model or flag", async () => {
  const missing = await runBench("/no/such.gguf", "--peers", "none");
  assertEquals(missing.code, 1);
  assertStringIncludes(missing.err, "Cannot measure: ");
  assertStringIncludes(missing.err, "/no/such.gguf");
  const unknown = await runBench("--quick");
  assertEquals(unknown.code, 1);
  assertStringIncludes(unknown.err, "--quick");
});
