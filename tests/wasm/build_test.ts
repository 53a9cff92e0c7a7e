/** The committed binary is the sources', and its hot loops hold the intended instructions. */
import { assert, assertEquals } from "@std/assert";
import {
  QUANT_TYPES,
  type QuantType,
  WRITTEN_OUT_TYPES,
} from "../../src/rank/plan/weight_types.ts";
import {
  compileKernels,
  hashOf,
  kernelSources,
  type KernelsRecord,
  loopsHash,
  readRecord,
  recordOf,
  sourcesHash,
} from "../../wasm/build.ts";
import type { Counted, FunctionLoops } from "../../wasm/hot_loops.ts";
import { deepTest } from "../support/deep.ts";

const RECORD: KernelsRecord = await readRecord();
const COMMITTED = await Deno.readFile(new URL("../../wasm/kernels.wasm", import.meta.url));
const STALE = "run `deno task build:wasm` and commit wasm/kernels.wasm and wasm/kernels.json";

/** The function whose name ends with `name`. */
function functionOf(name: string): FunctionLoops {
  const found = Object.keys(RECORD.functions).find((each) => each.endsWith(`/${name}`));
  assert(found !== undefined, `no function ${name} with loops`);
  return RECORD.functions[found];
}

Deno.test("kernels.wasm is of its sources, and what is known of its loops is of it", async () => {
  assertEquals(RECORD.sources, await sourcesHash(), STALE);
  assertEquals(RECORD.binary, await hashOf(COMMITTED), STALE);
  assertEquals(RECORD.loops, await loopsHash(RECORD.functions), STALE);
});

Deno.test("kernelSources() has all kernels' files, and layouts that they share with threads", () => {
  const sources = kernelSources();
  const files = [...Deno.readDirSync(new URL("../../wasm/assembly/", import.meta.url))];
  const own = files.filter(({ isFile }) => isFile).map(({ name }) => `wasm/assembly/${name}`);
  assertEquals(sources.filter((path) => path.startsWith("wasm/")), own.sort());
  assert(sources.includes("src/memory/kv_layout.ts") && sources.length > own.length);
});

const COMPILED = "kernels.json says of which sources it was made; `deno task check` compiles them";

deepTest("kernels.wasm is what its sources compile to", COMPILED, async () => {
  const compiled = await compileKernels();
  assertEquals(compiled.binary.length, COMMITTED.length, STALE);
  assert(compiled.binary.every((byte, i) => byte === COMMITTED[i]), STALE);
  assertEquals(await recordOf(compiled), RECORD, STALE);
  assertEquals(compiled.sources, kernelSources(), "what was read is what the hash is of");
});

Deno.test("kernels.wasm has no data, no globals, no tables: instances share one memory", () => {
  const sections = sectionsOf(COMMITTED);
  assert(sections.includes(10), "code");
  const others = { tables: 4, globals: 6, start: 8, elements: 9, data: 11 };
  for (const [name, id] of Object.entries(others)) assert(!sections.includes(id), name);
});

/** Numbers of a module's sections, in their order: the binary format's. */
function sectionsOf(module: Uint8Array): number[] {
  const ids: number[] = [];
  for (let at = 8; at < module.length;) {
    ids.push(module[at++]);
    let size = 0;
    for (let shift = 0, more = true; more; shift += 7) {
      size += (module[at] & 127) * 2 ** shift;
      more = module[at++] > 127;
    }
    at += size;
  }
  return ids;
}

const DOT = "i16x8.relaxed_dot_i8x16_i7x16_s";
const DOT_OF_FOURS = "i32x4.relaxed_dot_i8x16_i7x16_add_s";
const [PAIRS, FOURS, SEVENS, SIGNS] = ["Pairs", "Fours", "Sevens", "Signs"].map((way) =>
  `wasm/assembly/product_sums/${way}`
);
/** Two dots a weight. */
const WIDE_TYPES: readonly QuantType[] = ["Q8_0", "IQ4_NL", "IQ4_XS"];

/** Types whose weights are looked up in natural order, superblock by superblock. */
const NATURAL_TYPES: readonly QuantType[] = [
  ...["IQ3_S", "IQ3_XXS", "IQ2_S", "IQ2_XS", "IQ2_XXS", "IQ1_M", "IQ1_S", "TQ1_0"] as const,
];

/** The file of a format's class. */
function fileOf(type: QuantType): string {
  if (type.endsWith("_K") || type === "IQ4_XS") return "256";
  if (/^IQ[123]/.test(type)) return "codebook";
  if (type === "NVFP4") return "64";
  return /^TQ|^Q[12]_0/.test(type) ? "ternary" : "32";
}

/** The name of a format's class as the compiler writes it. */
function formatOf(type: QuantType): string {
  return `wasm/assembly/formats_${fileOf(type)}/${type}`;
}

/** Types whose quants are looked up by codes. */
const FP4_TYPES: readonly QuantType[] = ["MXFP4", "NVFP4"];

/** Types whose bytes are looked up before they are multiplied. */
const LOOKED_UP_TYPES: readonly QuantType[] = ["IQ4_NL", "IQ4_XS"];

/** E0M4 is packed as Q4_1, NVFP4S as NVFP4; natural types and looked up ones are below. */
function hasOwnProduct(type: QuantType): boolean {
  const others: readonly QuantType[] = [
    ...["E0M4", "NVFP4S"] as const,
    ...[...NATURAL_TYPES, ...LOOKED_UP_TYPES, ...WRITTEN_OUT_TYPES],
  ];
  return !others.includes(type);
}

interface HotLoop {
  readonly name: string;
  /** How often a turn has it, all in pairs of 128 bits. */
  readonly instruction: string;
  readonly times: number;
  /** Functions that the kernel calls: for eight superblocks once. Left out: none. */
  readonly calls?: number;
}

// Per kernel: dots (or multiply-adds) in the hot loop. Of FP4 and IQ4 floats are a function.
const HOT_LOOPS: readonly HotLoop[] = [
  ...QUANT_TYPES.filter(hasOwnProduct).map((type) => ({
    name: `gemv_q8/two_rows<${formatOf(type)},${PAIRS}>`,
    instruction: DOT,
    times: WIDE_TYPES.includes(type) ? 16 : 8,
    calls: FP4_TYPES.includes(type) ? 1 : 0,
  })),
  // A byte is one dot there, of wide types, too.
  ...(["Q4_0", "Q4_K", "Q8_0", "MXFP4"] as const).map((type) => ({
    name: `gemv_q8/two_rows<${formatOf(type)},${FOURS}>`,
    instruction: DOT_OF_FOURS,
    times: 8,
    calls: FP4_TYPES.includes(type) ? 1 : 0,
  })),
  // Levels of two parts are two dots a weight.
  ...([["OddLevels", 8], ["OddLevelsByHalves", 8], ["SixLevels", 16], ["SixLevelsByHalves", 16], [
    "SixteenLevels",
    16,
  ]] as const).flatMap(([format, times]) =>
    ["two_rows", "four_rows"].map((rows) => ({
      name: `gemv_q8/${rows}<wasm/assembly/formats_levels/${format},${PAIRS}>`,
      instruction: DOT,
      times,
    }))
  ),
  ...FP4_TYPES.map((type) => ({
    name: `gemv_q8/four_rows<${formatOf(type)},${PAIRS}>`,
    instruction: DOT,
    times: 8,
    calls: 2,
  })),
  ...([["MXFP4", PAIRS], ["MXFP4", FOURS], ["NVFP4", PAIRS], ["IQ4_NL", FOURS], [
    "IQ4_XS",
    FOURS,
  ]] as const).map(([type, way]) => ({
    name: `whole_sums/add_floats<${formatOf(type)},${way}>`,
    instruction: "f32x4.relaxed_madd",
    times: 4,
  })),
  ...LOOKED_UP_TYPES.flatMap((type) => [
    {
      name: `looked_up/add_looked_up<${formatOf(type)},${PAIRS}>`,
      instruction: "i32x4.dot_i16x8_s",
      times: 8,
      calls: 1,
    },
    {
      name: `looked_up/add_looked_up<${formatOf(type)},${FOURS}>`,
      instruction: DOT_OF_FOURS,
      times: 4,
      calls: 1,
    },
  ]),
  ...NATURAL_TYPES.map((type) => ({
    name: type === "TQ1_0" ? "gemv_natural/row_of_digits" : `gemv_natural/row<${formatOf(type)}>`,
    instruction: DOT,
    times: 16,
  })),
  // Formats with the same properties have the same tile, and Binaryen keeps one of them.
  ...([["Q4_0", PAIRS], ["Q6_K", PAIRS], ["Q2_K", PAIRS], ["Q8_0", SIGNS], ["IQ2_XXS", SEVENS], [
    "IQ2_XS",
    SEVENS,
  ]] as const).map(([type, way]) => ({
    name: `gemm_q8/tile<${formatOf(type)},${way}>`,
    instruction: DOT,
    times: 16,
  })),
  ...(["Q4_0", "Q8_0"] as const).map((type) => ({
    name: `gemm_q8/tile<${formatOf(type)},${FOURS}>`,
    instruction: DOT_OF_FOURS,
    times: 16,
  })),
  ...(["Q4_0", "Q4_K", "Q8_0"] as const).flatMap((type) =>
    ([["Four", 16], ["Two", 8]] as const).map(([tokens, times]) => ({
      name: `gemm_few_q8/add_rows<${formatOf(type)},${FOURS},wasm/assembly/gemm_few_q8/${tokens}>`,
      instruction: DOT_OF_FOURS,
      times,
    }))
  ),
  { name: "matmul_float_f32/gemv_4_rows<f32>", instruction: "f32x4.relaxed_madd", times: 16 },
  { name: "matmul_float_f32/gemv_4_rows<u16>", instruction: "f32x4.relaxed_madd", times: 16 },
  { name: "matmul_float_f32/tile_2_rows<f32>", instruction: "f32x4.relaxed_madd", times: 16 },
  { name: "matmul_float_f32/tile_2_rows<u16>", instruction: "f32x4.relaxed_madd", times: 16 },
  { name: "matmul_float_f32/tile_2_rows<i16>", instruction: "f32x4.relaxed_madd", times: 16 },
  ...["attention_score/score_4_by_16", "attention_mix/mix_4_by_16"].flatMap((name) =>
    // Without and with the lines that are fetched meanwhile.
    ["void", "usize"].flatMap((line) => [
      { name: `${name}<i16,${line}>`, instruction: "i32x4.dot_i16x8_s", times: 16 },
      { name: `${name}<f32,${line}>`, instruction: "f32x4.relaxed_madd", times: 16 },
    ])
  ),
];

for (const { name, instruction, times, calls = 0 } of HOT_LOOPS) {
  const called = ["nothing", "one function", "two"][calls];
  Deno.test(`${name} does its work with ${times} ${instruction} a turn and calls ${called}`, () => {
    const { calls: counted, loops } = functionOf(name);
    const most = Math.max(...loops.map((counts) => counts[instruction as Counted] ?? 0));
    assert(most >= times, `${name}: ${most} ${instruction} a turn at most`);
    assertEquals(counted, calls);
  });
}

Deno.test("constant vectors that V8 would build anew at every use stay out of the hot loops", () => {
  const { loops } = functionOf(`gemv_q8/two_rows<${formatOf("Q4_0")},${PAIRS}>`);
  for (const counts of loops) assertEquals(counts["v128.const i32x4 0x0f0f0f0f"] ?? 0, 0);
  // Rows are taken apart for several tokens in here: four uses a turn, once compilers know it.
  const apart = functionOf(`matmul_q8/product<${formatOf("IQ4_XS")}>`).loops;
  for (const counts of apart) assert((counts["v128.const i32x4 0x0f0f0f0f"] ?? 0) < 2);
});
