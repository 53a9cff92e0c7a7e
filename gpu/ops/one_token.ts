/**
 * Products of tokens of a sequence each that do more than multiply, so that a layer takes few
 * dispatches: heads that are turned and remembered, neurons from gates to what they give on, and
 * what a block adds to the residual stream together with the next norm. Weights are read once for
 * up to eight tokens, each of which gets the sums that it would get alone.
 *
 * A norm is made by halves: who adds to the stream leaves it times the norm's weights, and sums of
 * squares; who reads that multiplies by the factor in the end. Rounding to 8 bits does not mind:
 * scales of 32 neighbours grow and shrink with them.
 */
import { check, divExact } from "../../src/base/check.ts";
import { N } from "../../src/shapes/mod.ts";
import { routedName } from "../kernels.ts";
import { bindCache, headConstants, type KvCache, type QueriesAlone } from "../kv_cache.ts";
import type { Constants } from "../pipelines.ts";
import type { Counted, Dispatch, ProgramBuilder } from "../program.ts";
import { WORKGROUPS_MAX } from "../schedule.ts";
import {
  type RowJob,
  type RowLanes,
  rowLanesFor,
  WORKGROUP_ROWS,
  workgroupBytes,
} from "../row_lanes.ts";
import type { Routes } from "../routes.ts";
import { bindNowhere, bindRows, checkRows, type Rows } from "../rows.ts";
import type { GpuMatrix } from "../weights/matrix.ts";
import type { HeadRope } from "./attention.ts";
import { type ActivationArgs, activationConstants } from "./elementwise.ts";
import {
  addQuantize,
  constantsOf,
  FEW_TOKENS,
  isInt8,
  kernelsFor,
  routedConstants,
} from "./matmul.ts";

/** Rows that lack the factor of their norm. */
export interface HalfNorm {
  /** f32 [tokens, width], sums of squares by 32 columns behind; where somebody reads floats. */
  readonly rows: Rows;
  /** The same in 8 bits; null: nobody reads it. */
  readonly int8: GPUBuffer | null;
  readonly width: number;
  readonly epsilon: number;
}

/** What a product reads: rows, or some that lack the factor of their norm. */
export type OneInput = Rows | HalfNorm;

/** Rows, or neurons, that a workgroup makes where 8 bits are made of them. */
const PIECE = 32;

/** Invocations of a row that are neighbours: parts/one_row.wgsl. The best ones of an H100. */
const SIDES: RowLanes = { heads: 8, gated: 8, joined: 16 };
/** Whose workgroups copy what they read: there are few of them, or many rows in each. */
const COPIES: Readonly<Record<RowJob, boolean>> = { heads: false, gated: true, joined: true };
/** Of a piece of 32 columns in 8 bits. */
const PIECE_VEC4S = 3;

/** How weights are read: the end of a shader's name. */
type Reading = "float" | "int8" | "int8_subgroups";

/** How products of one token read a matrix; null: not at all, and `matmul` does it. */
function readingOf(builder: ProgramBuilder, matrix: GpuMatrix): Reading | null {
  if (matrix.parts.length !== 1 || matrix.rows % 4 !== 0) return null;
  if (matrix.format.family === "float") return "float";
  const { few } = kernelsFor(builder, { matrix, columnCount: matrix.columns });
  if (!isInt8(few)) return null;
  return few === "matvec_int8_subgroups" ? "int8_subgroups" : "int8";
}

/** Whether the operations here do the product of a matrix. */
export function isOneToken(builder: ProgramBuilder, matrix: GpuMatrix): boolean {
  return readingOf(builder, matrix) !== null;
}

interface OneArgs {
  readonly matrix: GpuMatrix;
  /** f32 [rows], or none. */
  readonly bias: GPUBuffer | null;
  readonly x: OneInput;
}

/** What a product with each number of tokens has in common, but for how many they are. */
type OneDispatch = Omit<Dispatch, "workgroups" | "when"> & {
  readonly rowGroups: number;
  /** Constants of a shader for one token besides. */
  readonly copy: Constants;
};

/** Adds the shader for each number of tokens, or of those that are scored. */
function addEach(builder: ProgramBuilder, { rowGroups, copy, ...dispatch }: OneDispatch): void {
  for (const { tokens, TOKENS } of FEW_TOKENS) {
    builder.add({
      ...dispatch,
      constants: { ...dispatch.constants, TOKENS, ...TOKENS === 1 ? copy : {} },
      workgroups: [rowGroups, N.ceilDiv(TOKENS), 1],
      when: { tokens, isApart: true },
    });
  }
}

interface BeginArgs {
  readonly to: Rows;
  readonly accumulate?: boolean;
  readonly scale?: number;
  readonly count?: Counted;
}

/** A product's common half: the shader, its constants and its first bindings. */
function begin<Job extends RowJob>(
  builder: ProgramBuilder,
  job: Job,
  { matrix, bias, x, to, ...more }: OneArgs & BeginArgs,
) {
  const reading = readingOf(builder, matrix);
  check(reading !== null, "whoever adds a product of one token has asked isOneToken");
  const half = "rows" in x ? x : null;
  const rows = "rows" in x ? x.rows : x;
  checkRows(rows, matrix.columns);
  check(half === null || half.width === matrix.columns, "a norm is read as a whole");
  const [part] = matrix.parts;
  const columnCount = matrix.columns;
  let int8: GPUBuffer | null = null;
  if (reading !== "float") int8 = half ? half.int8 : addQuantize(builder, { x: rows, columnCount });
  check(reading === "float" || int8 !== null, "who left a norm has asked who reads it");
  const args = { matrix, bias, x: rows, to, columnCount, ...more };
  const lanes = rowLanesFor(builder.gpu, job);
  const side = Math.min(SIDES[job], lanes);
  check(WORKGROUP_ROWS[job] * side >= 32 || lanes === side, "a workgroup has whole rows");
  return {
    kernel: `${job}_${reading}` as `${Job}_${Reading}`,
    int8,
    constants: {
      ...constantsOf(args, part, { rows: matrix.rows, isInt8: int8 !== null }),
      ...{
        LANES: lanes * WORKGROUP_ROWS[job],
        ROW_LANES: lanes,
        SIDE: side,
      },
      ...half ? { IS_DEFERRED: true, NORM_WIDTH: half.width, EPSILON: half.epsilon } : {},
    } satisfies Constants,
    copy: int8 === null ? {} : copyOf(builder, job, { columns: matrix.columns, lanes }),
    bindings: [
      builder.input.header,
      { buffer: part.codes },
      { buffer: part.factors },
      { buffer: bias ?? builder.gpu.nothing },
      int8 ? { buffer: int8 } : bindRows(rows),
    ],
  };
}

/** Constants of a shader that copies one token's row into its workgroups' memory, if it should. */
function copyOf(
  { gpu: { limits } }: ProgramBuilder,
  job: RowJob,
  { columns, lanes }: { columns: number; lanes: number },
): Constants {
  const room = PIECE_VEC4S * Math.ceil(columns / PIECE);
  const bytes = 16 * room + workgroupBytes(job, lanes);
  const isCopied = COPIES[job] && bytes <= limits.maxComputeWorkgroupStorageSize;
  return isCopied ? { IS_COPIED: true, COPY_ROOM: room } : {};
}

/** Whether `multiplyOne` can do the product: its grid is long. */
export function canMultiplyOne(builder: ProgramBuilder, matrix: GpuMatrix): boolean {
  return isOneToken(builder, matrix) && matrix.rows / 4 <= WORKGROUPS_MAX;
}

export interface MultiplyOneArgs extends OneArgs {
  readonly to: Rows;
  /** "scored": of the last m tokens, rows 0 … m − 1 of `to`. Left out: of all. */
  readonly count?: Counted;
}

/** to = W · x + bias. */
export function multiplyOne(builder: ProgramBuilder, args: MultiplyOneArgs): void {
  const { matrix: { rows }, to, count } = args;
  checkRows(to, rows);
  const { kernel, constants, bindings, copy } = begin(builder, "heads", args);
  addEach(builder, {
    kernel,
    constants: {
      ...constants,
      HEADS: rows / 4,
      HEAD_DIM: 4,
      VALUE_DIM: 4,
      RECORD: builder.input.recordWords,
    },
    bindings: [...bindings, builder.input.records, bindRows(to), ...bindNowhere(builder.gpu.sink)],
    count,
    rowGroups: rows / 4,
    copy,
  });
}

export interface ProjectHeadsArgs extends OneArgs {
  /** Queries, keys and values side by side; queries alone are written. */
  readonly to: Rows;
  /** Column of `to` that row 0 belongs to: where a head begins. */
  readonly column: number;
  /** Of queries. */
  readonly heads: number;
  readonly cache: KvCache | QueriesAlone;
  /** Null: nothing is turned. */
  readonly rope: HeadRope | null;
}

/** Whether `projectHeads` can turn these. */
export function canProjectHeads(
  builder: ProgramBuilder,
  { cache: { headDim }, rope }: Pick<ProjectHeadsArgs, "cache" | "rope">,
): boolean {
  const turned = rope === null ? 0 : builder.input.ropes[rope.index].dimensionCount;
  return headDim % 4 === 0 && (rope?.kind !== "neox" || turned % 4 === 0);
}

/** Some of tokens' queries, keys and values, turned; keys and values go into the cache. */
export function projectHeads(builder: ProgramBuilder, args: ProjectHeadsArgs): void {
  const { matrix: { rows }, to, column, heads, cache, rope } = args;
  const { kvHeads, headDim } = cache;
  const ofHeads = headConstants(cache);
  const { input } = builder;
  checkRows(to, (heads + kvHeads) * headDim + kvHeads * ofHeads.VALUE_DIM);
  check(column % headDim === 0 && column <= (heads + kvHeads) * headDim, "rows are whole heads");
  const place = { ...to, column: (to.column ?? 0) + column };
  const { kernel, constants, bindings, copy } = begin(builder, "heads", { ...args, to: place });
  const table = rope === null ? { start: 0, dimensionCount: 0 } : input.ropes[rope.index];
  const queryTable = rope === null ? table : input.ropes[rope.queryIndex ?? rope.index];
  check(queryTable.dimensionCount === table.dimensionCount, "queries turn as keys do");
  addEach(builder, {
    kernel,
    constants: {
      ...constants,
      ...ofHeads,
      ...{ HEADS: heads, FIRST_HEAD: column / headDim },
      ROTATED: table.dimensionCount,
      IS_NEOX: rope?.kind === "neox",
      KEYS_TURNED: rope?.turnsKeys ?? true,
      RECORD: input.recordWords,
      ...{ ROPE_START: table.start, QUERY_START: queryTable.start },
    },
    bindings: [
      ...bindings,
      input.records,
      bindRows(to),
      ...bindCache(builder.gpu, cache),
    ],
    rowGroups: rows / 4,
    copy,
  });
}

export interface FireArgs extends OneArgs, ActivationArgs {
  /** [tokens, neurons], or a row for each route; not written where `down` reads 8 bits. */
  readonly to: Rows;
  /** Of experts, whose rows lie one below the other: which of them tokens use. */
  readonly routes?: Routes;
  /** What is multiplied with it next. */
  readonly down: GpuMatrix;
}

/** to = act(gate) · up, of rows of gates, then of ups, or act(up) without gates: see `activate`. */
export function fireNeurons(builder: ProgramBuilder, args: FireArgs): void {
  const { matrix, to, down, isGated, routes } = args;
  const neurons = down.columns;
  const rows = divExact(matrix.rows, routes?.experts ?? 1);
  check(rows === (isGated ? 2 * neurons : neurons), `${rows} rows for ${neurons} neurons`);
  checkRows(to, neurons);
  const { kernel, constants, bindings, copy, int8: read } = begin(builder, "gated", args);
  const { few } = kernelsFor(builder, { matrix: down, x: to, columnCount: neurons });
  const int8 = isInt8(few) ? builder.holdInt8(to, "tokens", neurons, { besides: read }) : null;
  const [sink, otherSink] = bindNowhere(builder.gpu.sink);
  const fired = {
    kernel,
    constants: {
      ...constants,
      ...activationConstants(args),
      ...{ NEURONS: neurons, TO_F32: int8 === null, TO_INT8: int8 !== null },
    },
    bindings: [
      ...bindings,
      int8 === null ? bindRows(to) : sink,
      int8 === null ? otherSink : { buffer: int8 },
    ],
    keeps: to,
    rowGroups: Math.ceil(neurons / PIECE),
    copy,
  };
  if (routes === undefined) addEach(builder, fired);
  else addRouted(builder, fired, routes, rows);
}

/** The shader for a token, for each route: it has weights of its own. */
function addRouted(
  builder: ProgramBuilder,
  { rowGroups, copy, ...dispatch }: OneDispatch & { kernel: `gated_${Reading}` },
  routes: Routes,
  rows: number,
): void {
  const { kernel, constants, bindings } = dispatch;
  builder.add({
    ...dispatch,
    kernel: routedName(kernel),
    constants: {
      ...{ ...constants, ...copy, TOKENS: 1 },
      ...routedConstants(routes, { firstRow: 0, rows: rows * routes.experts }, rows),
      IS_SHARED: true,
    },
    bindings: [...bindings, { buffer: routes.buffer }],
    workgroups: [rowGroups, N.times(routes.used), 1],
    when: { isApart: true },
  });
}

/** A norm that follows on what is added to the residual stream. */
export interface NextNorm {
  /** f32 [width]. */
  readonly weight: GPUBuffer;
  readonly epsilon: number;
  /** Room for it in f32, with sums behind it. */
  readonly normed: Rows;
  /** All that read it. */
  readonly readers: readonly GpuMatrix[];
}

/** Whether half of a norm does for whoever reads it. */
export function allReadHalves(
  builder: ProgramBuilder,
  { readers, width }: Pick<NextNorm, "readers"> & { readonly width: number },
): boolean {
  return width % PIECE === 0 && readers.every((each) => isOneToken(builder, each));
}

/**
 * Where half of a norm goes that whoever adds to the stream leaves.
 * @param besides read in 8 bits by the same dispatch.
 * @returns also what its shader is told; null: not all readers can do with half of it.
 */
export function beginHalfNorm(
  builder: ProgramBuilder,
  { epsilon, normed, readers, width }: Omit<NextNorm, "weight"> & { width: number },
  besides: GPUBuffer | null,
): { half: HalfNorm; isFloat: boolean; constants: Constants } | null {
  if (!allReadHalves(builder, { readers, width })) return null;
  const readings = readers.map((each) => readingOf(builder, each));
  checkRows(normed, width + width / PIECE);
  const isRead = readings.some((reading) => reading !== "float");
  const int8 = isRead ? builder.takeInt8(width, besides) : null;
  const isFloat = readings.includes("float");
  return {
    half: { rows: normed, int8, width, epsilon },
    isFloat,
    constants: {
      ...{ NORMED_START: normed.column ?? 0, NORMED_STRIDE: normed.stride },
      ...{ TO_F32: isFloat, TO_INT8: int8 !== null },
    },
  };
}

export interface JoinArgs extends OneArgs, NextNorm {
  readonly x: Rows;
  /** The residual stream. */
  readonly to: Rows;
  readonly scale: number;
}

/** to += scale · (W · x + bias), and the half of the next norm; null: that cannot be. */
export function joinResidual(builder: ProgramBuilder, args: JoinArgs): HalfNorm | null {
  const { matrix, to, normed, weight } = args;
  const { rows: width } = matrix;
  if (!isOneToken(builder, matrix)) return null;
  checkRows(to, width);
  const { kernel, constants, bindings, copy, int8: read } = begin(builder, "joined", {
    ...args,
    accumulate: true,
  });
  const left = beginHalfNorm(builder, { ...args, width }, read);
  if (left === null) return null;
  const { half, isFloat } = left;
  const [sink, otherSink] = bindNowhere(builder.gpu.sink);
  addEach(builder, {
    kernel,
    constants: { ...constants, ...left.constants },
    bindings: [
      ...bindings,
      { buffer: weight },
      bindRows(to),
      isFloat ? bindRows(normed) : sink,
      half.int8 ? { buffer: half.int8 } : otherSink,
    ],
    rowGroups: width / PIECE,
    copy,
  });
  return half;
}
