/**
 * What each dispatch of a decoded token takes, by the GPU's own timestamps: those that a rank alone
 * encodes are caught and run again, all of a kind one after another (each waits for the one before,
 * as in a token), and the token without them.
 *
 *   deno run -A tests/bench/gpu_token_profile.ts MODEL [--software]
 *   e.g. of a model that `ganglion synth --shape mistral-7b --quant Q4_0 -o MODEL` makes
 */
import { openProfiled, type Profiled } from "./gpu_token_clock.ts";

if (import.meta.main) {
  const [path] = Deno.args.filter((arg) => !arg.startsWith("--"));
  if (path === undefined) throw new Error("Which model? See the file's head");
  const profiled = await openProfiled(path, { allowsSoftware: Deno.args.includes("--software") });
  if (profiled !== null) {
    await report(profiled);
    profiled.gpu.close();
  }
}

async function report({ token, clock }: Profiled): Promise<void> {
  const all = await clock.time(token);
  const bytes = token.reduce((sum, each) => sum + each.bytes, 0);
  const rate = (of: number, us: number) => (of / us / 1e3).toFixed(0);
  console.log(
    `token: ${all.toFixed(0)} µs of ${token.length} dispatches, ${
      rate(bytes, all)
    } GB/s of weights`,
  );
  console.log("| dispatch | a token | µs each | GB/s | a token is shorter without, µs each |");
  console.log("|---|---|---|---|---|");
  for (const [name, list] of Map.groupBy(token, (each) => each.name)) {
    const each = await clock.time(list) / list.length;
    const without = await clock.time(token.filter((other) => other.name !== name));
    const gone = ((all - without) / list.length).toFixed(2);
    console.log(
      `| ${name} | ${list.length} | ${each.toFixed(2)} | ${rate(list[0].bytes, each)} | ${gone} |`,
    );
  }
}
