/** What is written by hand for compilers, containers and systemd, beside what is true elsewhere. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { compileArguments } from "../../packaging/compile.ts";
import { listIncludes, ROOT } from "../../packaging/include_list.ts";
import { readLaunch, runArguments } from "../../packaging/launch.ts";
import { APP_MAIN } from "../../packaging/app_folder.ts";

const read = (path: string) => Deno.readTextFileSync(join(ROOT, path));
const analyze = "/usr/bin/systemd-analyze";
const hasSystemd = await Deno.stat(analyze).then(() => true, () => false);

Deno.test("compileArguments() include all that the program opens, with V8's flags", async () => {
  const args = await compileArguments("x86_64-pc-windows-msvc", "x.exe");
  const { workers, assets } = await listIncludes();
  const included = args.filter((_, index) => args[index - 1] === "--include");
  assertEquals(included.sort(), [...workers, ...assets].sort());
  assert(args.includes(`--v8-flags=${readLaunch().v8Flags}`));
  for (const flag of readLaunch().permissions) assert(args.includes(flag), flag);
});

Deno.test("deno compile embeds what it is told to, with a stand-in for its runtime", async () => {
  const folder = await Deno.makeTempDir();
  const output = join(folder, "ganglion");
  try {
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      // Types are checked elsewhere.
      args: (await compileArguments(Deno.build.target, output)).toSpliced(1, 0, "--no-check"),
      cwd: ROOT,
      env: { DENORT_BIN: Deno.execPath(), NO_COLOR: "1" },
    }).output();
    const tree = new TextDecoder().decode(stderr);
    assert(success, tree);
    const { workers, assets } = await listIncludes();
    for (const path of [...workers, ...assets]) {
      assertStringIncludes(tree, path.slice(path.lastIndexOf("/") + 1));
    }
    for (const name of ["hono", "zod", "commander"]) assertStringIncludes(tree, name);
    for (const name of ["assemblyscript", "langchain", "fast-check"]) {
      assert(!tree.includes(name), name);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the Dockerfile starts Deno as the tasks do, in the version that CI tests", () => {
  const dockerfile = read("packaging/Dockerfile");
  const entry = /^ENTRYPOINT (\[[^]*?\])$/m.exec(dockerfile.replaceAll(/ \\\n/g, ""))?.[1] ?? "";
  const launch = readLaunch();
  assertEquals(JSON.parse(entry), [
    ...["deno", ...runArguments(launch), `/opt/ganglion/${APP_MAIN}`],
  ]);
  assertStringIncludes(dockerfile, `DENO_V8_FLAGS=${launch.v8Flags} `);
  const version = /^DENO=deno@(\S+)$/m.exec(read(".ci/run"))?.[1];
  assertStringIncludes(dockerfile, `ARG DENO_VERSION=${version}\n`);
});

Deno.test({
  name: `systemd takes the unit, and finds little exposed${
    hasSystemd ? "" : " [skipped: no systemd]"
  }`,
  ignore: !hasSystemd,
  fn: async () => {
    const folder = await Deno.makeTempDir();
    const unit = join(folder, "ganglion.service");
    try {
      // The program is not installed here: another one stands in for it.
      await Deno.writeTextFile(
        unit,
        read("packaging/ganglion.service").replace("/opt/ganglion/ganglion", "/bin/true"),
      );
      const verified = await new Deno.Command(analyze, { args: ["verify", "--man=no", unit] })
        .output();
      assertEquals(new TextDecoder().decode(verified.stderr), "");
      const { success, stdout } = await new Deno.Command(analyze, {
        args: ["security", "--offline=true", "--no-pager", "--threshold=20", unit],
      }).output();
      assert(success, new TextDecoder().decode(stdout).slice(-300));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
