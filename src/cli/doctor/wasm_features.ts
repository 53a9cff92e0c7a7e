/**
 * Which WebAssembly features this runtime has: for each a module of a few bytes that only validates
 * with it. Opcodes are those of the WebAssembly specification.
 */

/** The parts in which the modules differ; what is left out is empty. */
interface TinyModule {
  /** What the one function, of no parameters, returns. */
  readonly results?: readonly number[];
  /** Instructions of the function without the final `end`. */
  readonly body?: readonly number[];
  /** Limits of each memory, as the binary format spells them. */
  readonly memories?: readonly (readonly number[])[];
}

const V128 = 0x7b;
const F32_ZERO = [0x43, 0, 0, 0, 0];
const I32_ZERO = [0x41, 0];
const I8X16_SPLAT = [0xfd, 0x0f];
const DROP = 0x1a;
const SHARED_MEMORY = [0x03, 1, 1];

const FEATURES: Readonly<Record<string, TinyModule>> = {
  simd: { results: [V128], body: [...I32_ZERO, ...I8X16_SPLAT] },
  // i16x8.relaxed_dot_i8x16_i7x16_s: what the quantised kernels are made of
  relaxed_simd: {
    results: [V128],
    body: [...I32_ZERO, ...I8X16_SPLAT, ...I32_ZERO, ...I8X16_SPLAT, 0xfd, 0x92, 0x02],
  },
  // memory.atomic.notify
  threads: { memories: [SHARED_MEMORY], body: [...I32_ZERO, ...I32_ZERO, 0xfe, 0, 2, 0, DROP] },
  // memory.fill
  bulk_memory: {
    memories: [[0, 1]],
    body: [...I32_ZERO, ...I32_ZERO, ...I32_ZERO, 0xfc, 0x0b, 0],
  },
  multi_memory: { memories: [[0, 1], [0, 1]] },
  memory64: { memories: [[0x04, 1]] },
  // f16x8.splat
  fp16: { results: [V128], body: [...F32_ZERO, 0xfd, 0xa0, 0x02] },
};

/** Features by name, true where the runtime has them. */
export function wasmFeatures(): Record<string, boolean> {
  const validated = Object.entries(FEATURES).map(([name, module]) =>
    [name, WebAssembly.validate(encode(module))] as const
  );
  return { ...Object.fromEntries(validated), stack_switching: "promising" in WebAssembly };
}

function encode({ results = [], body = [], memories = [] }: TinyModule): Uint8Array<ArrayBuffer> {
  const functionBody = [0, /* locals */ ...body, 0x0b /* end */];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0], // "\0asm", version 1
    ...section(1, [[0x60, 0, results.length, ...results]]), // types
    ...section(3, [[0]]), // functions: their types
    ...section(5, memories),
    ...section(10, [[functionBody.length, ...functionBody]]), // code
  ]);
}

/** A section is a vector; none of these is long enough for a size of two bytes. */
function section(id: number, items: readonly (readonly number[])[]): number[] {
  const content = [items.length, ...items.flat()];
  return items.length === 0 ? [] : [id, content.length, ...content];
}
