/** Every kernel against its twin, over the one list of kernels. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { moveToE0m4 } from "../../src/quantize/encode_e0m4.ts";
import { instantiateKernels, loadKernelModuleSync } from "../../wasm/mod.ts";
import { sameBytes, TestArena } from "./arena.ts";
import { Rng } from "../support/rng.ts";
import { KERNEL_CASES, type KernelCase } from "./cases.ts";
import { packRow } from "./cases_rows.ts";
import { randomBlocks } from "./data.ts";

const module = loadKernelModuleSync();
const PAGES = 128;
/** Enough for legal calls: all of it is compared after each call that traps. */
const FEW_PAGES = 4;

for (const kernel of KERNEL_CASES) {
  Deno.test(`${titleOf(kernel)} agrees with its twin and writes only its output`, () => {
    kernel.sweep(new TestArena(PAGES, module));
  });
}

for (const kernel of KERNEL_CASES.filter(({ addresses }) => addresses.length > 0)) {
  Deno.test(`${titleOf(kernel)} traps on what is out of range before it touches anything`, () => {
    const { pages = FEW_PAGES } = kernel;
    const arena = new TestArena(pages, module);
    const legal = kernel.legalCall(arena);
    call(kernel, arena, legal);
    for (const index of kernel.addresses) {
      for (const address of [pages * 65536 - 4, pages * 65536, 2 ** 31, 2 ** 32 - 4]) {
        assertTraps(kernel, arena, legal.with(index, address));
      }
    }
    for (const index of kernel.counts) assertTraps(kernel, arena, legal.with(index, 2 ** 32 - 1));
  });
}

Deno.test("KERNEL_CASES covers every export of kernels.wasm", () => {
  const exports = WebAssembly.Module.exports(module).map(({ name }) => name);
  const covered = new Set<string>(KERNEL_CASES.map(({ name }) => name));
  assertEquals([...covered].sort(), exports.sort());
});

Deno.test("kernels.wasm imports its memory, one choice and abort, and exports functions only", () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true });
  assert(typeof instantiateKernels(module, memory).read_only === "function");
  for (const { kind } of WebAssembly.Module.exports(module)) assertEquals(kind, "function");
  for (const { name } of WebAssembly.Module.imports(module)) {
    assert(["memory", "sums_by_fours", "abort"].includes(name), name);
  }
});

Deno.test("kernels neither trap nor hang on NaN and infinities", () => {
  for (const value of [NaN, Infinity, -Infinity]) {
    for (const kernel of KERNEL_CASES.filter(({ addresses }) => addresses.length > 0)) {
      const arena = new TestArena(kernel.pages ?? FEW_PAGES, module);
      const legal = kernel.legalCall(arena);
      new Float32Array(arena.memory.buffer).fill(value);
      call(kernel, arena, legal);
    }
  }
});

Deno.test("kernels of quantised weights trap on types that they do not know", () => {
  const arena = new TestArena(FEW_PAGES, module);
  const quantised = ["repack", "dequantize_row_q", "matmul_q8", "matmul_q8_rows"];
  for (
    const name of [...quantised, "repack_columns", "matmul_q8_columns", "matmul_q8_columns_at"]
  ) {
    const kernel = KERNEL_CASES.find((one) => one.name === name)!;
    arena.reset();
    const legal = kernel.legalCall(arena);
    for (const type of [0, 1, 4, 15, 30, 2 ** 32 - 1]) {
      assertTraps(kernel, arena, legal.with(0, type));
    }
  }
});

Deno.test("kernels of neurons trap on types that they do not know", () => {
  const arena = new TestArena(FEW_PAGES, module);
  for (const name of ["matmul_neurons", "matmul_fired_neurons"]) {
    const kernel = KERNEL_CASES.find((one) => one.name === name)!;
    arena.reset();
    const legal = kernel.legalCall(arena);
    for (const type of [4, 15, 28, 2 ** 32 - 1]) assertTraps(kernel, arena, legal.with(0, type));
  }
});

Deno.test("repack_columns() traps on rows that are no whole groups", () => {
  const arena = new TestArena(FEW_PAGES, module);
  const kernel = KERNEL_CASES.find(({ name }) => name === "repack_columns")!;
  const legal = kernel.legalCall(arena);
  for (const [index, rows] of [[4, 96], [5, 32], [5, 64], [6, 63]]) {
    assertTraps(kernel, arena, legal.with(index, rows));
  }
});

Deno.test("repack() makes the same rows of E0M4 as of Q4_1 with the same codes", () => {
  const arena = new TestArena(FEW_PAGES, module);
  const rng = new Rng(9);
  for (const k of [32, 96, 256, 2560]) {
    arena.reset();
    const { bytes } = randomBlocks(rng, "Q4_1", k, "random");
    const moved = new Uint8Array(bytes.length);
    assertEquals(moveToE0m4("Q4_1", bytes, moved), -1);
    assertEquals(packRow(arena, "E0M4", moved), packRow(arena, "Q4_1", bytes));
  }
});

function titleOf({ name, label }: KernelCase): string {
  return `${name}()${label ? ` of ${label}` : ""}`;
}

function call(kernel: KernelCase, arena: TestArena, args: readonly number[]): void {
  (arena.kernels[kernel.name] as (...args: readonly number[]) => unknown)(...args);
}

function assertTraps(kernel: KernelCase, arena: TestArena, args: readonly number[]): void {
  const before = arena.bytes.slice();
  assertThrows(
    () => call(kernel, arena, args),
    WebAssembly.RuntimeError,
    "unreachable",
    `${kernel.name}(${args})`,
  );
  assert(sameBytes(before, arena.bytes), `${kernel.name}(${args}) wrote before it trapped`);
}
