/** Rows that end where the memory ends are read ahead of, and not beyond it: that would trap. */
import { assert } from "@std/assert";
import { packedRowBytes } from "../../src/rank/plan/weight_types.ts";
import { instantiateKernels, type Kernels, loadKernelModuleSync } from "../../wasm/mod.ts";
import { TYPE_Q4_0 } from "../../src/memory/row_layout.ts";

const PAGE_BYTES = 65536;
const PAGES = 8;
const K = 256;

/** Products of `rows` rows up to the memory's last byte; what else they need lies at its begin. */
function multiplyAtTheEnd(name: "matmul_q8_two_streams" | "matmul_q8_few", n: number): void {
  const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
  const kernels: Kernels = instantiateKernels(loadKernelModuleSync(), memory);
  const rowBytes = packedRowBytes("Q4_0", K);
  const acts = 2 * PAGE_BYTES, out = PAGE_BYTES;
  assert(acts + kernels.q8_bytes(n, K) < 5 * PAGE_BYTES, "activations lie before the rows");
  for (const rows of [1, 2, 3, 4, 13, 14, 15, 16, 17, 27, 28, 29, 64, 257]) {
    const w = PAGES * PAGE_BYTES - rows * rowBytes;
    kernels[name](TYPE_Q4_0, w, rowBytes, rows, K, acts, n, out, rows);
  }
}

Deno.test("two rows side by side are read ahead of within their matrix", () => {
  multiplyAtTheEnd("matmul_q8_two_streams", 1);
});

Deno.test("rows by a few tokens are read ahead of within their matrix", () => {
  for (const n of [2, 5]) multiplyAtTheEnd("matmul_q8_few", n);
});
