/** Matrices of every type times few and many tokens, and rows of tables. */
import { assertEquals } from "@std/assert";
import {
  addRows,
  createMatrix,
  embed,
  GPU_TYPES,
  type GpuMatrix,
  matmul,
  type ProgramBuilder,
  type Rows,
  weightFormat,
} from "../../../gpu/mod.ts";
import { needsOf, type ProductName } from "../../../gpu/kernels.ts";
import {
  type KernelVariants,
  PLAIN_VARIANTS,
  type TunedKernel,
  usableVariants,
} from "../../../gpu/variants.ts";
import { dequantizeQ8, matmul as referenceMatmul, quantizeQ8 } from "../../../src/reference/ops.ts";
import { deepOnly } from "../../support/deep.ts";
import { runStep } from "../../support/gpu.ts";
import type { GpuCase } from "./types.ts";
import { assertNear, normals } from "./compare.ts";
import { IN_TILES, weightsOf } from "./weights.ts";

interface Shape {
  readonly type: string;
  readonly rows: number;
  readonly columns: number;
  readonly n: number;
  readonly m?: number;
  readonly hasBias?: boolean;
  readonly accumulate?: boolean;
  readonly scale?: number;
  readonly rowCount?: number;
  readonly columnCount?: number;
  /** Inputs are rounded to 8 bits. */
  readonly isInt8?: boolean;
}

const checkMatmul = (shape: Shape): GpuCase["run"] => async (gpu) => {
  const { type, rows, columns, n, accumulate = false, scale = 1 } = shape;
  const { rowCount = rows, columnCount = columns, hasBias = false, isInt8 = false } = shape;
  const count = shape.m ?? n;
  const { bytes, values } = weightsOf(type, rows, columns, 1);
  const matrix = await createMatrix(gpu, "w", { type, rows, columns });
  matrix.write(bytes, { firstRow: 0 });
  const bias = hasBias ? await gpu.createVector("bias", normals(2, rows)) : null;
  const x = normals(3, n * columns);
  const before = normals(4, n * rows);
  const actual = await runStep(gpu, {
    n,
    m: shape.m,
    rows: { x: { values: x, width: columns }, to: { values: before, width: rows } },
    build: (builder, places) =>
      matmul(builder, {
        matrix,
        x: places.x,
        to: places.to,
        bias,
        accumulate,
        scale,
        rowCount,
        columnCount,
        count: shape.m === undefined ? "tokens" : "scored",
      }),
    read: "to",
  });
  // What is not multiplied counts as zero.
  const inputs = isInt8 ? dequantizeQ8(quantizeQ8(x)) : Float64Array.from(x);
  const used = inputs.map((value, i) => i % columns < columnCount ? value : 0);
  const product = referenceMatmul(values, used, columns);
  const sizes = referenceMatmul(values.map(Math.abs), used.map(Math.abs), columns);
  const addend = hasBias ? normals(2, rows) : null;
  const isWritten = (i: number) => i % rows < rowCount && i < count * rows;
  const expected = product.map((value, i) =>
    isWritten(i)
      ? (accumulate ? before[i] : 0) + scale * (value + (addend?.[i % rows] ?? 0))
      : before[i]
  );
  const label = JSON.stringify(shape);
  // A value that lies between two steps of 8 bits may go to either.
  const exactness = isInt8 ? 2e-5 : 2e-6;
  assertNear(label, actual, expected, (i) => isWritten(i) ? exactness * (sizes[i] + 1) : 0);
  matrix.destroy();
  if (bias) gpu.destroyBuffer(bias);
};

/** Every number of tokens around the borders between kernels and their tiles. */
const TOKENS = [1, 2, 3, 4, 5, 7, 8, 9, 33, 64];

const KERNELS_OF = {
  nibble: ["matvec_nibble", "matmul_nibble"],
  byte: ["matvec_byte", "matmul_byte"],
  float: ["matvec_float", "matmul_float"],
} as const;

function familyOf(type: string) {
  const format = weightFormat(type, 256);
  if (!format) throw new Error(`no format for ${type}`);
  return format.family;
}

/** Shaders of larger tiles. */
const WIDE: Partial<KernelVariants> = {
  ...{ matmul_byte: "matmul_int8", matmul_nibble: "matmul_int8" },
  matmul_float: "matmul_float_wide",
};

/** With subgroups, sums of a row are made otherwise; tokens share it as they do without. */
const fewOf = (name: ProductName) => name.endsWith("_subgroups") ? [1, 20] : [1, 2, 3, 20];
/** A number of tokens and a type are a shader: all numbers, and edges, meet one, with minima. */
const OF_ALL_COUNTS: readonly string[] = [
  "Q2_K",
  "Q6_K",
  "F16",
  ...deepOnly("Q4_0", "Q8_0", "F32"),
];

/** The same shapes by the shaders that not every adapter has. */
const checkVariant =
  (job: TunedKernel, name: ProductName, types: readonly string[]): GpuCase["run"] =>
  async (
    gpu,
  ) => {
    if (!usableVariants(job, gpu.features).includes(name)) return;
    // Up to 32 tokens are few where many are a tile of 128.
    gpu.variants = { ...PLAIN_VARIANTS, ...WIDE, [job]: name };
    const isInt8 = needsOf(name).includes("int8");
    try {
      for (const type of types) {
        const isEvery = OF_ALL_COUNTS.includes(type);
        const [few, many] = isEvery ? [fewOf(name), [33, 150]] : [[1], [150]];
        for (const n of job.startsWith("matvec") ? few : many) {
          for (const columns of job.endsWith("float") ? [...isEvery ? [84] : [], 516] : [512]) {
            await checkMatmul({ type, rows: 70, columns, n, hasBias: true, isInt8 })(gpu);
          }
        }
      }
    } finally {
      gpu.variants = PLAIN_VARIANTS;
    }
  };

/** One for each kind of levels, and a middle between two. */
const LOOKED_UP = ["IQ3_S", "IQ3_XXS", "IQ2_S", "IQ1_M"] as const;

const variantCases: readonly GpuCase[] = ([
  ["matvec_nibble", "matvec_nibble_subgroups", ["Q4_0", "Q2_K", "MXFP4"]],
  ["matvec_byte", "matvec_byte_subgroups", ["Q8_0", "Q6_K"]],
  ["matmul_nibble", "matmul_nibble_f16", ["Q4_0", "Q2_K", "Q4_K", "MXFP4", "IQ4_XS", "IQ3_XXS"]],
  ["matvec_float", "matvec_float_rows", ["F32", "F16"]],
  ["matmul_float", "matmul_float_wide", ["F32", "F16"]],
  ["matvec_nibble", "matvec_int8", ["Q4_0", "Q2_K", "MXFP4", "IQ4_XS", ...LOOKED_UP]],
  ["matvec_byte", "matvec_int8", ["Q8_0", "Q6_K"]],
  ["matvec_nibble", "matvec_int8_subgroups", ["Q4_0", "Q2_K", "MXFP4"]],
  ["matvec_byte", "matvec_int8_subgroups", ["Q8_0", "Q6_K"]],
  // Kinds of factors and levels each once; whole models are of Q4_0.
  ["matmul_nibble", "matmul_int8", [
    ...["Q2_K", "MXFP4", "IQ1_M"],
    ...deepOnly("Q4_0", "Q4_K", "IQ4_XS", ...LOOKED_UP.slice(0, -1)),
  ]],
  ["matmul_byte", "matmul_int8", ["Q8_0", "Q6_K", ...deepOnly("Q5_K")]],
] as const).map(([job, name, types]): GpuCase => ({
  kernels: needsOf(name).includes("int8") ? [name, "quantize"] : [name],
  name: `matmul() gives the same by ${name} as by ${job}`,
  ...name === "matvec_int8" && { deep: "matvec_int8_subgroups sums up the same integers" },
  ...name === "matmul_nibble_f16" && { deep: "its types are multiplied by f32 and by integers" },
  run: checkVariant(job, name, types),
}));

/** A product by 8 bits of rows that something came before: what `build` adds, of `inputs`. */
const checkInt8 = (
  { n = 1, build, inputs }: {
    n?: number;
    build: (
      builder: ProgramBuilder,
      rows: Readonly<Record<"x" | "y" | "to", Rows>>,
      matrix: GpuMatrix,
    ) => void;
    inputs: (x: Float32Array, y: Float32Array) => Float32Array;
  },
): GpuCase["run"] =>
async (gpu) => {
  if (!usableVariants("matvec_nibble", gpu.features).includes("matvec_int8")) return;
  gpu.variants = { ...PLAIN_VARIANTS, ...WIDE, matvec_nibble: "matvec_int8" };
  const columns = 64;
  const rows = 8;
  const { bytes, values } = weightsOf("Q4_0", rows, columns, 5);
  const matrix = await createMatrix(gpu, "w", { type: "Q4_0", rows, columns });
  matrix.write(bytes, { firstRow: 0 });
  const [x, y] = [normals(6, n * columns), normals(7, n * columns)];
  const of = (values: Float32Array, width: number) => ({ values, width });
  try {
    const actual = await runStep(gpu, {
      n,
      rows: { x: of(x, columns), y: of(y, columns), to: of(new Float32Array(n * rows), rows) },
      build: (builder, places) => build(builder, places, matrix),
      read: "to",
    });
    const rounded = dequantizeQ8(quantizeQ8(inputs(x, y)));
    assertNear("by 8 bits", actual, referenceMatmul(values, rounded, columns), 1e-3);
  } finally {
    gpu.variants = PLAIN_VARIANTS;
    matrix.destroy();
  }
};

/** Rows that somebody writes between two products. */
const checkRewrittenRows = checkInt8({
  build: (builder, { x, y, to }, matrix) => {
    matmul(builder, { matrix, x, to });
    addRows(builder, { x: y, to: x, width: matrix.columns });
    matmul(builder, { matrix, x, to });
  },
  inputs: (x, y) => x.map((value, i) => value + y[i]),
});

/** Rows that only shorter steps have in 8 bits when the product comes. */
const checkRowsOfShorterSteps = checkInt8({
  n: 2,
  build: (builder, { x, to }, matrix) => {
    builder.during({ tokens: [0, 1] }, () => matmul(builder, { matrix, x, to }));
    matmul(builder, { matrix, x, to });
  },
  inputs: (x) => x,
});

/** Rows that another product reads in floats meanwhile: they need not be put into 8 bits again. */
const checkReadRows: GpuCase["run"] = async (gpu) => {
  const shape = { type: "F32", rows: 8, columns: 64 };
  const floats = await createMatrix(gpu, "f", shape);
  await checkInt8({
    build: (builder, { x, y, to }, matrix) => {
      matmul(builder, { matrix, x, to });
      matmul(builder, { matrix: floats, x, to: y });
      const { int8 } = builder;
      if (int8 === null || !builder.hasInt8(64)) throw new Error("no rows in 8 bits");
      assertEquals(builder.findInt8(x, "tokens", 64), { buffer: int8.main, missingFrom: Infinity });
    },
    inputs: (x) => x,
  })(gpu);
  floats.destroy();
};

/** Rows and columns that fill no tile, for every count of tokens and each family. */
const tokenCases = [["Q4_0", 37, 96], ["Q8_0", 37, 96], ["F16", 37, 84]] as const;

export const matmulCases: readonly GpuCase[] = [
  ...variantCases,
  {
    kernels: ["matvec_int8", "quantize"],
    name: "matmul() puts rows into 8 bits again when somebody has written them",
    run: checkRewrittenRows,
  },
  {
    kernels: ["matvec_int8", "quantize"],
    name: "matmul() puts rows into 8 bits in steps that are longer than those that have them so",
    run: checkRowsOfShorterSteps,
  },
  {
    kernels: ["matvec_int8", "quantize"],
    name: "matmul() leaves rows in 8 bits that another product reads in floats",
    run: checkReadRows,
  },
  ...tokenCases.map(([type, rows, columns]): GpuCase => ({
    kernels: KERNELS_OF[familyOf(type)],
    name: `matmul() of ${type} gives every count of tokens its products`,
    run: async (gpu) => {
      for (const n of TOKENS) await checkMatmul({ type, rows, columns, n })(gpu);
    },
  })),
  ...GPU_TYPES.map((type): GpuCase => ({
    kernels: KERNELS_OF[familyOf(type)],
    name: `matmul() decodes ${type} exactly enough for one token and for many`,
    run: async (gpu) => {
      const many = IN_TILES.includes(type) ? [9] : deepOnly(9);
      for (const n of [1, ...many]) await checkMatmul({ type, rows: 70, columns: 512, n })(gpu);
    },
  })),
  ...tokenCases.map(([type, rows, columns]): GpuCase => ({
    kernels: KERNELS_OF[familyOf(type)],
    name: `matmul() of ${type} adds biases, scales, accumulates, leaves rows and columns out`,
    run: async (gpu) => {
      const shape = { type, rows, columns: columns + 4 * 32 };
      for (const n of [1, 3, 10]) {
        await checkMatmul({ ...shape, n, hasBias: true, accumulate: true, scale: 0.5 })(gpu);
        await checkMatmul({ ...shape, n, rowCount: 18, columnCount: 64, hasBias: true })(gpu);
        await checkMatmul({ ...shape, n, columnCount: 0, hasBias: true })(gpu);
      }
      await checkMatmul({ ...shape, n: 9, m: 1 })(gpu);
      await checkMatmul({ ...shape, n: 20, m: 10 })(gpu);
    },
  })),
  {
    kernels: ["matvec_nibble"],
    name: "matmul() goes through more pieces than a workgroup has invocations",
    run: async (gpu) => {
      await checkMatmul({ type: "Q4_0", rows: 5, columns: 64 * 32 + 32, n: 1 })(gpu);
      await checkMatmul({ type: "Q8_0", rows: 5, columns: 64 * 16 + 32, n: 1 })(gpu);
      await checkMatmul({ type: "F32", rows: 5, columns: 64 * 4 + 4, n: 1 })(gpu);
    },
  },
  {
    kernels: ["matvec_nibble"],
    name: "GpuMatrix takes over some columns of a file's rows, and rows in pieces",
    run: async (gpu) => {
      const { bytes, values } = weightsOf("Q4_K", 6, 512, 7);
      const matrix = await createMatrix(gpu, "w", { type: "Q4_K", rows: 6, columns: 96 });
      const at = { fileColumns: 512, columnStart: 288 };
      const rowBytes = bytes.length / 6;
      matrix.write(bytes.subarray(0, 4 * rowBytes), { firstRow: 0, ...at });
      matrix.write(bytes.subarray(4 * rowBytes), { firstRow: 4, ...at });
      const x = normals(8, 96);
      const actual = await runStep(gpu, {
        n: 1,
        rows: { x: { values: x, width: 96 }, to: { values: new Float32Array(6), width: 6 } },
        build: (builder, { x, to }) => matmul(builder, { matrix, x, to }),
        read: "to",
      });
      const cut = Float32Array.from(
        { length: 6 * 96 },
        (_, i) => values[Math.floor(i / 96) * 512 + 288 + i % 96],
      );
      assertNear("cut", actual, referenceMatmul(cut, x, 96), 1e-4);
      matrix.destroy();
    },
  },
];

const checkEmbed =
  (type: string, columns: number, by: "ids" | "positions"): GpuCase["run"] => async (gpu) => {
    const rows = 11;
    const firstId = 5;
    const { bytes, values } = weightsOf(type, rows, columns, 9);
    const matrix = await createMatrix(gpu, "table", { type, rows, columns });
    matrix.write(bytes, { firstRow: 0 });
    const ids = [5, 15, 4, 16, 0, 9];
    const n = ids.length;
    const position = 12;
    const before = normals(10, n * columns);
    for (const accumulate of [false, true]) {
      const actual = await runStep(gpu, {
        n,
        position,
        ids,
        rows: { to: { values: before, width: columns } },
        build: (builder, { to }) =>
          embed(builder, { matrix, to, firstId, scale: 3, accumulate, by }),
        read: "to",
      });
      const expected = Float64Array.from(before, (old, i) => {
        const t = Math.floor(i / columns);
        const row = (by === "ids" ? ids[t] : position + t) - firstId;
        const value = row >= 0 && row < rows ? values[row * columns + i % columns] : 0;
        return (accumulate ? old : 0) + 3 * value;
      });
      assertNear(`${type} by ${by}`, actual, expected, (i) => 1e-6 * (Math.abs(expected[i]) + 1));
    }
    matrix.destroy();
  };

/** To the bit: what a chain of tokens is computed of must be what threads decode. */
const checkExactRows: GpuCase["run"] = async (gpu) => {
  for (const type of GPU_TYPES) {
    const [rows, columns] = [3, 256];
    const { bytes, values } = weightsOf(type, rows, columns, 9);
    const matrix = await createMatrix(gpu, "table", { type, rows, columns });
    matrix.write(bytes, { firstRow: 0 });
    const actual = await runStep(gpu, {
      n: rows,
      ids: [0, 1, 2],
      rows: { to: { values: new Float32Array(rows * columns), width: columns } },
      build: (builder, { to }) => embed(builder, { matrix, to }),
      read: "to",
    });
    assertEquals(actual, values, type);
    matrix.destroy();
  }
};

export const embedCases: readonly GpuCase[] = [
  {
    kernels: ["embed_byte", "embed_float", "embed_nibble"],
    name: "embed() gives the very bits that threads decode, of every type",
    run: checkExactRows,
  },
  ...[["Q4_K", 256], ["Q6_K", 256], ["BF16", 36], ["Q4_0", 2560]].map((
    [type, columns],
  ): GpuCase => ({
    kernels: [`embed_${familyOf(String(type))}`],
    name: `embed() gathers rows of ${type} and gives zeros for ids without a row`,
    run: async (gpu) => {
      await checkEmbed(String(type), Number(columns), "ids")(gpu);
      await checkEmbed(String(type), Number(columns), "positions")(gpu);
    },
  })),
];
