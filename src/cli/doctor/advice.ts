/** What `doctor` found, in words: what will be slow here, why, and what helps. Pure. */
import { formatBytes, GiB } from "../../base/units.ts";

export interface MachineFacts {
  readonly cores: number;
  readonly missingFlags: readonly string[];
  readonly wasm: Readonly<Record<string, boolean>>;
  readonly memory: {
    readonly totalBytes: number;
    readonly availableBytes: number;
    /** With one thread, two, …; null: not measured. */
    readonly readGbps: readonly number[] | null;
  };
  readonly disk: {
    readonly sequentialGbps: number;
    readonly randomPerSecond: number;
    readonly isDirect: boolean;
  };
  readonly gpu: {
    readonly kind: "none" | "software" | "real";
    /** Null: not measured. */
    readonly decodeGbps: number | null;
  };
}

/** Threads that compute read weights at this share of the rate of threads that only read. */
const DECODE_SHARE = 0.93;
/** 7.2 billion weights of 4.5 bits, and 1.1 billion. */
const Q4_7B_BYTES = 4.0e9;
const Q4_1B_BYTES = 0.64e9;
/** Beside the weights: context, intermediates, the program. */
const SPARE_BYTES = 1.5 * GiB;
/** A drive that does not hold up reading single neurons. */
const RANDOM_READS_ENOUGH = 50_000;

/** Sentences, the most important first. */
export function advise(facts: MachineFacts): string[] {
  return [
    ...adviseRuntime(facts),
    ...adviseMemory(facts),
    ...adviseDisk(facts),
    ...adviseGpu(facts),
  ];
}

function adviseRuntime({ missingFlags, wasm, cores }: MachineFacts): string[] {
  const advice: string[] = [];
  if (missingFlags.length > 0) {
    advice.push(
      "Everything takes about twice as long, because V8 checks each access to memory: " +
        `${missingFlags.join(" ")} is missing. Start with \`deno task ganglion\`, or set ` +
        `DENO_V8_FLAGS=${missingFlags.join(",")}.`,
    );
  }
  const lacking = ["simd", "relaxed_simd", "threads"].filter((name) => wasm[name] === false);
  if (lacking.length > 0) {
    advice.push(
      `No model can run: this runtime has no ${lacking.join(", ")}. Use Deno 2.9 or later.`,
    );
  }
  if (cores <= 2) {
    advice.push(
      `Prompts are read slowly, because that is arithmetic and there ${
        cores === 1 ? "is 1 core" : `are ${cores} cores`
      }: a long prompt to a 7B model takes a minute or more. Small models, short prompts and ` +
        "--prefix-cache help; so does a GPU.",
    );
  }
  return advice;
}

function adviseMemory({ memory, cores }: MachineFacts): string[] {
  const { readGbps, availableBytes, totalBytes } = memory;
  const advice: string[] = [];
  if (readGbps !== null) {
    const best = Math.max(...readGbps);
    const perSecond = (bytes: number) => (best * 1e9 * DECODE_SHARE / bytes).toFixed(1);
    advice.push(
      `Each token of an answer reads every weight once, and memory brings ${
        best.toFixed(1)
      } GB/s: ` +
        `at most ${perSecond(Q4_7B_BYTES)} tokens a second from a dense 7B model in Q4_0, ` +
        `${
          perSecond(Q4_1B_BYTES)
        } from one of 1B. Smaller quantisations and sparse models read less.`,
    );
    const enough = readGbps.findIndex((rate) => rate >= 0.95 * best) + 1;
    if (enough < readGbps.length) {
      advice.push(
        `${enough} of ${cores} threads already read as fast as all: for answers, --threads ` +
          `${enough} costs nothing and leaves the other cores alone.`,
      );
    }
  } else advice.push("Memory was not measured: too little of it is free.");
  const room = Math.max(0, availableBytes - SPARE_BYTES);
  advice.push(
    `Files of up to ${
      formatBytes(room)
    } fit into memory as it is now; larger ones run from disk: ` +
      "`ganglion pack MODEL`, then --memory SIZE.",
  );
  if (availableBytes < totalBytes / 4) {
    advice.push(
      `Other programs hold ${formatBytes(totalBytes - availableBytes)} of ` +
        `${formatBytes(totalBytes)}: what is closed is room for models.`,
    );
  }
  return advice;
}

function adviseDisk({ disk }: MachineFacts): string[] {
  if (!disk.isDirect) {
    return [
      "The disk could not be measured past the system's file cache, so its figures are memory's: " +
      "give a folder on the drive itself with --dir.",
    ];
  }
  const { sequentialGbps, randomPerSecond } = disk;
  if (randomPerSecond < RANDOM_READS_ENOUGH) {
    return [
      `Models larger than memory will wait for the disk: it does ${randomPerSecond} small reads ` +
      "a second, and each neuron that is not in memory is one; NVMe drives do 100,000 and " +
      "more. More --memory, or a sparse model, means fewer reads.",
    ];
  }
  const seconds = Q4_7B_BYTES / 1e9 / Math.max(1e-3, sequentialGbps);
  return seconds < 10 ? [] : [
    `Loading a 7B model takes ${Math.round(seconds)} s the first time: the disk brings ` +
    `${sequentialGbps.toFixed(2)} GB/s in a row.`,
  ];
}

function adviseGpu({ gpu, memory }: MachineFacts): string[] {
  if (gpu.kind === "none") return ["No GPU is used, because WebGPU finds none."];
  if (gpu.kind === "software") {
    return ["No GPU is used: the one that WebGPU finds is software, slower than the cores."];
  }
  if (gpu.decodeGbps === null) return ["The GPU is not used, because it could not be measured."];
  const best = Math.max(0, ...memory.readGbps ?? []);
  if (best === 0 || gpu.decodeGbps > best) {
    return ["The GPU reads weights faster than the cores: --gpu auto uses it where a model fits."];
  }
  return [
    "The GPU reads weights no faster than the cores: it helps with prompts at most (--gpu on).",
  ];
}
