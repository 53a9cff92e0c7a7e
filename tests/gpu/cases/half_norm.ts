/** Half of the first norm: of the stream as it is, and of a chain's next token as it begins. */
import { assertEquals } from "@std/assert";
import {
  chooseScratchBytes,
  chooseToken,
  createInt8Rows,
  createReadBack,
  createStepChain,
  createStepInput,
  embed,
  enterToken,
  type Gpu,
  leaveHalfNorm,
  multiplyOne,
  ProgramBuilder,
  type Rows,
} from "../../../gpu/mod.ts";
import { matmul as referenceMatmul, rmsNorm } from "../../../src/reference/ops.ts";
import { frequenciesOf } from "./ropes.ts";
import { assertNear, normals } from "./compare.ts";
import { asRead, boundOf, makeBatch, makeMatrix, type Reading, reading } from "./readings.ts";
import type { GpuCase } from "./types.ts";

const EPSILON = 1e-5;
const VOCABULARY = 40;
/** Rows of what reads the norm. */
const READ_ROWS = 8;
const ID = 33;
const SCALE = 1.5;

interface Entry {
  readonly type: string;
  readonly columns: number;
  readonly way: Reading;
  /** The table lies in several buffers where a token begins; F32. Left out: in one. */
  readonly isInPieces?: boolean;
}

/** Rows in a buffer, one behind the other. */
function placesOf(buffer: GPUBuffer, widths: readonly number[]): Rows[] {
  let offsetBytes = 0;
  return widths.map((width) => {
    const stride = 4 * Math.ceil(width / 4);
    const rows = { buffer, offsetBytes, sizeBytes: 4 * stride, stride };
    offsetBytes += 256 * Math.ceil(stride / 64);
    return rows;
  });
}

/** A token behind one whose best id is ID, up to the first product of a layer. */
async function openEntry(gpu: Gpu, { type, columns, way, isInPieces = false }: Entry) {
  const table = await makeMatrix(gpu, { type, rows: VOCABULARY, columns }, 1);
  const pieces = { type, rows: VOCABULARY / 5, columns, bindingBytes: 64 * columns };
  const own = isInPieces ? await makeBatch(gpu, pieces, 5) : table;
  const readerType = way === "float" ? "F16" : "Q8_0";
  const reader = await makeMatrix(gpu, { type: readerType, rows: READ_ROWS, columns }, 2);
  const weights = normals(3, columns);
  const weight = await gpu.createVector("norm", weights);
  const widths = [columns, columns + columns / 32, READ_ROWS];
  const bytes = 256 * widths.reduce((sum, width) => sum + Math.ceil(width / 64), 0);
  const usage = 0x80 | 0x08 | 0x04; // STORAGE, COPY_DST, COPY_SRC
  const run = async (isOne: boolean, reads: "rows" | "step") => {
    const ropes = [frequenciesOf({ headDim: 8, kind: "norm" })];
    const input = await createStepInput(gpu, { maxTokens: 1, ropes });
    const chain = await createStepChain(gpu, input, 3);
    const logits = await gpu.createBuffer("logits", 4 * VOCABULARY);
    const scratch = await gpu.createBuffer("largest", chooseScratchBytes(VOCABULARY));
    const buffer = await gpu.createBuffer("activations", bytes, usage);
    const [stream, normed, to] = placesOf(buffer, widths);
    const builder = new ProgramBuilder(
      gpu,
      input,
      await createInt8Rows(gpu, { tokens: 1, columns }),
    );
    const { chosen } = chain;
    const row = { buffer: logits, offsetBytes: 0, sizeBytes: 4 * VOCABULARY, stride: VOCABULARY };
    chooseToken(builder, { logits: row, width: VOCABULARY, scratch, chosen });
    const next = { weight, epsilon: EPSILON, normed, readers: [reader.matrix] };
    const { matrix } = isOne ? own : table;
    if (!isOne) {
      chain.addAdvance(builder);
      embed(builder, { matrix, to: stream, scale: SCALE });
    }
    const half = isOne
      ? enterToken(builder, {
        ...next,
        ...{ matrix, scale: SCALE, to: stream, chain },
      })
      : leaveHalfNorm(builder, { ...next, x: stream, width: columns });
    multiplyOne(builder, { matrix: reader.matrix, bias: null, x: half!, to });
    const step = { n: 1, position: 5, m: 1 };
    const program = await builder.build([step]);
    input.write(step, [1]);
    const points = new Float64Array(3);
    const choice = { ...{ temperature: 0, topK: 1, topP: 1, minP: 0 }, points };
    chain.write({ tokens: 3 }, { position: 5, slot: 0 }, { choice, states: null });
    gpu.write(logits, 0, Float32Array.from({ length: VOCABULARY }, (_, at) => at === ID ? 2 : -at));
    const from = reads === "rows" ? buffer : input.buffer;
    const length = reads === "rows" ? bytes : 256 + 4 * input.recordWords;
    const back = await createReadBack(gpu, length);
    program.run(step, { to: back, from, offsetBytes: 0, bytes: length });
    const floats = new Float32Array(length / 4);
    await back.readIntoLater(floats);
    back.destroy();
    for (const each of [logits, scratch, buffer, chosen, chain.table, input.buffer]) {
      gpu.destroyBuffer(each);
    }
    const read = to.offsetBytes / 4;
    return {
      bits: new Uint32Array(floats.buffer),
      stream: floats.slice(0, columns),
      products: floats.slice(read, read + READ_ROWS),
    };
  };
  const close = () => {
    for (const { matrix } of new Set([table, own, reader])) matrix.destroy();
    gpu.destroyBuffer(weight);
  };
  return { run, close, weights, reader: reader.values, table: table.values };
}

async function check(gpu: Gpu, entry: Entry): Promise<void> {
  const { columns, way, type } = entry;
  const { run, close, weights, reader, table } = await openEntry(gpu, entry);
  const apart = await run(false, "rows");
  const expected = table.slice(ID * columns, (ID + 1) * columns).map((value) => SCALE * value);
  assertNear(`${type}: the row`, apart.stream, Float64Array.from(expected), 1e-6);
  const row = asRead(rmsNorm(expected, weights, EPSILON), way);
  const products = referenceMatmul(reader, row, columns);
  assertNear(`${type}: ${columns}`, apart.products, products, boundOf(reader, row, way));
  for (const reads of ["rows", "step"] as const) {
    const [one, three] = [await run(true, reads), await run(false, reads)];
    assertEquals(one.bits, three.bits, `${type}, ${way}: ${reads}`);
  }
  close();
}

export const halfNormCases: readonly GpuCase[] = [
  {
    kernels: ["half_norm", "enter_byte", "enter_float", "enter_nibble"],
    name: "enterToken() leaves the bits of what makes a step, its row and half of a norm",
    run: async (gpu) => {
      await reading(gpu, "float", async () => {
        await check(gpu, { type: "Q4_0", columns: 96, way: "float" });
      });
      await reading(gpu, "int8", async () => {
        // More than a workgroup has, and a last piece of it alone.
        await check(gpu, { type: "Q4_0", columns: 2080, way: "int8" });
        await check(gpu, { type: "Q8_0", columns: 1056, way: "int8" });
        await check(gpu, { type: "F16", columns: 288, way: "int8" });
        await check(gpu, { type: "F32", columns: 96, way: "int8", isInPieces: true });
      });
    },
  },
];
