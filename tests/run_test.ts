import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import {
  judge,
  listParts,
  type Part,
  readSummary,
  runAll,
  takePart,
  testsIn,
  whatComputed,
  whatFailed,
} from "./run.ts";
import { childrenCpuS, readChildrenCpuS } from "./support/children_cpu.ts";
import { idleCoresS, readIdleCoresS } from "./support/idle_cores.ts";

/** What a part says that passed. */
const PASSED = "echo 'ok | 1 passed | 0 failed (1s)'";

Deno.test("listParts() has every test file once, and every task of tests", () => {
  const parts = listParts();
  const paths = parts.flatMap(([_, ...args]) => args);
  const files = paths.flatMap((path) => path.endsWith(".ts") ? [path] : testsIn(path));
  assertEquals(files.toSorted(), testsIn("tests"));
  assert(files.includes("tests/run_test.ts") && files.includes("tests/gguf/parse_test.ts"));
  const { tasks } = JSON.parse(Deno.readTextFileSync(new URL("../deno.json", import.meta.url)));
  // These call the runner, are what it calls, or take a program that few machines have.
  const others = ["test:deep", "test:files", "test:replicas", "test:together"];
  const own = Object.keys(tasks).filter((name) => /^test:/.test(name) && !others.includes(name));
  const run = parts.map(([task]) => task).filter((task) =>
    !["test:files", "test:together"].includes(task)
  );
  assertEquals(run.toSorted(), own.toSorted());
});

Deno.test("files that share an isolate have threads of a pool all of them, or none, and measure nothing", () => {
  let shared = 0;
  for (const [task, ...paths] of listParts()) {
    if (task !== "test:together") continue;
    const texts = paths.map((path) =>
      Deno.readTextFileSync(new URL(`../${path}`, import.meta.url))
    );
    const pooled = texts.filter((text) => /^import "[^"]*\/thread_pool\.ts"/m.test(text));
    assert(pooled.length === 0 || pooled.length === paths.length, paths.join(" "));
    // The others' shaders would have none of their constants.
    const sized = texts.flatMap((text) => /^sizesAsData\(.*$/m.exec(text)?.[0] ?? []);
    assert(sized.length === 0 || sized.length === paths.length, paths.join(" "));
    assert(sized.every((call) => call === "sizesAsData();"), paths.join(" "));
    const measuring = paths.filter((_, i) => /Deno\.memoryUsage\(/.test(texts[i]));
    assertEquals(measuring, [], "what others have given back hides what is kept");
    if (pooled.length > 1) shared++;
  }
  assert(shared > 3);
});

Deno.test("together.ts runs every file, and fails where one cannot be read", async () => {
  const run = async (...paths: string[]) => {
    const args = ["task", "--quiet", "test:together", ...paths];
    const { code, stdout } = await new Deno.Command(Deno.execPath(), { args }).output();
    return { code, sums: readSummary(new TextDecoder().decode(stdout)) };
  };
  const [recent, chains] = ["sampler_recent_ids", "chains"].map((name) =>
    `tests/engine/${name}_test.ts`
  );
  const counts = await Promise.all([[recent], [chains], [recent, chains]].map(async (paths) => {
    const { code, sums } = await run(...paths);
    assertEquals(code, 0, paths.join(" "));
    return sums!.passed;
  }));
  assertEquals(counts[0] + counts[1], counts[2]);
  assert(counts[0] > 0 && counts[1] > 0);
  const broken = await run(recent, "tests/engine/none_test.ts");
  assert(broken.code !== 0, "a file that is not there");
});

Deno.test("takePart() takes each part once, what waits apart from what computes as long as it can", () => {
  const all: Part[] = ["llm", "server", "cli/x_test.ts", "gguf"].map((
    name,
  ) => ["test:files", `tests/${name}`]);
  const left = [...all];
  const wanted = [true, false, false, false, true];
  const taken = wanted.map((isWaiting) => takePart(left, isWaiting));
  assertEquals(taken, [all[1], all[0], all[3], all[2], undefined]);
});

Deno.test("readSummary() reads the last line of deno test, in colours or not", () => {
  const text = "ok | 1 passed | 9 failed\nx ... ok (3ms)\n\n";
  assertEquals(readSummary(`${text}ok | 12 passed (3 steps) | 0 failed | 4 ignored (2s)\n`), {
    ...{ passed: 12, failed: 0, ignored: 4 },
  });
  assertEquals(readSummary(`${text}\x1b[31mFAILED\x1b[0m | 2 passed | 7 failed (1m2s)\n`), {
    ...{ passed: 2, failed: 7, ignored: 0 },
  });
  assertEquals(readSummary("error: Module not found"), null);
});

Deno.test("judge() counts a part as a failure that says nothing of its tests", () => {
  const none = { passed: 0, failed: 1, ignored: 0 };
  assertEquals(judge("", true), { sums: none, fault: "it ended without a test" });
  const empty = judge("ok | 0 passed | 0 failed (1s)", true);
  assertEquals(empty, { sums: none, fault: "it ended without a test" });
  assertEquals(judge("ok | 0 passed | 0 failed | 2 ignored (1s)", true).fault, null);
  assertEquals(judge("x", false), { sums: none, fault: "it ended without saying what failed" });
  const died = { sums: { ...none, passed: 3 }, fault: "it died behind its tests" };
  assertEquals(judge("ok | 3 passed | 0 failed (1s)", false), died);
  assertEquals(judge("ok | 3 passed | 0 failed (1s)", true).sums, {
    ...none,
    passed: 3,
    failed: 0,
  });
  assertEquals(judge("FAILED | 3 passed | 2 failed (1s)", false).sums.failed, 2);
});

Deno.test("whatFailed() begins at the errors that deno test lists, and keeps the last lines", () => {
  const errors = ["", " ERRORS ", "", "a ... it fails => a_test.ts:3:6", "error: x", ""].join("\n");
  const summary = "FAILED | 3 passed | 1 failed (1s)";
  assertEquals(whatFailed(`b ... ok (3ms)${errors}${summary}\n`), (errors + summary).trim());
  const lines = Array.from({ length: 100 }, (_, i) => `line ${i}`);
  assertEquals(whatFailed(lines.join("\n")), lines.slice(40).join("\n"));
});

Deno.test("runAll() gives a part that failed a second time alone, and names it", async () => {
  const folder = await Deno.makeTempDir();
  const path = join(folder, "late_test.ts");
  const mark = JSON.stringify(join(folder, "mark"));
  const isThere = `Deno.statSync(${mark}).isFile`;
  const once = `try { ${isThere}; } catch { Deno.writeTextFileSync(${mark}, ""); throw "late"; }`;
  const said: string[] = [];
  const run = async (text: string) => {
    said.length = 0;
    await Deno.writeTextFile(path, `Deno.test("it", () => { ${text} });`);
    return await runAll([["test:files", path]], (line) => said.push(line));
  };
  try {
    assertEquals(await run(once), 0);
    assertMatch(said.at(-1)!, /^ok \| 1 passed \| 0 failed /);
    const again = said.find((line) => line.startsWith("-- passed again"))!;
    assertMatch(again, /^-- passed again, failed beside others: .*late_test.ts\n[^]*late/);
    assertEquals(await run(`throw "never";`), 1);
    assertMatch(said.at(-1)!, /^FAILED \| 0 passed \| 1 failed /);
    assertMatch(said.at(-2)!, /^== .*late_test.ts, again\n[^]*never/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("runAll() begins a part that died behind its tests again, and once only", async () => {
  const folder = await Deno.makeTempDir();
  const mark = JSON.stringify(join(folder, "mark"));
  const said: string[] = [];
  const run = (command: string) => {
    said.length = 0;
    return runAll([["--eval", command]], (line) => said.push(line));
  };
  try {
    assertEquals(await run(`mkdir ${mark} && ${PASSED} && exit 3 || ${PASSED}`), 0);
    assertMatch(said.at(-1)!, /^ok \| 1 passed \| 0 failed /);
    const again = said.find((line) => line.startsWith("-- passed again"))!;
    assertMatch(again, /^-- passed again, died behind its tests: .*\n[^]*it died/);
    assertEquals(await run(`${PASSED} && exit 3`), 1);
    assertMatch(said.at(-1)!, /^FAILED \| 1 passed \| 1 failed /);
    assertEquals(said.filter((line) => /^== .*\(\d+ s\b/.test(line)).length, 2);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/**
 * One part for each core, eight at most, and one that waits, as are begun whatever is idle: they
 * wait until there is a folder `mark`, and fail where none comes.
 */
async function waitingParts(folder: string): Promise<{ waiting: Part[]; mark: string }> {
  const mark = join(folder, "mark");
  await Deno.writeTextFile(
    join(folder, "wait"),
    `for i in $(seq 40); do test -e ${mark} && ${PASSED} && exit 0; sleep 0.1; done; exit 1`,
  );
  const begun = Math.min(navigator.hardwareConcurrency, 6) + 1;
  const waiting = Array.from({ length: begun }, (): Part => ["--eval", `sh ${folder}/wait`]);
  return { waiting, mark };
}

Deno.test("runAll() begins a part more where cores are idle, and only there", async () => {
  const folder = await Deno.makeTempDir();
  const { waiting, mark } = await waitingParts(folder);
  const all: Part[] = [...waiting, ["--eval", `mkdir ${mark} && ${PASSED}`]];
  const failedFirst = async (idleShare: number) => {
    const said: string[] = [];
    const idleS = () => Promise.resolve(idleShare * performance.now() / 1000);
    await runAll(all, (line) => said.push(line), idleS);
    await Deno.remove(mark);
    const [, passed, failed] = /^\w+ \| (\d+) passed \| (\d+) failed/.exec(said.at(-1)!)!;
    assertEquals(Number(passed) + Number(failed), all.length, "each counts");
    return said.filter((line) => line.startsWith("== ") && line.includes("without saying")).length;
  };
  try {
    assertEquals(await failedFirst(0.6), 0);
    assert(await failedFirst(0.2) > 0);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("runAll() ends where a part dies that idle cores began, and no core is idle any more", async () => {
  const folder = await Deno.makeTempDir();
  const { waiting, mark } = await waitingParts(folder);
  // Those that wait end, and it dies when they have.
  const dies = `mkdir ${mark} && ${PASSED} && sleep 2 && exit 3 || ${PASSED}`;
  const said: string[] = [];
  let looks = 0;
  const idleS = () => {
    if (++looks > 12) throw new Error("it looks for idle cores for ever");
    return Promise.resolve(looks > 2 ? 0 : performance.now() / 1000);
  };
  try {
    assertEquals(await runAll([...waiting, ["--eval", dies]], (line) => said.push(line), idleS), 0);
    assert(said.some((line) => line.startsWith("-- passed again, died behind its tests")));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("readIdleCoresS() reads how long cores had nothing to do", () => {
  assertEquals(readIdleCoresS("cpu  100 20 30 400 50 6 7 8 0 0\n"), 4.5);
  assertEquals(readIdleCoresS(""), null);
});

Deno.test({
  name: "idleCoresS() grows by no more than all cores' time",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const [before, startMs] = [(await idleCoresS())!, performance.now()];
    await new Promise((resolve) => setTimeout(resolve, 300));
    const grownS = (await idleCoresS())! - before;
    const coresS = navigator.hardwareConcurrency * (performance.now() - startMs) / 1000;
    assert(grownS >= 0 && grownS < coresS + 0.1 * navigator.hardwareConcurrency, `${grownS} s`);
  },
});

Deno.test({
  name: "runAll() says what each part computed, and which computed the most",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const said: string[] = [];
    const part: Part = ["--eval", PASSED];
    assertEquals(await runAll([part], (line) => said.push(line)), 0);
    assertMatch(said[0], /^== .* \(\d+ s, \d+ s of CPU\)\n/);
    assertMatch(said[1], /^-- 0\.0 minutes of CPU, most of it\n {3}\d+ s /);
  },
});

Deno.test("whatComputed() names parts by what they computed, the most first, ten at most", () => {
  const runs = Array.from({ length: 12 }, (_, i) => ({ name: `part ${i}`, cpuS: 10 * i }));
  const lines = whatComputed([...runs, { name: "unknown", cpuS: null }]).split("\n");
  assertEquals(lines[0], "-- 11.0 minutes of CPU, most of it");
  assertEquals(lines.slice(1, 3), ["   110 s part 11", "   100 s part 10"]);
  assertEquals(lines.length, 11);
  assertEquals(whatComputed([{ name: "unknown", cpuS: null }]), "");
});

Deno.test("readChildrenCpuS() reads what children computed, whatever a process is called", () => {
  const fields = Array.from({ length: 40 }, (_, i) => i);
  fields[13] = 250, fields[14] = 125;
  assertEquals(readChildrenCpuS(`7 (a) b (c)) ${fields.join(" ")}\n`), 3.75);
  assertEquals(readChildrenCpuS(""), null);
});

Deno.test({
  name: "childrenCpuS() grows by what a process computes, with those that it began",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const before = (await childrenCpuS())!;
    const busy = 'sh -c "i=0; while [ \\$i -lt 300000 ]; do i=\\$((i+1)); done"; true';
    assert((await new Deno.Command("sh", { args: ["-c", busy] }).output()).success);
    assert((await childrenCpuS())! > before + 0.02);
  },
});

/** What `deno test` takes for a test when it is told nothing. */
const DENO_TEST = /(?:^|[./_])test\.(?:[cm]?[jt]s|[jt]sx)$|\/__tests__\//;
/** Folders in which nothing is of this project. */
const OTHERS = /^\.|^(?:node_modules|dist)$/;

/** Paths of all files below a folder, from the top of the repository. */
function filesBelow(folder: string): string[] {
  return [...Deno.readDirSync(new URL(`../${folder}`, import.meta.url))].flatMap((entry) => {
    const path = `${folder}${entry.name}`;
    if (entry.isFile) return [path];
    return entry.isDirectory && !OTHERS.test(entry.name) ? filesBelow(`${path}/`) : [];
  });
}

Deno.test("all that deno test takes for tests is in tests, under names that the runner knows", () => {
  const taken = filesBelow("").filter((path) => DENO_TEST.test(path));
  assertEquals(taken.toSorted(), testsIn("tests"));
});
