import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertGreater,
  assertStringIncludes,
} from "@std/assert";
import { text } from "../../src/gguf/mod.ts";
import { runCli, runProcess, withTinyModel } from "./run_cli.ts";
import "../support/thread_pool.ts";

interface Region {
  readonly name: string;
  readonly bytes: number;
}

/** Silent neurons, in a type that can be packed. */
const SPARSE = {
  type: "Q8_0" as const,
  embeddingLength: 64,
  metadata: [["llama.hidden_activation", text("relu")]] as const,
};

async function planJson(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const { code, stdout, stderr } = await runCli(["plan", ...args, "--threads", "1", "--json"], {
    env: { GANGLION_CACHE: "/nonexistent", ...env },
  });
  assertEquals(code, 0, stderr);
  return JSON.parse(stdout);
}

Deno.test("plan --json tells where everything of a model goes, and the speed to expect", () =>
  withTinyModel(async (path) => {
    const plan = await planJson([path, "--memory", "1GiB", "--ctx-size", "64"]);
    assertEquals([plan.way, plan.fits, plan.packed], ["resident", true, null]);
    assertEquals([plan.ranks.length, plan.hot_fraction], [1, 1]);
    const total = plan.regions.reduce(
      (sum: number, { bytes }: { bytes: number }) => sum + bytes,
      0,
    );
    assertEquals(plan.total_bytes, total);
    assertGreater(plan.expected_decode_tps, 0);
    const context = ({ regions }: { regions: Region[] }) =>
      regions.find(({ name }) => name === "context")!.bytes;
    const three = await planJson([path, "--parallel", "3", "--ctx-size", "64"]);
    assertEquals(context(three), 3 * context(plan));
    assertEquals(plan.profile, { measured_at: "never", machine: "built-in" });
  }, SPARSE));

Deno.test("plan says of a plain file that does not fit what packing would give", () =>
  withTinyModel(async (path, folder) => {
    const whole = await planJson([path, "--memory", "1GiB", "--ctx-size", "64"]);
    // The tiny model's neurons take less than the threads that would read them.
    const { code, stderr } = await runCli(["plan", path, "--memory", `${whole.total_bytes - 1}`]);
    assertEquals(code, 1);
    const [, needed] = /as a whole it needs at least .* \((\d+) bytes\)/.exec(stderr) ?? [];
    assertEquals((await runCli(["plan", path, "--memory", needed])).code, 0, stderr);
    const runWithin = (bytes: number) =>
      runCli(["run", path, "hi", "--max-tokens", "1", "--memory", `${bytes}`]);
    assertEquals((await runWithin(Number(needed))).code, 0);
    assertStringIncludes((await runWithin(Number(needed) - 1)).stderr, `(${needed} bytes)`);
    const packed = `${folder}/tiny.ganglion`;
    assertEquals((await runCli(["pack", path, "-o", packed])).code, 0);
    const same = await planJson([packed, "--memory", "1GiB", "--ctx-size", "64"]);
    // What reads the packed file, and where reads arrive.
    const reading = same.regions.filter(({ name }: Region) => name === "io" || name === "staging")
      .reduce((sum: number, { bytes }: Region) => sum + bytes, 0);
    assertAlmostEquals(same.total_bytes, whole.total_bytes + reading, 65536);
    // Processes may call the system's functions (--allow-ffi): it reads for them, not threads.
    for (const runIt of [runCli, runProcess]) {
      const run = (budget: string | number) =>
        runIt([
          ...["run", packed, "hi", "--max-tokens", "1"],
          ...["--threads", "1", "--memory", `${budget}`],
        ]);
      const refused = await runIt(["plan", packed, "--memory", "1MiB", "--threads", "1"]);
      const [, shown, least] = /at least (\S+ MiB) \((\d+) bytes\)/.exec(refused.stderr)!;
      assertEquals((await run(least)).code, 0);
      // What is rounded is rounded up, whoever reads.
      if (runIt === runCli) assertEquals((await run(shown)).code, 0);
      const { code, stderr } = await run(Number(least) - 1);
      assertEquals(code, 1);
      assertStringIncludes(stderr, `it needs at least ${shown} (${least} bytes)`);
    }
    const text = await runCli(["plan", packed, "--memory", "1GiB"]);
    assertStringIncludes(text.stdout, "all of it is in memory");
    assertStringIncludes(text.stdout, "tok/s");
    assertStringIncludes(text.stdout, "read once, through the file cache");
    assertEquals([whole, same].map((plan) => plan.reads_past_file_cache), [false, false]);
    const off = { GANGLION_FILE_CACHE: "off" };
    assertEquals((await planJson([packed], off)).reads_past_file_cache, true);
    // A plain file never is.
    assertEquals((await planJson([path], off)).reads_past_file_cache, false);
    assert((await runCli(["plan", packed, "--stats", `${folder}/none`])).code !== 0);
  }, SPARSE));

for (
  const [architecture, reason] of [["mamba2", "have none"], [
    "gemma3n",
    "depends on all gates",
  ]] as const
) {
  Deno.test(`plan tells of ${architecture}, which cannot be packed, what it takes as a whole`, () =>
    withTinyModel(async (path) => {
      const { way, total_bytes: bytes } = await planJson([path, "--memory", "1GiB"]);
      assertEquals(way, "resident");
      const args = ["plan", path, "--threads", "1", "--memory", `${bytes - 1}`];
      const { code, stderr } = await runCli(args);
      assertEquals(code, 1);
      assertStringIncludes(stderr, `as a whole it needs at least`);
      assertStringIncludes(stderr, `(${bytes} bytes)`);
      assertStringIncludes(stderr, reason);
    }, { architecture }));
}

Deno.test("plan says of an encoder how it reads texts, and nothing of writing", () =>
  withTinyModel(async (path) => {
    const { stdout } = await runCli(["plan", path, "--threads", "1", "--memory", "1GiB"]);
    assertStringIncludes(stdout, "text      256 tokens at once");
    assert(!/^(decode|prompt|token) /m.test(stdout), stdout);
  }, { architecture: "bert" }));
