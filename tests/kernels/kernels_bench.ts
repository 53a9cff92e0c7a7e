/**
 * Speed of the matrix kernels and of attention, on one thread, with V8's two flags and without:
 *
 *   deno run -A tests/kernels/kernels_bench.ts [--rounds=25] [--only=q4_0] [--wasm=other.wasm]
 *
 * GMAC/s are 1e9 multiply-adds a second, GB/s the weights (or cache) read. Every figure is the
 * best of the rounds, and beside it stands the roof: what a kernel that only reads gets.
 */
import { alignUp } from "../../src/base/check.ts";
import { dtypeByName } from "../../src/model/dtypes.ts";
import { packedRowBytes, QUANT_TYPES, type QuantType } from "../../src/rank/plan/weight_types.ts";
import { instantiateKernels, type Kernels } from "../../wasm/mod.ts";
import { Rng } from "../support/rng.ts";
import { randomBlocks } from "./data.ts";

const FLAGS = "--no-wasm-bounds-checks,--experimental-wasm-revectorize";
const MEMORY_WEIGHT_BYTES = 300 << 20;
/** Fits the L2 cache beside the activations. */
const CACHE_WEIGHT_BYTES = 400 << 10;
const K = 2048;
const GEMM_ROWS = 2048;
const GEMM_TOKENS = 64;
/** Of several sequences at once. */
const FEW_TOKENS = [2, 4, 8, 16, 24];
const WEIGHTS_AT = 1 << 20;

const FLOAT_TYPES = ["f32", "f16", "bf16"] as const;
type FloatType = typeof FLOAT_TYPES[number];
const FLOAT_BYTES = { f32: K * 4, f16: K * 2, bf16: K * 2 };

interface Bench {
  readonly kernels: Kernels;
  readonly memory: WebAssembly.Memory;
  readonly rounds: number;
  /** First byte behind the weights: activations, then outputs. */
  readonly actsAt: number;
  readonly outAt: number;
}

function main(): void {
  const options = new Map(
    Deno.args.map((arg) => arg.replace(/^--/, "").split("=") as [string, string]),
  );
  if (!options.has("child")) {
    for (const flags of [FLAGS, ""]) spawnChild(flags);
    return;
  }
  const url = options.get("wasm") ?? new URL("../../wasm/kernels.wasm", import.meta.url);
  const module = new WebAssembly.Module(Deno.readFileSync(url));
  const actsAt = WEIGHTS_AT + alignUp(MEMORY_WEIGHT_BYTES, 1 << 20) + (1 << 20);
  const outAt = actsAt + (16 << 20);
  const pages = (outAt + (64 << 20)) / 65536;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: 65536, shared: true });
  const bench = {
    kernels: instantiateKernels(module, memory),
    memory,
    rounds: Number(options.get("rounds") ?? 25),
    actsAt,
    outAt,
  };
  fillFloats(memory, actsAt, 64 << 20);
  const only = options.get("only") ?? "";
  if ("read".startsWith(only)) {
    fillRows(memory, "f32");
    benchRead(bench);
  }
  for (const type of QUANT_TYPES) {
    if (type.toLowerCase() !== only && only !== "") continue;
    fillQuantRows(bench, memory, type);
    benchMatmul(bench, type);
  }
  for (const type of FLOAT_TYPES) {
    if (type !== only && only !== "") continue;
    fillRows(memory, type);
    benchMatmul(bench, type);
  }
  for (const type of ["i16", "f32"] as const) {
    if (!"attention".startsWith(only)) continue;
    fillRows(memory, type === "i16" ? "f16" : type);
    benchAttention(bench, type);
  }
  if ("rest".startsWith(only)) benchRest(bench);
}

/** Floats of ordinary size: subnormal ones would be slow. */
function fillFloats(memory: WebAssembly.Memory, at: number, bytes: number): void {
  const floats = new Float32Array(memory.buffer, at, bytes / 4);
  for (let i = 0; i < floats.length; i++) floats[i] = (Math.imul(i, 0x9e3779b1) >> 20) / 2048;
}

/** Fills the weights with one row of floats, over and over. */
function fillRows(memory: WebAssembly.Memory, type: FloatType): void {
  const rowBytes = FLOAT_BYTES[type];
  const row = new Uint8Array(memory.buffer, WEIGHTS_AT, rowBytes);
  if (type === "f32") fillFloats(memory, WEIGHTS_AT, rowBytes);
  else {
    // About 2^-5, negative and positive.
    const top = type === "bf16" ? 0x3d : 0x28;
    for (let i = 0; i < rowBytes; i++) {
      const byte = Math.imul(i, 0x9e3779b1) >>> 24;
      row[i] = i % 2 === 0 ? byte : top | (byte & 0x80);
    }
  }
  repeatRow(memory, rowBytes);
}

/** The same with quantised rows. */
function fillQuantRows(bench: Bench, memory: WebAssembly.Memory, type: QuantType): void {
  const { id, blockElements } = dtypeByName(type)!;
  const { bytes } = randomBlocks(new Rng(1), type, K, "random");
  new Uint8Array(memory.buffer).set(bytes, bench.outAt);
  const rowBytes = packedRowBytes(type, K);
  const [at, blocks] = [bench.outAt, K / blockElements];
  bench.kernels.repack(id, at, bytes.length, WEIGHTS_AT, rowBytes, 1, blocks, bench.actsAt);
  repeatRow(memory, rowBytes);
}

function repeatRow(memory: WebAssembly.Memory, rowBytes: number): void {
  const all = new Uint8Array(memory.buffer, WEIGHTS_AT, MEMORY_WEIGHT_BYTES);
  for (let done = rowBytes; done < all.length; done *= 2) all.copyWithin(done, 0, done);
}

function spawnChild(flags: string): void {
  console.log(flags === "" ? "--- plain V8" : `--- ${flags}`);
  const { success } = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      ...(flags === "" ? [] : [`--v8-flags=${flags}`]),
      import.meta.url,
      ...Deno.args,
      "--child=yes",
    ],
    stdout: "inherit",
    stderr: "inherit",
  }).outputSync();
  if (!success) Deno.exit(1);
}

/** Seconds of one call, best of the rounds, each of at least 8 ms. */
function seconds(bench: Bench, call: () => void): number {
  for (let i = 0; i < 3; i++) call();
  let best = Infinity;
  let calls = 1;
  for (let round = 0; round <= bench.rounds; round++) {
    const start = performance.now();
    for (let i = 0; i < calls; i++) call();
    const each = (performance.now() - start) / calls;
    if (round > 0) best = Math.min(best, each); // round 0 tiers up and counts
    calls = Math.max(1, Math.ceil(8 / each));
  }
  return best / 1000;
}

function report(name: string, time: number, { macs = 0, bytes = 0 }): void {
  const rate = macs > 0 ? `${(macs / time / 1e9).toFixed(1).padStart(7)} GMAC/s` : "".padStart(14);
  const stream = bytes > 0 ? `${(bytes / time / 1e9).toFixed(1).padStart(7)} GB/s` : "";
  console.log(`${name.padEnd(34)} ${(time * 1e3).toFixed(3).padStart(9)} ms ${rate} ${stream}`);
}

function benchRead(bench: Bench): void {
  for (const [label, bytes] of [["memory", 256 << 20], ["cache", CACHE_WEIGHT_BYTES]] as const) {
    const time = seconds(bench, () => bench.kernels.read_only(WEIGHTS_AT, bytes));
    report(`read_only ${label}`, time, { bytes });
  }
}

function benchMatmul(bench: Bench, type: QuantType | FloatType): void {
  const { kernels, actsAt, outAt } = bench;
  const float = FLOAT_TYPES.find((name) => name === type);
  const rowBytes = float ? FLOAT_BYTES[float] : packedRowBytes(type as QuantType, K);
  const id = float ? 0 : dtypeByName(type)!.id;
  for (
    const [label, n, rows] of [
      ["gemv memory", 1, Math.floor(MEMORY_WEIGHT_BYTES / rowBytes)],
      ["gemv cache", 1, Math.floor(CACHE_WEIGHT_BYTES / rowBytes)],
      ...FEW_TOKENS.map((n) => [`gemm ${n} tokens`, n, GEMM_ROWS] as const),
      [`gemm ${GEMM_TOKENS} tokens`, GEMM_TOKENS, GEMM_ROWS],
    ] as const
  ) {
    if (!float) kernels.quantize_q8(outAt + (32 << 20), K, n, K, actsAt);
    const time = seconds(bench, () => {
      if (float) {
        kernels[`matmul_${float}_f32`](WEIGHTS_AT, rowBytes, rows, K, actsAt, K, n, outAt, rows);
      } else {
        const multiply = n > 1 && n < GEMM_TOKENS ? kernels.matmul_q8_few : kernels.matmul_q8;
        multiply(id, WEIGHTS_AT, rowBytes, rows, K, actsAt, n, outAt, rows);
      }
    });
    report(`${type} ${label}`, time, { macs: rows * K * n, bytes: rows * rowBytes });
  }
}

function benchAttention(bench: Bench, type: "i16" | "f32"): void {
  const { kernels, actsAt, outAt } = bench;
  for (const [heads, groupSize, headDim] of [[32, 8, 64], [32, 4, 128], [12, 1, 64]]) {
    const kvHeads = heads / groupSize;
    const positionBytes = kvHeads * headDim * (type === "i16" ? 2 : 4);
    for (const [n, p0] of [[1, 511], [1, 4095], [64, 448], [64, 4032]]) {
      const values = WEIGHTS_AT + (64 << 20);
      const scratch = outAt + (32 << 20);
      const table = identityTable(bench, Math.ceil((p0 + n) / 32));
      // deno-fmt-ignore
      const time = seconds(bench, () => kernels[`attention_${type}`](
        actsAt, heads * headDim, WEIGHTS_AT, values, kvHeads, table, 128, outAt, heads * headDim,
        scratch, n, p0, heads, 0, groupSize, headDim, headDim, 0, 0.125, 0, 0, 0, 0, 0, 0, 0,
      ));
      const seen = n * p0 + n * (n + 1) / 2;
      const macs = 2 * seen * heads * headDim;
      const label = `attention_${type} ${heads}/${kvHeads}·${headDim} n ${n} p0 ${p0}`;
      report(label, time, { macs, bytes: 2 * (p0 + n) * positionBytes });
    }
  }
}

/** Address of the table of a sequence whose blocks lie in their order. */
function identityTable({ memory, outAt }: Bench, blocks: number): number {
  const at = outAt + (48 << 20);
  new Uint32Array(memory.buffer, at, blocks).forEach((_, block, table) => table[block] = block);
  return at;
}

function benchRest({ kernels, actsAt, outAt, ...rest }: Bench): void {
  const bench = { kernels, actsAt, outAt, ...rest };
  const [n, d] = [64, 2048];
  const bytes = n * d * 4;
  const time = (name: string, call: () => void) => report(name, seconds(bench, call), { bytes });
  time("quantize_q8", () => kernels.quantize_q8(outAt, d, n, d, actsAt));
  time("rms_norm_f32", () => kernels.rms_norm_f32(outAt, d, outAt, actsAt, d, n, d, 1e-5));
  time("silu_mul_f32", () => kernels.silu_mul_f32(outAt, outAt, d, actsAt, d, n, d));
  time("rope_f32 neox", () => kernels.rope_f32(actsAt, d, n, 32, 64, 64, outAt, 1));
  time("rope_f32 norm", () => kernels.rope_f32(actsAt, d, n, 32, 64, 64, outAt, 0));
  const table = identityTable(bench, 2);
  time("store_keys_i16", () => kernels.store_keys_i16(outAt, d, actsAt, table, 2, 0, n, 32, 64));
  time(
    "store_values_i16",
    () => kernels.store_values_i16(outAt, d, actsAt, table, 2, 0, n, 32, 64),
  );
  time("argmax_f32", () => kernels.argmax_f32(outAt, n * d));
  time("top_k_f32", () => kernels.top_k_f32(outAt, n * d, 40, actsAt));
  for (const type of ["Q4_0", "Q8_0", "Q4_K", "Q6_K"]) {
    const { id, blockBytes, blockElements } = dtypeByName(type)!;
    const [rows, blocks] = [256, d / blockElements];
    const row = blocks * blockBytes;
    const to = alignUp(row, 16);
    time(`repack ${type}`, () => {
      kernels.repack(id, WEIGHTS_AT, row, outAt, to, rows, blocks, actsAt);
    });
    time(`dequantize_row_q ${type}`, () => {
      kernels.dequantize_row_q(id, WEIGHTS_AT, d * n, outAt, actsAt);
    });
  }
}

if (import.meta.main) main();
