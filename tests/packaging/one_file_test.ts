/**
 * The one-file bundle, made and started for real: some seconds, for it holds all of Deno (stored
 * here; the second test's is compressed).
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { existsSync } from "node:fs";
import { writeOneFile } from "../../packaging/one_file.ts";
import { appFolder, hostileFolder, runToEnd, temporaryFolder } from "./app.ts";

const IGNORE = Deno.build.os === "windows";
const PATH = "/usr/bin:/bin";
const NOBODY = 65534;

Deno.test({
  name: "the one-file bundle answers, for a user with no home, from a folder nobody may write",
  ignore: IGNORE,
  fn: async () => {
    const app = await appFolder();
    const folder = temporaryFolder();
    const path = join(folder, "ganglion.run");
    await writeOneFile(app, path, { level: 0 });
    const temp = join(folder, "temp");
    await Deno.mkdir(temp);
    await Deno.chmod(temp, 0o1777);
    await Deno.chmod(folder, 0o555);
    const cwd = hostileFolder();
    await Deno.chmod(cwd, 0o755);
    const start = (args: readonly string[]) => {
      const env = { PATH, TMPDIR: temp, HOME: "/nonexistent" };
      const [program, ...before] = asNobody(path);
      return runToEnd(program, [...before, ...args], { cwd, env });
    };
    const ask = ["run", "What is Ganglion?", "--temperature", "0", "--max-tokens", "12"];
    const first = await start(ask);
    assertEquals(first.code, 0, first.stderr);
    assertStringIncludes(first.stdout, "Ganglion runs");
    const version = await start(["--version"]);
    assertEquals([version.code, version.stdout], [0, "0.1.0\n"]);
    const [unpacked] = [...Deno.readDirSync(temp)];
    const inside = [...Deno.readDirSync(join(temp, unpacked.name))].map(({ name }) => name);
    assertEquals(inside.filter((name) => name !== "deno").length, 1, `left over: ${inside}`);
  },
});

Deno.test({
  name: "the one-file bundle refuses a folder that is somebody else's, and says when it is damaged",
  ignore: IGNORE,
  fn: async () => {
    const folder = temporaryFolder();
    const app = join(folder, "app");
    await Deno.mkdir(app);
    await Deno.writeTextFile(join(app, "ganglion"), '#!/bin/sh\necho started "$@"\n');
    const deno = join(folder, "deno");
    await Deno.writeTextFile(deno, "no Deno");
    const path = join(folder, "ganglion.run");
    await writeOneFile(app, path, { deno });
    const start = (env: Record<string, string>) =>
      runToEnd(path, ["a b", "c"], { cwd: folder, env: { PATH, ...env } });

    const unpack = join(folder, "unpack");
    const good = await start({ GANGLION_UNPACK: unpack });
    assertEquals([good.code, good.stdout], [0, "started a b c\n"]);

    // Half a folder, as a cleaner of caches leaves it.
    const [{ name }] = [...Deno.readDirSync(unpack)];
    await Deno.remove(join(unpack, name, "complete"));
    await Deno.remove(join(unpack, name, "ganglion"));
    const again = await start({ GANGLION_UNPACK: unpack });
    assertEquals([again.code, again.stdout], [0, "started a b c\n"], again.stderr);
    assert(existsSync(join(unpack, name, "complete")));
    assertEquals([...Deno.readDirSync(unpack)].map((entry) => entry.name), [name]);

    const bytes = await Deno.readFile(path);
    bytes[bytes.length - 6] ^= 1;
    await Deno.writeFile(path, bytes);
    const damaged = await start({ GANGLION_UNPACK: join(folder, "other") });
    assertEquals(damaged.code, 1);
    assertStringIncludes(damaged.stderr, "damaged");
    assertEquals([...Deno.readDirSync(join(folder, "other"))], []);

    const { uid } = await Deno.stat(folder);
    const place = join(folder, `ganglion-${uid}`);
    await Deno.symlink("/tmp", place);
    const refused = await start({
      HOME: "/nonexistent/x",
      TMPDIR: folder,
      XDG_CACHE_HOME: "/proc/x",
    });
    assertEquals(refused.code, 1);
    assertStringIncludes(refused.stderr, "somebody else's");
    assert(damaged.stdout + refused.stdout === "");
  },
});

/** The same program, run by nobody where this is root, who may write everywhere. */
function asNobody(path: string): string[] {
  const isRoot = Deno.statSync(path).uid === 0;
  const hasSetpriv = isRoot && existsSync("/usr/bin/setpriv");
  return hasSetpriv
    ? ["/usr/bin/setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", path]
    : [path];
}
