/**
 * A memory for kernel tests: every piece that is placed lies between canaries, and `run` checks
 * after the call that no canary, and no piece that was not named as an output, has changed.
 */
import { CODEBOOKS_END } from "../../src/memory/codebook_layout.ts";
import { writeCodebooks } from "../../src/rank/load/codebook_region.ts";
import { instantiateKernels, type Kernels, loadKernelModuleSync } from "../../wasm/mod.ts";

const CANARY_BYTES = 64;
const CANARY = 0xa5;
const PAGE_BYTES = 65536;

export class TestArena {
  readonly memory: WebAssembly.Memory;
  readonly kernels: Kernels;
  /** The same that add up products of several tokens by fours. */
  readonly kernelsByFours: Kernels;
  readonly bytes: Uint8Array;
  /** What a memory begins with: canaries and codebooks. */
  readonly #beginning: Uint8Array;
  #before = new Uint8Array(0);
  #top = CODEBOOKS_END + PAGE_BYTES;

  constructor(pages: number, module: WebAssembly.Module = loadKernelModuleSync()) {
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: 65536, shared: true });
    this.kernels = instantiateKernels(module, this.memory);
    this.kernelsByFours = instantiateKernels(module, this.memory, { sumsByFours: true });
    this.bytes = new Uint8Array(this.memory.buffer);
    this.bytes.fill(CANARY, 0, CODEBOOKS_END);
    writeCodebooks(this.memory.buffer);
    this.#beginning = this.bytes.slice(0, CODEBOOKS_END);
    this.reset();
  }

  /** Forgets all pieces. */
  reset(): void {
    this.bytes.set(this.#beginning);
    this.bytes.fill(CANARY, CODEBOOKS_END, this.#top + CANARY_BYTES);
    this.#top = CODEBOOKS_END + CANARY_BYTES;
  }

  /** Address of a new piece of `byteLength` bytes, a multiple of `align`, filled with canary. */
  place(byteLength: number, align = 64): number {
    const ptr = Math.ceil((this.#top + CANARY_BYTES) / align) * align;
    this.#top = ptr + byteLength;
    if (this.#top + CANARY_BYTES > this.bytes.length) throw new Error("test arena is too small");
    this.bytes.fill(CANARY, ptr, this.#top + CANARY_BYTES);
    return ptr;
  }

  /** Address of a copy of `data`. */
  put(data: Float32Array | Uint8Array | Uint16Array | Uint32Array, align = 64): number {
    const ptr = this.place(data.byteLength, align);
    this.bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), ptr);
    return ptr;
  }

  /** A copy of the floats at `ptr`. */
  floats(ptr: number, count: number): Float32Array {
    return new Float32Array(this.bytes.slice(ptr, ptr + 4 * count).buffer);
  }

  /** A copy of the bytes at `ptr`. */
  slice(ptr: number, byteLength: number): Uint8Array {
    return this.bytes.slice(ptr, ptr + byteLength);
  }

  /**
   * Runs `call`, then throws when a byte outside of `outputs` ([address, byte length] each) has
   * changed.
   */
  run<T>(call: () => T, ...outputs: readonly (readonly [number, number])[]): T {
    const end = Math.min(this.#top + PAGE_BYTES, this.bytes.length);
    const before = this.#copy(end);
    const result = call();
    for (const [ptr, length] of outputs) before.set(this.bytes.subarray(ptr, ptr + length), ptr);
    if (!sameBytes(before, this.bytes.subarray(0, end))) {
      const at = before.findIndex((byte, i) => byte !== this.bytes[i]);
      throw new Error(`a byte outside of the outputs changed, at ${at} (outputs ${outputs})`);
    }
    return result;
  }

  /** What the first bytes are now, where the last copy was: new memory costs a fault a page. */
  #copy(byteLength: number): Uint8Array {
    if (this.#before.length < byteLength) this.#before = new Uint8Array(byteLength);
    const copy = this.#before.subarray(0, byteLength);
    copy.set(this.bytes.subarray(0, byteLength));
    return copy;
  }
}

/** True when both hold the same; compares words where it can. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  const words = a.length >> 2;
  const wa = new Uint32Array(a.buffer, a.byteOffset, words);
  const wb = new Uint32Array(b.buffer, b.byteOffset, words);
  for (let i = 0; i < words; i++) if (wa[i] !== wb[i]) return false;
  for (let i = words * 4; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
