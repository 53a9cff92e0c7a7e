/** Matrix times activations: for one token, for some, for many, over one layout of weights. */
import { check, divExact } from "../../src/base/check.ts";
import { type Expr, N } from "../../src/shapes/mod.ts";
import { INT8_COLUMNS } from "../int8_rows.ts";
import { type KernelName, needsOf, type ProductName, routedName } from "../kernels.ts";
import type { Constants } from "../pipelines.ts";
import type { ProgramBuilder } from "../program.ts";
import type { Range, When } from "../step_kinds.ts";
import { type Routes, tilesOf } from "../routes.ts";
import { bindRows, checkRows, countRows, type Rows } from "../rows.ts";
import { PLAIN_VARIANTS, type TunedKernel } from "../variants.ts";
import {
  FACTORS,
  FLOAT_KINDS,
  LEVELS,
  pieceColumns,
  type WeightFormat,
} from "../weights/formats.ts";
import type { GpuMatrix, MatrixPart } from "../weights/matrix.ts";

export interface MatmulArgs {
  readonly matrix: GpuMatrix;
  /** [tokens, columns]. */
  readonly x: Rows;
  /** [tokens, rows]. */
  readonly to: Rows;
  /** f32 [rows], or none. */
  readonly bias?: GPUBuffer | null;
  /** Added to what `to` holds. */
  readonly accumulate?: boolean;
  /** Multiplies product and bias; left out: 1. */
  readonly scale?: number;
  /** Left out: "tokens". */
  readonly count?: "tokens" | "scored";
  /**
   * Of experts, whose rows lie one below the other: which of them rows of x meet. `to` has a row
   * for each route then, x one for each route or for each token. Left out: all rows of x meet all.
   */
  readonly routes?: Routes;
  /** The first rows alone; left out: all. */
  readonly rowCount?: number;
  /** The first columns alone, by 32 (4 of floats); left out: all. */
  readonly columnCount?: number;
}

/** From here on weights are taken apart once for a tile of tokens. */
export const MANY_TOKENS = 8;
/** Where tiles are of 128 tokens, reading weights again costs less. */
const MANY_TOKENS_WIDE = 33;

/** Shaders of few tokens, by how many there are: all sum up in the same order. */
export const FEW_TOKENS = [
  { tokens: [1, 1], TOKENS: 1 },
  { tokens: [2, 2], TOKENS: 2 },
  { tokens: [3, 4], TOKENS: 4 },
  { tokens: [5, Infinity], TOKENS: 8 },
] as const satisfies readonly { readonly tokens: Range; readonly TOKENS: number }[];

/** Rows and tokens of a workgroup's tile. */
export const TILE = { rows: 64, tokens: 32 } as const;
const WIDE_TILE = { rows: 64, tokens: 128 } as const;
/** Shaders with the latter. */
const WIDE: readonly ProductName[] = ["matmul_int8", "matmul_float_wide"];

/** to (+)= scale · (matrix · x + bias). */
export function matmul(builder: ProgramBuilder, args: MatmulArgs): void {
  const { matrix, x, to, routes, columnCount = matrix.columns } = args;
  const { rowCount = divExact(matrix.rows, routes?.experts ?? 1) } = args;
  const step = matrix.format.family === "float" ? 4 : 32;
  check(rowCount <= matrix.rows && columnCount <= matrix.columns, "more than the matrix has");
  check(columnCount % step === 0, `${columnCount} columns are not by ${step}`);
  checkRows(x, columnCount);
  checkRows(to, rowCount);
  if (routes !== undefined) {
    check(args.rowCount === undefined && args.count !== "scored", "experts are multiplied whole");
    for (const part of matrix.parts) addRouted(builder, { ...args, columnCount, routes }, part);
    return;
  }
  for (const part of matrix.parts) {
    const rows = Math.min(part.rows, rowCount - part.firstRow);
    if (rows > 0) addPart(builder, { ...args, columnCount }, part, rows);
  }
}

function addPart(
  builder: ProgramBuilder,
  args: MatmulArgs & { columnCount: number },
  part: MatrixPart,
  rows: number,
): void {
  const { maxTokens } = builder;
  const { count = "tokens" } = args;
  const { few, many } = kernelsFor(builder, args);
  const manyFrom = WIDE.includes(many) ? MANY_TOKENS_WIDE : MANY_TOKENS;
  const int8 = quantizeFor(builder, args, { few, many, manyFrom });
  const add = (kernel: KernelName, constants: Constants, grid: GridSize, when: When) =>
    builder.add({
      kernel,
      constants: { ...constantsOf(args, part, { rows, isInt8: isInt8(kernel) }), ...constants },
      bindings: bindingsOf(builder, args, { part, int8: isInt8(kernel) ? int8 : null }),
      keeps: args.x,
      count,
      workgroups: [Math.ceil(rows / grid.rows), N.ceilDiv(grid.tokens), 1],
      when,
    });
  // Tokens of a sequence each get the sums that they would get alone: tiles have other ones.
  for (const isApart of [true, false]) {
    const fewTo = isApart ? Infinity : manyFrom - 1;
    for (const { tokens: [from, to], TOKENS } of FEW_TOKENS) {
      const when = { tokens: [from, Math.min(to, fewTo)] as const, isApart };
      add(few, { TOKENS }, { rows: 4, tokens: TOKENS }, when);
    }
  }
  add(many, {}, WIDE.includes(many) ? WIDE_TILE : TILE, {
    tokens: [manyFrom, Math.max(manyFrom, maxTokens)],
    isApart: false,
  });
}

/** As `addPart`, of those experts that a part has. */
function addRouted(
  builder: ProgramBuilder,
  args: MatmulArgs & { columnCount: number; routes: Routes },
  part: MatrixPart,
): void {
  const { matrix, x, to, routes } = args;
  const { used, experts } = routes;
  check(used === 1 || to.perToken === used, "a row for each route");
  const rows = divExact(matrix.rows, experts);
  const { few, many } = kernelsFor(builder, args);
  const int8 = quantizeFor(builder, args, { few, many, manyFrom: MANY_TOKENS });
  const add = (name: ProductName, constants: Constants, grid: [number, Expr], when: When) =>
    builder.add({
      kernel: routedName(name),
      constants: {
        ...constantsOf(args, part, { rows, isInt8: isInt8(name) }),
        ...routedConstants(routes, part, rows),
        IS_SHARED: (x.perToken ?? 1) === 1,
        ...constants,
      },
      bindings: [
        ...bindingsOf(builder, args, { part, int8: isInt8(name) ? int8 : null }),
        { buffer: routes.buffer },
      ],
      keeps: x,
      workgroups: [Math.ceil(rows / grid[0]), grid[1], 1],
      when,
    });
  const ofRoutes: [number, Expr] = [4, N.times(used)];
  add(few, { TOKENS: 1 }, ofRoutes, { isApart: true });
  add(few, { TOKENS: 1 }, ofRoutes, { tokens: [1, MANY_TOKENS - 1], isApart: false });
  const { rows: tileRows, tokens } = WIDE.includes(many) ? WIDE_TILE : TILE;
  add(
    many,
    { TILES: routes.tiles[tokens], ORDER: routes.order },
    [tileRows, tilesOf(routes, tokens)],
    { tokens: [MANY_TOKENS, Math.max(MANY_TOKENS, builder.maxTokens)], isApart: false },
  );
}

/** x in 8 bits for those steps whose shader reads it so; null: there are none. */
function quantizeFor(
  builder: ProgramBuilder,
  args: Pick<MatmulArgs, "x" | "count"> & { columnCount: number },
  { few, many, manyFrom }: { few: ProductName; many: ProductName; manyFrom: number },
): GPUBuffer | null {
  if (isInt8(few)) return addQuantize(builder, args);
  if (!isInt8(many)) return null;
  let int8: GPUBuffer | null = null;
  // In others half of a norm may lie there, which somebody behind this product reads.
  builder.during({ tokens: [manyFrom, Infinity], isApart: false }, () => {
    int8 = addQuantize(builder, args);
  });
  return int8;
}

/** Which experts a binding has, of `rows` rows each. */
export function routedConstants(
  { used }: Routes,
  part: Pick<MatrixPart, "firstRow" | "rows">,
  rows: number,
): Constants {
  return {
    ROWS: rows,
    USED: used,
    FIRST_EXPERT: divExact(part.firstRow, rows),
    EXPERTS: divExact(part.rows, rows),
  };
}

/** What a workgroup makes. */
interface GridSize {
  readonly rows: number;
  readonly tokens: number;
}

/** It reads inputs in 8 bits. */
export function isInt8(kernel: KernelName): boolean {
  return needsOf(kernel).includes("int8");
}

/** The shaders that the adapter does best, of those that can do this product. */
export function kernelsFor(
  builder: ProgramBuilder,
  { matrix, x, columnCount }: Pick<MatmulArgs, "matrix"> & { x?: Rows; columnCount: number },
): { few: ProductName; many: ProductName } {
  const { few, many } = KERNELS_OF[matrix.format.family];
  const { variants } = builder.gpu;
  const hasInt8 = builder.hasInt8(columnCount, x?.perToken);
  const usable = (job: TunedKernel) =>
    isInt8(variants[job]) && !hasInt8 ? PLAIN_VARIANTS[job] : variants[job];
  return { few: usable(few), many: usable(many) };
}

/** Invocations of a workgroup, which have four columns each. */
const QUANTIZE_LANES = 64;

/** x in 8 bits, for steps where it is not there yet. @returns where it is then. */
export function addQuantize(
  builder: ProgramBuilder,
  { x, count = "tokens", columnCount }: Pick<MatmulArgs, "x" | "count"> & { columnCount: number },
): GPUBuffer {
  const { buffer, missingFrom: from } = builder.findInt8(x, count, columnCount);
  if (from > builder.maxTokens) return buffer;
  const to = builder.holdInt8(x, count, columnCount)!;
  builder.add({
    kernel: "quantize",
    constants: {
      PIECES: columnCount / INT8_COLUMNS,
      X_START: (x.column ?? 0) / 4,
      X_STRIDE: x.stride / 4,
      LANES: QUANTIZE_LANES,
    },
    bindings: [bindRows(x), { buffer: to }],
    keeps: x,
    count,
    workgroups: [Math.ceil(columnCount / 4 / QUANTIZE_LANES), countRows(x), 1],
    when: { tokens: [from, Math.max(from, builder.maxTokens)] },
  });
  return to;
}

function bindingsOf(
  { gpu, input }: ProgramBuilder,
  { matrix, x, to, bias = null }: MatmulArgs,
  { part, int8 }: { part: MatrixPart; int8: GPUBuffer | null },
): GPUBufferBinding[] {
  return [
    input.header,
    { buffer: part.codes },
    ...matrix.format.family === "float" ? [] : [{ buffer: part.factors }],
    { buffer: bias ?? gpu.nothing },
    int8 ? { buffer: int8 } : bindRows(x),
    bindRows(to),
  ];
}

const KERNELS_OF: Readonly<
  Record<WeightFormat["family"], { few: TunedKernel; many: TunedKernel }>
> = {
  nibble: { few: "matvec_nibble", many: "matmul_nibble" },
  byte: { few: "matvec_byte", many: "matmul_byte" },
  float: { few: "matvec_float", many: "matmul_float" },
};

/** What shaders are told of a product. */
export function constantsOf(
  args: MatmulArgs & { columnCount: number },
  { firstRow }: MatrixPart,
  { rows, isInt8 }: { rows: number; isInt8: boolean },
): Constants {
  const { matrix, x, to, bias = null, accumulate = false, scale = 1, count, columnCount } = args;
  const { routes } = args;
  const { format } = matrix;
  const piece = isInt8 ? INT8_COLUMNS : pieceColumns(format);
  return {
    ROWS: rows,
    PIECES: columnCount / piece,
    ROW_PIECES: matrix.columns / piece,
    X_START: (x.column ?? 0) / 4,
    X_STRIDE: x.stride / 4,
    // Of experts each has the same place in its own row.
    TO_START: (to.column ?? 0) + (routes === undefined ? firstRow : 0),
    TO_STRIDE: to.stride,
    BIAS_START: firstRow,
    HAS_BIAS: bias !== null,
    ACCUMULATE: accumulate,
    SCALE: scale,
    SCORED: count === "scored",
    ...formatConstants(format),
    ...isInt8 ? { IS_NIBBLE: format.family === "nibble" } : {},
  };
}

/** What shaders are told of a format. */
export function formatConstants(format: WeightFormat): Constants {
  if (format.family === "float") return { KIND: FLOAT_KINDS[format.kind] };
  const common = { GROUP: format.group, FACTORS: FACTORS[format.factors] };
  if (format.family === "byte") return common;
  const { middle: MIDDLE, levels, unit } = format;
  return { ...common, MIDDLE, LEVELS: LEVELS[levels], ...unit === 1 ? {} : { UNIT: unit } };
}
