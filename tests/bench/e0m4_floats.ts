/**
 * What decoding with E0M4 weights costs, one thread: as int8 products, which the engine uses,
 * beside weights that become floats, by two bit operations or by a conversion (the probe in
 * wasm/assembly/probes); and what the same bytes cost that are only read. In turns, with V8's
 * flags:
 *
 *   deno run -A --v8-flags=--no-wasm-bounds-checks,--experimental-wasm-revectorize \
 *     tests/bench/e0m4_floats.ts [--rounds=15]
 *
 * Every product is held against the reference before it is timed.
 */
import { alignUp } from "../../src/base/check.ts";
import { dequantize } from "../../src/model/mod.ts";
import { rowBytes } from "../../src/model/dtypes.ts";
import { encodeWeights } from "../../src/quantize/mod.ts";
import { packedRowBytes, typeId } from "../../src/rank/plan/weight_types.ts";
import { compileKernels } from "../../wasm/build.ts";
import { instantiateKernels, type Kernels, loadKernelModuleSync } from "../../wasm/mod.ts";
import { Rng } from "../support/rng.ts";

/** The exports of the probe; what they do is said there. */
interface Probe {
  pack(src: number, rows: number, blocks: number, dst: number): void;
  arrange(x: number, k: number, byBits: boolean, dst: number): void;
  matvec_by_bits: MatVec;
  matvec_by_conversion: MatVec;
}

type MatVec = (
  w: number,
  rows: number,
  k: number,
  records: number,
  out: number,
  sums: number,
) => void;

/** A product of `rows` rows of k weights with one token. */
export interface Product {
  readonly name: string;
  readonly run: () => void;
  /** Of the products, what was computed; empty of what only reads. */
  readonly out: () => Float32Array;
}

/** The ways of computing one product, and its exact result. */
export interface Ways {
  readonly ways: readonly Product[];
  readonly exact: Float64Array;
}

/** The first rows are different from one another, all others repeat them. */
const DIFFERENT_ROWS = 64;

/** Sets up the product [rows, k] · [k]; rows is a multiple of 64, k of 256. */
export async function prepareWays(rows: number, k: number): Promise<Ways> {
  const bytes = rows * rowBytes("E0M4", k);
  const [int8At, floatsAt] = [1 << 20, (1 << 20) + alignUp(bytes, 128)];
  const behind = floatsAt + alignUp(bytes, 128);
  const pages = Math.ceil((behind + (8 << 20)) / 65536);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: 65536, shared: true });
  const kernels = instantiateKernels(loadKernelModuleSync(), memory);
  const { binary } = await compileKernels("wasm/assembly/probes/e0m4_floats.ts");
  const env = { memory, abort: () => {} };
  const instance = new WebAssembly.Instance(new WebAssembly.Module(binary), { env });
  const probe = instance.exports as unknown as Probe;

  const rng = new Rng(1);
  const weights = Float32Array.from({ length: DIFFERENT_ROWS * k }, () => rng.normal() * 0.02);
  const blocks = encodeWeights("E0M4", weights);
  const x = Float32Array.from({ length: k }, () => rng.normal());
  const places = { blocks: behind, x: behind + (4 << 20), acts: behind + (5 << 20) };
  new Uint8Array(memory.buffer).set(blocks, places.blocks);
  new Float32Array(memory.buffer, places.x, k).set(x);
  packBoth({ kernels, probe, memory }, { rows, k, int8At, floatsAt, blocksAt: places.blocks });
  const acts8 = places.acts;
  const records = { matvec_by_bits: acts8 + (1 << 20), matvec_by_conversion: acts8 + (2 << 20) };
  const [out, sums] = [behind, behind + (3 << 20)];
  kernels.quantize_q8(places.x, k, 1, k, acts8);
  probe.arrange(places.x, k, true, records.matvec_by_bits);
  probe.arrange(places.x, k, false, records.matvec_by_conversion);

  const stride = packedRowBytes("E0M4", k);
  const read = () => new Float32Array(memory.buffer, out, rows);
  const int8 = (streams: "matmul_q8" | "matmul_q8_two_streams") => () =>
    kernels[streams](typeId("E0M4"), int8At, stride, rows, k, acts8, 1, out, rows);
  const floats = (way: "matvec_by_bits" | "matvec_by_conversion") => () =>
    probe[way](floatsAt, rows, k, records[way], out, sums);
  return {
    ways: [
      {
        name: "only read",
        run: () => kernels.read_only(int8At, bytes),
        out: () => x.subarray(0, 0),
      },
      { name: "int8", run: int8("matmul_q8"), out: read },
      { name: "int8, two streams", run: int8("matmul_q8_two_streams"), out: read },
      { name: "floats by bits", run: floats("matvec_by_bits"), out: read },
      { name: "floats by conversion", run: floats("matvec_by_conversion"), out: read },
    ],
    exact: exactProduct(dequantize("E0M4", blocks), x, rows),
  };
}

/** The first rows in both layouts, then the same again. */
function packBoth(
  { kernels, probe, memory }: { kernels: Kernels; probe: Probe; memory: WebAssembly.Memory },
  { rows, k, int8At, floatsAt, blocksAt }: {
    rows: number;
    k: number;
    int8At: number;
    floatsAt: number;
    blocksAt: number;
  },
): void {
  const stride = packedRowBytes("E0M4", k);
  const fileStride = rowBytes("E0M4", k);
  const scratch = 1 << 16;
  const type = typeId("E0M4");
  kernels.repack(type, blocksAt, fileStride, int8At, stride, DIFFERENT_ROWS, k / 32, scratch);
  probe.pack(blocksAt, DIFFERENT_ROWS, k / 32, floatsAt);
  const all = new Uint8Array(memory.buffer);
  const bytes = DIFFERENT_ROWS * stride;
  for (const at of [int8At, floatsAt]) {
    for (let done = bytes; done < rows * stride; done += bytes) {
      all.copyWithin(at + done, at, at + Math.min(bytes, rows * stride - done));
    }
  }
}

function exactProduct(weights: Float32Array, x: Float32Array, rows: number): Float64Array {
  const k = x.length;
  const first = Float64Array.from({ length: DIFFERENT_ROWS }, (_, r) => {
    let sum = 0;
    for (let i = 0; i < k; i++) sum += weights[r * k + i] * x[i];
    return sum;
  });
  return Float64Array.from({ length: rows }, (_, r) => first[r % DIFFERENT_ROWS]);
}

/** Σ(out − exact)² / Σ exact². */
export function errorOf(out: Float32Array, exact: Float64Array): number {
  let error = 0;
  let size = 0;
  exact.forEach((value, i) => {
    error += (out[i] - value) ** 2;
    size += value ** 2;
  });
  return error / size;
}

/** Seconds of each way, in turns: [ways][rounds]. */
function timeInTurns(ways: readonly Product[], rounds: number): number[][] {
  const times: number[][] = ways.map(() => []);
  const calls = ways.map(({ run }) => {
    for (let i = 0; i < 3; i++) run();
    const start = performance.now();
    run();
    return Math.max(1, Math.ceil(10 / (performance.now() - start)));
  });
  for (let round = 0; round < rounds; round++) {
    ways.forEach(({ run }, i) => {
      const start = performance.now();
      for (let call = 0; call < calls[i]; call++) run();
      times[i].push((performance.now() - start) / calls[i] / 1000);
    });
  }
  return times;
}

async function main(): Promise<void> {
  const rounds = Number(Deno.args[0]?.replace("--rounds=", "") ?? 15);
  for (const [where, rows, k] of [["memory", 80 * 1024, 2048], ["cache", 256, 2048]] as const) {
    const { ways, exact } = await prepareWays(rows, k);
    const bytes = rows * rowBytes("E0M4", k);
    console.log(`from ${where}: ${rows} rows of ${k} weights, ${bytes / 1024} KiB`);
    const times = timeInTurns(ways, rounds);
    ways.forEach(({ name, run, out }, i) => {
      run();
      const sorted = times[i].toSorted((a, b) => a - b);
      const [best, median] = [sorted[0], sorted[rounds >> 1]];
      const error = out().length > 0 ? `  nmse ${errorOf(out(), exact).toExponential(1)}` : "";
      const rate = (seconds: number) => (bytes / seconds / 1e9).toFixed(2);
      console.log(`  ${name.padEnd(22)} ${rate(best)} GB/s best, ${rate(median)} median${error}`);
    });
  }
}

if (import.meta.main) await main();
