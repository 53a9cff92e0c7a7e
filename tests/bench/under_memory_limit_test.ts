import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { MemoryMeasurement } from "./memory_report.ts";

const BENCH = fileURLToPath(new URL("./under_memory_limit.ts", import.meta.url));
const LIMIT = ["--limit", "64MiB"];

/** Why no cgroup can be made here; null where one can. */
const obstacle = findObstacle();

/** The tool, with every permission: without all of them Deno does not open files of the kernel. */
function startBench(...args: string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--allow-all", BENCH, ...args],
    env: { NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function runBench(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const { code, stdout, stderr } = await startBench(...args).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, out, err };
}

limitedTest("under_memory_limit measures commands in turn, and writes what it saw", async () => {
  await withFolder(async (folder) => {
    const [file, json] = [join(folder, "file"), join(folder, "new", "o.json")];
    await Deno.writeFile(file, new Uint8Array(100 << 20));
    const { code, out, err } = await runBench(
      ...[...LIMIT, "--rounds", "2", "--evict", file, "--json", json, "--outputs", folder],
      ...["--run", `reader=cat ${file} > /dev/null; sleep 0.3; echo decode 2 tok/s`],
      ...["--run", "failing=echo decode 4 tok/s; echo no luck >&2; exit 3"],
    );
    assertEquals(code, 0, err);
    assertStringIncludes(err, "ended code 3\n  no luck");
    assertStringIncludes(out, "median (min–max) of 2 interleaved rounds");
    const { runs }: { runs: MemoryMeasurement[] } = JSON.parse(await Deno.readTextFile(json));
    assertEquals(runs.map(({ round, name }) => [round, name]), [
      ...[[1, "reader"], [1, "failing"], [2, "failing"], [2, "reader"]],
    ]);
    const [reader, failing] = runs;
    assertEquals([reader.decodeTps, failing.decodeTps, failing.exitCode], [2, 4, 3]);
    assert(reader.limitHits > 0, "100 MiB do not fit into 64 MiB");
    const peak = reader.peakBytes ?? 0;
    assert(peak > 48 << 20 && peak <= 64 << 20, `a peak of ${peak}`);
    assert(reader.anonymousPeakBytes < 16 << 20, "the page cache is not anonymous");
    assert(reader.wallSeconds >= 0.3, `${reader.wallSeconds} s`);
    assertEquals(await Deno.readTextFile(join(folder, "failing.2.err")), "no luck\n");
  });
});

limitedTest("under_memory_limit tells a kill for memory and one for time apart", async () => {
  const run = async (seconds: number, command: string) => {
    const args = [...LIMIT, "--timeout", `${seconds}`, "--run", command];
    const { code, out, err } = await runBench(...args);
    assertEquals(code, 0, err);
    assertStringIncludes(err, "The page cache is kept");
    return out;
  };
  // The kernel may look for memory for seconds before it gives up.
  const hungry = await run(60, "hungry=head -c 200M /dev/zero | tail -c 200M > /dev/null");
  assert(/^hungry .* out of memory$/m.test(hungry), hungry);
  const idle = await run(1, "idle=sleep 60 & wait");
  assert(/^idle .* too slow$/m.test(idle), idle);
});

limitedTest("under_memory_limit ends its command and removes the cgroup when stopped", async () => {
  await withFolder(async (folder) => {
    const started = join(folder, "started");
    const child = startBench(
      ...LIMIT,
      "--",
      "sh",
      "-c",
      `cat /proc/self/cgroup > ${started}
      echo $$ >> ${started}; sleep 60`,
    );
    const output = child.output();
    while (!(await exists(started))) await new Promise((resolve) => setTimeout(resolve, 50));
    assertStringIncludes(await Deno.readTextFile(started), `ganglion-bench-${child.pid}`);
    child.kill("SIGINT");
    assertEquals((await output).code, 130);
    const { stdout } = await new Deno.Command("find", {
      args: ["/sys/fs/cgroup", "-maxdepth", "2", "-name", `ganglion-bench-${child.pid}`],
    }).output();
    assertEquals(new TextDecoder().decode(stdout), "");
  });
});

Deno.test("under_memory_limit says in a sentence what is wrong with its command line", async () => {
  const { code, err } = await runBench(...LIMIT);
  assertEquals(code, 1);
  assertStringIncludes(err, "name a command");
});

/** A test that needs a cgroup; its name says why it is skipped. */
function limitedTest(name: string, fn: () => Promise<void>): void {
  const ignore = obstacle !== null;
  Deno.test({ name: ignore ? `${name} [skipped: ${obstacle}]` : name, ignore, fn });
}

function findObstacle(): string | null {
  if (Deno.build.os !== "linux") return "no Linux";
  // Reading /proc takes a permission that tests do not have; making a folder elsewhere does not.
  const script = 'test "$(id -u)" = 0 || { echo not root; exit; }\n' +
    "for d in /sys/fs/cgroup/memory /sys/fs/cgroup; do\n" +
    "  mkdir $d/ganglion-probe-$$ 2> /dev/null || continue\n" +
    "  test -e $d/ganglion-probe-$$/memory.stat; found=$?\n" +
    "  rmdir $d/ganglion-probe-$$; test $found = 0 && exit\n" +
    "done\necho no memory cgroup can be made";
  const { stdout } = new Deno.Command("sh", { args: ["-c", script] }).outputSync();
  return new TextDecoder().decode(stdout).trim() || null;
}

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "ganglion-bench-test-" });
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(({ size }) => size > 0, () => false);
}
