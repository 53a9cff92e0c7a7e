/** What the command line says of neurons that were not computed. */
import { assert, assertEquals } from "@std/assert";
import { withTinyFile } from "../support/loaded_model.ts";
import { runCli } from "./run_cli.ts";
import "../support/thread_pool.ts";

Deno.test("bench counts skipped neurons, and --dense skips none", () =>
  withTinyFile({ architecture: "bamboo", type: "Q8_0" }, async (path) => {
    const size = ["--prompt-tokens", "9", "--gen-tokens", "10", "--repeat", "1", "--threads", "2"];
    const sparse = await runJson(["bench", path, "--json", ...size]);
    const dense = await runJson(["bench", path, "--json", "--dense", ...size]);
    const neurons = 2 * 96;
    assert(sparse.neurons_skipped > 0 && sparse.neurons_skipped < neurons);
    assert(sparse.bytes_per_token < dense.bytes_per_token);
    assertEquals([dense.neurons_skipped, dense.ids_hash], [0, sparse.ids_hash]);
  }));

Deno.test("show tells whether silent neurons are skipped", () =>
  withTinyFile({ architecture: "bamboo" }, async (path) => {
    assertEquals((await runJson(["show", path, "--json"])).sparse, true);
    assertEquals((await runJson(["show", path, "--json", "--dense"])).sparse, false);
  }));

/** Runs a verb that must succeed, and parses all of its stdout as one JSON document. */
async function runJson(args: readonly string[]) {
  const { code, stdout, stderr } = await runCli(args);
  assertEquals(code, 0, stderr);
  return JSON.parse(stdout);
}
