#!/usr/bin/env node
// Starts Ganglion with the Deno that npm installed beside it. Runs in Node.js; does nothing else.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const V8_FLAGS = "@V8_FLAGS@";
const ARGUMENTS = "@ARGUMENTS@".split(" ");

const main = join(dirname(fileURLToPath(import.meta.url)), "@MAIN@");
const [program, ...before] = findDeno();
const child = spawn(program, [...before, ...ARGUMENTS, main, ...process.argv.slice(2)], {
  stdio: "inherit",
  env: {
    ...process.env,
    DENO_V8_FLAGS: [V8_FLAGS, process.env.DENO_V8_FLAGS].filter(Boolean).join(","),
    DENO_NO_UPDATE_CHECK: "1",
  },
});
// A terminal tells both of Ctrl-C: twice would cut answers short.
process.on("SIGINT", () => {});
for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("error", (error) => {
  console.error(`error: Cannot start ${program}: ${error.message}: install this package again`);
  process.exit(1);
});
child.on("exit", (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));

/** Deno itself; where npm ran no scripts, what npm's package starts it by. */
function findDeno() {
  const require = createRequire(import.meta.url);
  const folder = dirname(require.resolve("deno/package.json"));
  const deno = join(folder, process.platform === "win32" ? "deno.exe" : "deno");
  return existsSync(deno) ? [deno] : [process.execPath, join(folder, "bin.cjs")];
}
