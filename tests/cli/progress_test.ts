import { assert, assertEquals, assertMatch } from "@std/assert";
import { progressLine } from "../../src/cli/progress.ts";
import { honest, MODEL } from "../pull/pull_support.ts";
import { serveFaulty } from "../pull/faulty_server.ts";
import { runCli } from "./run_cli.ts";
import { runOnTerminal, whyNoTerminal } from "./terminal.ts";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const SKIPPED = whyNoTerminal() === null ? "" : ` [skipped: ${whyNoTerminal()}]`;
/** What a pull shows behind the percentage. */
const BESIDE = "1.2 GiB of 4.0 GiB, 31.4 MiB/s, 92 s left";

Deno.test("progressLine() has a bar of 30 columns, and fills it as the work is done", () => {
  const at = (share: number) =>
    progressLine({ label: "Pulling m", share, beside: "x", columns: 80 });
  assertEquals(at(0), `Pulling m ${"░".repeat(30)} 0 % (x)`);
  assertEquals(at(0.5), `Pulling m ${"█".repeat(15)}${"░".repeat(15)} 50 % (x)`);
  assertEquals(at(1), `Pulling m ${"█".repeat(30)} 100 % (x)`);
});

Deno.test("progressLine() never fills a terminal's line: bar, label and the rest give way", () => {
  const label = `Pulling hf:somebody/a-model-with-a-long-name:Q4_K_M`;
  const line = (columns: number) => progressLine({ label, share: 0.3, beside: BESIDE, columns });
  for (let columns = 2; columns < 200; columns++) {
    const { length } = line(columns);
    assert(length < columns, `${length} of ${columns} columns`);
  }
  assertEquals(line(140), `${label} ${"█".repeat(9)}${"░".repeat(21)} 30 % (${BESIDE})`);
  assertMatch(line(120), /:Q4_K_M █{4,5}░{9,} 30 % \(1\.2/);
  assertEquals(line(80), `Pulling hf:somebod… ███░░░░░░░ 30 % (${BESIDE})`);
  assertEquals(line(30), "███░░░░░░░ 30 %");
});

/** What a verb does whose answer comes while the bar is there. */
const ANSWER = `
  const at = (name) => import(new URL(name, ${
  JSON.stringify(import.meta.resolve("../../src/cli/"))
}));
  const [{ Progress }, { writeOutLine }] = [await at("progress.ts"), await at("output.ts")];
  using progress = new Progress("Work");
  await new Promise((resolve) => setTimeout(resolve, 600));
  progress.update(1, 2, "half");
  writeOutLine("answer");
`;

Deno.test({
  name: `a bar goes before the answer comes, and is plain lines on a dumb terminal${SKIPPED}`,
  ignore: SKIPPED !== "",
  fn: async () => {
    const script = await Deno.makeTempFile({ suffix: ".ts" });
    await Deno.writeTextFile(script, ANSWER);
    const config = fileURLToPath(import.meta.resolve("../../deno.json"));
    const words = [Deno.execPath(), "run", "--no-check", "-A", "--config", config, script];
    try {
      for (
        const [term, shown] of [["xterm", /50 % \(half\)\r.\[Kanswer/], ["dumb", /answer/]] as const
      ) {
        await runOnTerminal(words, { TERM: term }, async ({ log, see, ended }) => {
          await see(shown);
          assertEquals(await ended, 0);
          if (term === "dumb") assertMatch(log.text, /Work: 50 % \(half\)\r\nanswer\r\n$/);
          else assertEquals(log.text.split("answer")[1], "\r\n");
        });
      }
    } finally {
      await Deno.remove(script);
    }
  },
});

/** A model of 3.5 MB whose every piece takes so long that the whole takes some seconds. */
const slowly = () => ({ ...honest(), pace: { bytes: 32_768, ms: 40 } });

Deno.test({
  name: `pull draws a bar on a terminal, and takes it away${SKIPPED}`,
  ignore: SKIPPED !== "",
  fn: async () => {
    const folder = await Deno.makeTempDir();
    await using server = serveFaulty(slowly);
    const pull = [Deno.execPath(), "run", "--no-check", "--no-prompt", "-A", MAIN, "pull"];
    const command = `stty cols 72; exec ${pull.join(" ")} ${server.url}/tiny.gguf`;
    const env = { GANGLION_MODELS_DIR: folder };
    try {
      // Quoted twice: script gives the line to a shell.
      await runOnTerminal(["sh", "-c", command], env, async ({ log, see, ended }) => {
        const bar = /\r.\[KPulling [^\r]*?…? (█+)░+ (\d+) % \((.*? MiB of 3\.\d MiB[^)]*)\)/;
        const [, full, percent] = await see(bar);
        assertEquals(full.length, Math.round(Number(percent) / 10));
        await see(/[KMG]iB\/s, \d+ s left\)/);
        await see(/tiny: 3\.\d MiB, [^]*Try it: ganglion run tiny/);
        assertEquals(await ended, 0);
        const lines = log.text.split("\r\x1b[K").filter((each) => each.startsWith("Pulling"));
        assert(lines.length > 5, `drawn ${lines.length} times`);
        for (const each of lines) assert(each.length < 72 && !each.includes("\n"), each);
        assertMatch(log.text, /\)\r.\[Ktiny: /, "the bar is gone before the answer");
      });
      assertEquals((await Deno.stat(`${folder}/tiny.gguf`)).size, MODEL.length);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("pull tells plain lines, and no control characters, where there is no terminal", async () => {
  const folder = await Deno.makeTempDir();
  await using server = serveFaulty(slowly);
  try {
    const env = { GANGLION_MODELS_DIR: folder };
    const { code, stderr } = await runCli(["pull", `${server.url}/tiny.gguf`], { env });
    assertEquals(code, 0, stderr);
    assertMatch(stderr, /^Pulling http\S+: \d+ % \(.* of 3\.\d MiB.*\)\n/);
    for (const drawn of ["\r", "\x1b", "█"]) assertEquals(stderr.includes(drawn), false, stderr);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
