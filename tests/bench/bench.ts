/**
 * Speed beside others: our engine and its peers in turn on the same file, with the same threads,
 * prompt and answer lengths. Rounds are interleaved because a shared machine's speed drifts; the
 * ratio of each round's pair is what holds.
 *
 *   deno task bench [MODEL] [--threads 1] [--rounds 5] [--llama-bench PATH] [--json]
 */
import { Command } from "commander";
import { join } from "node:path";
import { benchPrompt } from "../../src/cli/bench_prompt.ts";
import { formatSpread, type Spread, spreadOf } from "../../src/cli/spread.ts";
import { openGguf } from "../../src/gguf/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import { oneOf, wholeNumber } from "../../src/cli/option_values.ts";
import { type Quant, QUANTS, type ShapeName, SHAPES, synthesize } from "../../src/synth/mod.ts";
import { type Engine, ganglion, llamaBench, nodeLlamaCpp, OURS, type Sample } from "./engines.ts";
import { benchCacheFolder, installPeer } from "./install_peer.ts";

interface Options {
  readonly threads: number;
  readonly rounds: number;
  readonly promptTokens: number;
  readonly genTokens: number;
  readonly shape: ShapeName;
  readonly quant: Quant;
  readonly seed: number;
  /** False with --no-peer. */
  readonly peer: boolean;
  /** False with --no-peer-flash-attention. */
  readonly peerFlashAttention: boolean;
  readonly llamaBench?: string;
  readonly json?: boolean;
}

/** All rounds of one engine, in order. */
interface Column {
  readonly name: string;
  readonly samples: Sample[];
}

const SHAPE_NAMES = Object.keys(SHAPES) as ShapeName[];
const count = wholeNumber({ min: 1 });

await new Command("bench")
  .description("Our engine beside its peers, interleaved, on the same file")
  .argument("[model]", "a .gguf file; left out: a synthetic one, kept in the cache folder")
  .option("--threads <n>", "threads of every engine", count, 1)
  .option("--rounds <n>", "interleaved rounds", count, 5)
  .option("--prompt-tokens <n>", "length of the prompt", count, 512)
  .option("--gen-tokens <n>", "length of the answer", count, 128)
  .option("--shape <name>", "shape of the synthetic model", oneOf(SHAPE_NAMES), "tinyllama-1.1b")
  .option("--quant <type>", "weights of the synthetic model", oneOf(QUANTS), "Q4_0")
  .option("--seed <n>", "seed of the prompt", count, 1)
  .option("--no-peer", "leave node-llama-cpp out")
  // With it llama.cpp reads prompts up to 1.4 times as fast: peers are measured at their best.
  .option("--no-peer-flash-attention", "make node-llama-cpp do without flash attention")
  .option("--llama-bench <path>", "a llama-bench binary to measure as well")
  .option("--json", "print a JSON document instead of the table")
  .action(run)
  .parseAsync(Deno.args, { from: "user" });

async function run(model: string | undefined, options: Options): Promise<void> {
  const modelPath = model ?? await syntheticModel(options);
  const engines = await chooseEngines(options);
  const { config } = describeModel(openGguf(modelPath));
  const { threads, genTokens, seed } = options;
  const promptIds = benchPrompt({
    vocabSize: config.vocabSize,
    count: options.promptTokens,
    seed,
  });
  const columns = engines.map(({ name }): Column => ({ name, samples: [] }));
  for (let round = 1; round <= options.rounds; round++) {
    for (const [index, engine] of engines.entries()) {
      const sample = await engine.measure({ modelPath, threads, promptIds, genTokens, seed });
      columns[index].samples.push(sample);
      console.error(
        `round ${round}/${options.rounds} ${engine.name}: prefill ` +
          `${sample.prefillTps.toFixed(1)}, decode ${sample.decodeTps.toFixed(1)} tok/s`,
      );
    }
  }
  const report = summarise(columns, { modelPath, options });
  console.log(options.json ? JSON.stringify(report, null, 2) : formatTable(report));
}

async function chooseEngines(options: Options): Promise<Engine[]> {
  const engines = [ganglion()];
  if (options.peer) {
    const packageFolder = await installPeer();
    engines.push(nodeLlamaCpp({ packageFolder, flashAttention: options.peerFlashAttention }));
  }
  if (options.llamaBench) engines.push(llamaBench(options.llamaBench));
  return engines;
}

/** Makes the synthetic model in the cache folder, unless an earlier run did. */
async function syntheticModel({ shape, quant }: Options): Promise<string> {
  const folder = benchCacheFolder();
  const path = join(folder, `${shape}-${quant.toLowerCase()}.gguf`);
  if (await Deno.stat(path).then(() => true, () => false)) return path;
  console.error(`Making ${path}`);
  await Deno.mkdir(folder, { recursive: true });
  synthesize({ shape, quant, seed: 1, out: path });
  return path;
}

type Report = ReturnType<typeof summarise>;

function summarise(
  columns: readonly Column[],
  { modelPath, options }: { modelPath: string; options: Options },
) {
  const ours = columns.find(({ name }) => name === OURS)!.samples;
  return {
    model: modelPath,
    threads: options.threads,
    prompt_tokens: options.promptTokens,
    gen_tokens: options.genTokens,
    rounds: options.rounds,
    v8_flags: Deno.env.get("DENO_V8_FLAGS") ?? "",
    load_average: Deno.loadavg()[0],
    ids_hash: ours[0].idsHash,
    engines: columns.map(({ name, samples }) => ({
      name,
      prefill_tps: spreadOf(samples.map((sample) => sample.prefillTps)),
      decode_tps: spreadOf(samples.map((sample) => sample.decodeTps)),
      prefill_ratio: ratios(ours, samples, (sample) => sample.prefillTps),
      decode_ratio: ratios(ours, samples, (sample) => sample.decodeTps),
      ids_hash: samples[0].idsHash,
    })),
  };
}

/** Ours divided by theirs, round by round. */
function ratios(
  ours: readonly Sample[],
  theirs: readonly Sample[],
  speed: (sample: Sample) => number,
): Spread {
  return spreadOf(ours.map((sample, round) => speed(sample) / speed(theirs[round])));
}

function formatTable(report: Report): string {
  const rows = report.engines.map((engine) => [
    engine.name,
    formatSpread(engine.prefill_tps),
    formatSpread(engine.prefill_ratio, 2),
    formatSpread(engine.decode_tps),
    formatSpread(engine.decode_ratio, 2),
  ]);
  const head = ["engine", "prefill tok/s", "ours / it", "decode tok/s", "ours / it"];
  const widths = head.map((title, i) =>
    Math.max(...[title, ...rows.map((row) => row[i])].map(length))
  );
  const lines = [head, ...rows].map((row) =>
    row.map((cell, i) => cell.padEnd(widths[i])).join("  ").trimEnd()
  );
  return [
    `${report.model}: ${report.prompt_tokens} + ${report.gen_tokens} tokens, ` +
    `${report.threads} thread(s), median (min–max) of ${report.rounds} rounds`,
    ...lines,
    `ids ${report.ids_hash}`,
  ].join("\n");
}

function length(text: string): number {
  return text.length;
}
