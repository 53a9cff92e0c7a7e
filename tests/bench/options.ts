/** The benchmark's command line: text in, options out. */
import { Command, InvalidArgumentError, Option } from "commander";
import { list, oneOf, wholeNumber } from "../../src/cli/option_values.ts";
import { type ShapeName, SHAPES, SYNTH_QUANTS, type SynthQuant } from "../../src/synth/mod.ts";
import { type Variant, VARIANTS } from "./engine_ganglion.ts";

/** Everybody we can be measured beside. */
export const PEER_NAMES = [
  "node-llama-cpp",
  "llama-bench",
  "powerinfer",
  "wllama",
  "transformers",
] as const;
export type PeerName = typeof PEER_NAMES[number];
/** Peers that are not on npm: whoever wants them builds them. */
const BUILT_PEERS: readonly PeerName[] = ["llama-bench", "powerinfer"];

/** A peer that was asked for, and where it lies when it is not to be fetched. */
export interface PeerChoice {
  readonly name: PeerName;
  readonly path: string | null;
}

export interface BenchOptions {
  /** Model files; none: a synthetic one of `shape` and `quant`. */
  readonly models: readonly string[];
  readonly threads: readonly number[];
  readonly promptTokens: number;
  readonly genTokens: number;
  /** Rounds in which every engine has its turn. */
  readonly repeat: number;
  readonly peers: readonly PeerChoice[];
  /** What peers measure instead that cannot read the models: a dense one of the same shape. */
  readonly denseTwin?: string;
  /** Our own variants, the first of which is compared with the others. */
  readonly variants: readonly Variant[];
  /** Lengths of contexts at which reading and decoding are measured as well. */
  readonly context: readonly number[];
  /** Measure loading as well. */
  readonly load: boolean;
  readonly shape: ShapeName;
  readonly quant: SynthQuant;
  /** Seed of the prompt. */
  readonly seed: number;
  /** Print Markdown instead of aligned columns. */
  readonly markdown: boolean;
  /** Files to write, beside what is printed. */
  readonly json?: string;
  readonly svg?: string;
  /** Write the speeds to docs/benchmarks.md, its chart and figures.json. */
  readonly page: boolean;
  /** Reports to show again, or together, instead of measuring. */
  readonly from: readonly string[];
}

const SHAPE_NAMES = Object.keys(SHAPES) as ShapeName[];
const count = wholeNumber({ min: 1 });

/**
 * Options of a command line.
 * @throws {CommanderError} when it cannot be understood (commander has written why to stderr), and
 *   for --help, with exit code 0.
 */
export function parseBenchArgs(args: readonly string[]): BenchOptions {
  const command = new Command("bench")
    .description(
      "Our engine beside its peers: rounds are interleaved, and every measurement is a process.",
    )
    .argument("[models...]", "GGUF files; none: a synthetic one, kept in the cache folder")
    .option("--threads <list>", "threads of every engine, such as 1,2", parseCounts, [1])
    .option("--prompt-tokens <n>", "length of the prompt", count, 512)
    .option("--gen-tokens <n>", "length of the answer", count, 128)
    .option("--repeat <n>", "interleaved rounds", count, 5)
    .addOption(
      new Option(
        "--peers <list>",
        `of ${
          PEER_NAMES.join(", ")
        }; each may have its path: llama-bench=PATH and powerinfer=PATH ` +
          "(its llama-bench) always, node-llama-cpp=FOLDER and wllama=FOLDER (that hold " +
          "node_modules); or none",
      ).argParser(parsePeers).default(parsePeers("node-llama-cpp"), "node-llama-cpp"),
    )
    .option(
      "--dense-twin <file>",
      "measured instead by peers other than powerinfer, which cannot read its files: a dense " +
        "model of the same shape",
    )
    .option("--variants <list>", `our own: ${VARIANTS.join(", ")}`, parseVariants, ["flags"])
    .option("--context <list>", "lengths of contexts to measure at, such as 100,4000", parseCounts)
    .option("--load", "measure loading from a warm page cache, beside reading the file")
    .option("--shape <name>", "shape of the synthetic model", oneOf(SHAPE_NAMES), "tinyllama-1.1b")
    .option("--quant <type>", "weights of the synthetic model", oneOf(SYNTH_QUANTS), "Q4_0")
    .option("--seed <n>", "seed of the prompt", count, 1)
    .option("--markdown", "print Markdown instead of aligned columns")
    .option("--json <file>", "write everything measured as JSON, after every measurement")
    .option("--svg <file>", "write a chart")
    .option("--page", "write the speeds to docs/benchmarks.md, its chart and figures.json")
    .option(
      "--from <files>",
      "show what --json wrote, also of several runs, measuring nothing",
      list,
    )
    .exitOverride()
    .parse([...args], { from: "user" });
  const flags = command.opts();
  return {
    ...flags as Omit<BenchOptions, "models" | Defaulted>,
    models: command.args,
    context: flags.context ?? [],
    load: flags.load ?? false,
    markdown: flags.markdown ?? false,
    page: flags.page ?? false,
    from: flags.from ?? [],
  };
}

/** What commander leaves out where it was not given. */
type Defaulted = "context" | "load" | "markdown" | "page" | "from";

/** "1,2" → [1, 2], each once. */
function parseCounts(text: string): number[] {
  const counts = [...new Set(list(text).map(count))];
  if (counts.length === 0) throw new InvalidArgumentError("Whole numbers are needed, such as 1,2.");
  return counts;
}

function parseVariants(text: string): Variant[] {
  const variants = [...new Set(list(text).map(oneOf(VARIANTS)))];
  if (variants.length === 0) {
    throw new InvalidArgumentError(`At least one of ${VARIANTS.join(", ")} is needed.`);
  }
  return variants;
}

/** "llama-bench=/bin/x,wllama" → names with their paths; "none" → nothing. */
function parsePeers(text: string): PeerChoice[] {
  if (text.trim() === "none") return [];
  const peers = list(text).map((part): PeerChoice => {
    const split = part.indexOf("=");
    const name = oneOf(PEER_NAMES)(split < 0 ? part : part.slice(0, split));
    const path = split < 0 ? null : part.slice(split + 1);
    if (path === "" || path === null && BUILT_PEERS.includes(name)) {
      throw new InvalidArgumentError(`${name} needs a path: ${name}=PATH.`);
    }
    return { name, path };
  });
  const twice = peers.find(({ name }, index) => peers.findIndex((p) => p.name === name) < index);
  if (twice) throw new InvalidArgumentError(`${twice.name} is named twice.`);
  return peers;
}
