import { assertEquals, assertMatch } from "@std/assert";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { runCli, startCli, withTinyModel } from "./run_cli.ts";
import "../support/thread_pool.ts";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

/** Runs a command line whose streams a shell has redirected. */
async function runInShell(redirected: string, args: readonly string[]) {
  const deno = [Deno.execPath(), "run", "--no-check", "--no-prompt", "-A", MAIN, ...args];
  const { code, stdout, stderr } = await new Deno.Command("sh", {
    args: ["-c", `"$@" ${redirected}`, "sh", ...deno],
    env: { XDG_CONFIG_HOME: "/nonexistent", NO_COLOR: "1" },
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, out, err };
}

// A device that is a full disk.
const ignore = Deno.build.os !== "linux";

Deno.test("an answer for which the disk has no room is an error without a stack (fault 35)", {
  ignore,
}, () =>
  withTinyModel(async (path, folder) => {
    const verbs = [["tokenize", path, "--text", "a", "--json"], ["run", path, "a b", "--raw"]];
    for (const args of verbs) {
      const { code, err } = await runInShell(">/dev/full", args);
      assertEquals(code, 1, err);
      assertMatch(err, /^error: Cannot write "stdout": the disk is full: [^()]*\n$/m);
    }
    await Deno.symlink("/dev/full", `${folder}/full`);
    const args = ["logits", path, "--tokens", "1", "--out", `${folder}/full`];
    // Deno lets nobody write to a device who has not all permissions.
    const { code, err } = await runInShell("", args);
    assertEquals(code, 1);
    assertMatch(err, /^error: Cannot write ".*full": the disk is full: [^()]*\n$/m);
  }));

Deno.test(
  "a log for which the disk has no room ends nothing (fault 35)",
  { ignore },
  () =>
    withTinyModel(async (path, folder) => {
      const out = `${folder}/logits`;
      const args = ["logits", path, "--tokens", "1,2", "--out", out];
      assertEquals((await runInShell("2>/dev/full", args)).code, 0);
      assertEquals((await Deno.stat(out)).size % 8, 0);
    }),
);

Deno.test("logits that are refused leave the file that was there", () =>
  withTinyModel(async (path, folder) => {
    const out = `${folder}/logits`;
    await Deno.writeTextFile(out, "dear");
    const args = ["logits", path, "--out", out, "--tokens"];
    assertEquals((await runCli([...args, "1,99999"])).code, 2);
    assertEquals(await Deno.readTextFile(out), "dear");
    assertEquals((await runCli([...args, "1"])).code, 0);
    assertEquals((await Deno.stat(out)).size, 4 * 512);
  }));

Deno.test("logits that are interrupted leave no file that looks whole", () =>
  withTinyModel(async (path, folder) => {
    const out = `${folder}/logits`;
    const ids = Array(20_000).fill(5).join(",");
    const child = startCli(["logits", path, "--exact", "--tokens", ids, "--out", out]);
    for await (const piece of child.stderr.pipeThrough(new TextDecoderStream())) {
      if (!/Computing logits .*: \d+ % \(\d+ of 20000 tokens\)/.test(piece)) continue;
      assertEquals(existsSync(out), true);
      child.kill("SIGINT");
    }
    assertEquals([(await child.status).code, existsSync(out)], [130, false]);
    await Promise.all([child.stdin.close(), child.stdout.cancel()]);
  }));
