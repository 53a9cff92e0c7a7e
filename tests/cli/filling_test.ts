/** A model that fills in texts, on the command line. */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { runCli, withTinyModel } from "./run_cli.ts";

Deno.test("show, plan and run know a model that fills in, and what is not asked of it says so", () =>
  withTinyModel(async (path) => {
    const shown = await runCli(["show", path]);
    assertMatch(shown.stdout, /layers +2, which fill in masks \(token 511\)\n/);
    const { mask_token } = JSON.parse((await runCli(["show", path, "--json"])).stdout);
    assertEquals(mask_token, 511);
    const planned = await runCli(["plan", path]);
    assertMatch(planned.stdout, /\ntext +256 tokens at once/);
    assertEquals(planned.stdout.includes("decode"), false);
    const asked = ["--temperature", "0", "--max-tokens", "9", "--gpu", "off", "--threads", "1"];
    const run = async (...flags: string[]) => {
      const { code, stdout } = await runCli(["run", path, "the", ...asked, "--json", ...flags]);
      return [code, JSON.parse(stdout).ids.length];
    };
    assertEquals(await run(), [0, 9]);
    const fast = ["--fill-block", "4", "--fill-tokens", "2", "--fill-order", "entropy"];
    assertEquals(await run(...fast), [0, 9]);
    for (const [flag, value] of [["--fill-block", "65"], ["--fill-order", "luck"]]) {
      const { code, stderr } = await runCli(["run", path, "the", flag, value]);
      assertEquals(code, 2);
      assertStringIncludes(stderr, flag);
    }
    const onGpu = await runCli(["run", path, "the", ...asked.slice(0, 4), "--gpu", "on"]);
    assertStringIncludes(onGpu.stderr, "texts that are filled in are the threads'");
    for (const verb of ["perplexity", "verify"]) {
      const measured = await runCli([verb, path, "--file", "-"], { stdin: "the ".repeat(400) });
      assertEquals(measured.code, 1, verb);
      assertStringIncludes(measured.stderr, "with this model: dream fills in masks");
    }
  }, { architecture: "dream" }));

Deno.test("logits of a model that fills in are of all of the text, also from the reference", () =>
  withTinyModel(async (path) => {
    const out = `${path}.logits`;
    const logits = async (...flags: string[]) => {
      await runCli([
        "logits",
        path,
        "--tokens",
        "5,6,511,7",
        "--out",
        out,
        "--gpu",
        "off",
        ...flags,
      ]);
      return new Float32Array((await Deno.readFile(out)).buffer);
    };
    const [own, exact] = [await logits("--threads", "1"), await logits("--exact")];
    await Deno.remove(out);
    assertEquals([own.length, exact.length], [4 * 512, 4 * 512]);
    const error = Math.max(...own.map((logit, i) => Math.abs(logit - exact[i])));
    assertEquals(error < 1e-4, true, `${error}`);
  }, { architecture: "llada" }));
