/** Layers' states: convolution, scans and gate, over steps that begin and leave places in turns. */
import { assertEquals } from "@std/assert";
import {
  createStatePlaces,
  type Gpu,
  type ProgramBuilder,
  type Rows,
  scanDeltas,
  scanStates,
  stateConvolution,
  type StatePlaces,
} from "../../../gpu/mod.ts";
import { deltaScan } from "../../../src/reference/delta_scan.ts";
import { columns } from "../../../src/reference/state_layer.ts";
import {
  selectiveScan,
  softplus,
  stateConvolution as referenceConvolution,
} from "../../../src/reference/state_space.ts";
import { runStep } from "../../support/gpu.ts";
import { assertNear, normals } from "./compare.ts";
import type { GpuCase } from "./types.ts";

/** Of a text all rows of one of its parts, [n, width]. */
type PartOf = (name: string) => Float64Array;

/** An operation that goes through texts, and its formula over a whole text. */
interface Scan {
  readonly label: string;
  /** Columns of what it reads of each token. */
  readonly parts: Readonly<Record<string, number>>;
  /** Columns of what it gives. */
  readonly width: number;
  readonly places: StatePlaces;
  /** Freed in the end. */
  readonly buffers: readonly GPUBuffer[];
  readonly build: (builder: ProgramBuilder, rows: Readonly<Record<string, Rows>>) => void;
  readonly expected: (partOf: PartOf) => ArrayLike<number>;
}

/** A text: rows of all parts side by side. */
type Text = readonly Float32Array[];

const PLACES = 4;
const NONE = -1;

function columnsOf({ parts }: Scan): number {
  return Object.values(parts).reduce((sum, width) => sum + width, 0);
}

/** A step of these rows; where its tokens' states come from and go to. */
async function runScan(
  gpu: Gpu,
  scan: Scan,
  { text, from, to, isApart = false }: {
    readonly text: Text;
    readonly from: readonly number[];
    readonly to: readonly number[];
    readonly isApart?: boolean;
  },
): Promise<Float32Array> {
  const n = text.length;
  const rows: Record<string, { values: Float32Array; width: number }> = {
    to: { values: new Float32Array(n * scan.width), width: scan.width },
  };
  for (const name of Object.keys(scan.parts)) {
    rows[name] = { values: Float32Array.from(partOf(scan, text)(name)), width: scan.parts[name] };
  }
  const sequence = { position: 0, blocks: [] };
  return await runStep(gpu, {
    ...{ n, rows, build: scan.build, read: "to", states: { from, to } },
    ...isApart && { sequences: text.map(() => sequence) },
  });
}

function partOf({ parts }: Scan, text: Text): PartOf {
  return (name) => {
    let start = 0;
    for (const [other, width] of Object.entries(parts)) {
      if (other === name) {
        return Float64Array.from(text.flatMap((row) => [...row.subarray(start, start + width)]));
      }
      start += width;
    }
    throw new Error(`no part ${name}`);
  };
}

/** What the formula gives of the last `count` rows of a text. */
function expectedOf(scan: Scan, text: Text, count: number): Float64Array {
  const all = Float64Array.from(scan.expected(partOf(scan, text)));
  return all.subarray((text.length - count) * scan.width);
}

/**
 * Texts that go on from places which others have left: at the end of a step and within one, in
 * places that were used before, and from nothing.
 */
async function checkScan(gpu: Gpu, scan: Scan): Promise<void> {
  let seed = 1;
  const rows = (n: number): Text =>
    Array.from({ length: n }, () => normals(++seed, columnsOf(scan)));
  const texts = new Map<number, Text>([[NONE, []]]);
  const check = async (from: number, n: number, to: Readonly<Record<number, number>>) => {
    const text = rows(n);
    const tokens = Array.from(text.keys());
    const actual = await runScan(gpu, scan, {
      text,
      from: tokens.map((t) => t === 0 ? from : NONE),
      to: tokens.map((t) => to[t] ?? NONE),
    });
    const whole = [...texts.get(from)!, ...text];
    const expected = expectedOf(scan, whole, n);
    assertNear(
      `${scan.label}: ${n} from ${from}`,
      actual,
      expected,
      (i) => 2e-5 * Math.max(1, Math.abs(expected[i])),
    );
    for (const [t, place] of Object.entries(to)) {
      texts.set(place, whole.slice(0, whole.length - n + Number(t) + 1));
    }
  };
  await check(NONE, 1, { 0: 0 });
  await check(0, 5, { 4: 1 });
  await check(1, 7, { 2: 2, 6: 3 });
  await check(2, 1, { 0: 0 });
  await check(0, 1, { 0: 1 });
  await check(3, 2, { 1: 0 });
  await check(NONE, 3, { 2: 1 });
  await check(1, 1, { 0: 2 });
  // A token of each of three texts, one of which begins.
  const text = rows(3);
  const [from, to] = [[2, NONE, 0], [3, 1, NONE]];
  const run = (first: number, end: number) =>
    runScan(gpu, scan, {
      ...{ text: text.slice(first, end), isApart: true },
      ...{ from: from.slice(first, end), to: to.slice(first, end) },
    });
  const together = await run(0, 3);
  for (const [t, row] of text.entries()) {
    const own = together.slice(t * scan.width, (t + 1) * scan.width);
    const expected = expectedOf(scan, [...texts.get(from[t])!, row], 1);
    assertNear(
      `${scan.label}, text ${t}`,
      own,
      expected,
      (i) => 2e-5 * Math.max(1, Math.abs(expected[i])),
    );
    assertEquals(await run(t, t + 1), own, `${scan.label}, text ${t}: the bits that it has alone`);
  }
  gpu.destroyBuffer(scan.places.buffer);
  scan.buffers.forEach((buffer) => gpu.destroyBuffer(buffer));
}

/** The second kind of Mamba's, or the first: then heads are channels, which have made apart. */
async function stateScan(
  gpu: Gpu,
  { heads, headDim, groups, states, taps = 2 }: {
    heads: number;
    headDim: number;
    groups: number;
    states: number;
    taps?: number;
  },
): Promise<Scan> {
  const isChannels = headDim === 1;
  const channels = heads * headDim;
  const made = groups * states;
  const bias = normals(91, heads);
  const skip = normals(92, heads);
  const decay = normals(93, isChannels ? heads * states : heads).map((x) => -Math.exp(x));
  const vectors = await gpu.createVector("vectors", Float32Array.of(...bias, ...skip, ...decay));
  const places = await createStatePlaces(gpu, "layer", {
    ...{ places: PLACES, taps, convolved: 12, channels, states },
  });
  return {
    label: JSON.stringify({ heads, headDim, groups, states }),
    parts: isChannels
      ? { x: channels, made: 2 * made, steps: heads }
      : { x: channels + 2 * made, steps: heads },
    ...{ width: channels, places, buffers: [vectors] },
    build: (builder, { x, made: apart, steps, to }) => {
      const rows = isChannels ? apart : x;
      const start = isChannels ? 0 : channels;
      scanStates(builder, {
        ...{ x, steps, to, vectors, headDim, places, hasDecayOfStates: isChannels },
        writes: { ...rows, column: start },
        reads: { ...rows, column: start + made },
        groups,
      });
    },
    expected: (partOf) => {
      const rows = partOf("x");
      const width = isChannels ? channels : channels + 2 * made;
      const n = partOf("steps").length / heads;
      const [other, start] = isChannels ? [partOf("made"), 0] : [rows, channels];
      const otherWidth = other.length / n;
      return selectiveScan({
        x: columns(rows, { width, start: 0, length: channels }),
        dt: partOf("steps").map((value, i) => softplus(value + bias[i % heads])),
        ...{ a: decay, d: skip },
        b: columns(other, { width: otherWidth, start, length: made }),
        c: columns(other, { width: otherWidth, start: start + made, length: made }),
        state: new Float64Array(channels * states),
      }, { heads, headDim, groups, states });
    },
  };
}

async function correctedScan(
  gpu: Gpu,
  { heads, headDim, groups, states, inTurns }: {
    heads: number;
    headDim: number;
    groups: number;
    states: number;
    inTurns: boolean;
  },
): Promise<Scan> {
  const epsilon = 1e-3;
  const channels = heads * headDim;
  const keys = groups * states;
  const bias = normals(91, heads);
  const decay = normals(93, heads).map((x) => -Math.exp(x));
  const vectors = await gpu.createVector("vectors", Float32Array.of(...bias, ...decay));
  const width = 2 * keys + channels;
  const taps = normals(94, 3 * width);
  const weights = await gpu.createVector("weights", taps);
  const places = await createStatePlaces(gpu, "layer", {
    ...{ places: PLACES, taps: 3, convolved: width, channels, states },
  });
  return {
    label: JSON.stringify({ heads, headDim, groups, states, inTurns }),
    // What is convolved lies apart.
    parts: { x: width, rows: width, input: 3 * heads },
    ...{ width: channels, places, buffers: [vectors, weights] },
    build: (builder, { x, rows, input, to }) => {
      const queries = { groups, epsilon };
      stateConvolution(builder, { x, to: rows, weights, bias: null, places, queries });
      scanDeltas(builder, {
        ...{ x: rows, to, vectors, headDim, places, groups, inTurns },
        ...{ rates: input, steps: { ...input, column: 2 * heads } },
      });
    },
    expected: (partOf) => {
      const input = partOf("input");
      const x = { x: partOf("x"), weights: taps, bias: null };
      const rows = referenceConvolution(x, { p0: 0, channels: width });
      return deltaScan({
        q: columns(rows, { width, start: 0, length: keys }),
        k: columns(rows, { width, start: keys, length: keys }),
        v: columns(rows, { width, start: 2 * keys, length: channels }),
        dt: columns(input, { width: 3 * heads, start: 2 * heads, length: heads })
          .map((value, i) => softplus(value + bias[i % heads])),
        a: decay,
        beta: columns(input, { width: 3 * heads, start: 0, length: heads }),
        state: new Float64Array(channels * states),
      }, { heads, headDim, states, groups, inTurns, epsilon });
    },
  };
}

async function convolutionOf(
  gpu: Gpu,
  { width, taps, hasBias }: { width: number; taps: number; hasBias: boolean },
): Promise<Scan> {
  const values = normals(91, width * taps);
  const biases = hasBias ? normals(92, width) : null;
  const weights = await gpu.createVector("weights", values);
  const bias = biases && await gpu.createVector("bias", biases);
  const places = await createStatePlaces(gpu, "layer", {
    ...{ places: PLACES, taps, convolved: width, channels: 4, states: 4 },
  });
  return {
    label: JSON.stringify({ width, taps, hasBias }),
    parts: { x: width },
    ...{ width, places, buffers: bias === null ? [weights] : [weights, bias] },
    build: (builder, { x, to }) =>
      stateConvolution(builder, { x, to, weights, bias, places, queries: null }),
    expected: (partOf) =>
      referenceConvolution({ x: partOf("x"), weights: values, bias: biases }, {
        ...{ p0: 0, channels: width },
      }),
  };
}

export const stateCases: readonly GpuCase[] = [
  {
    kernels: ["state_convolution"],
    name: "stateConvolution() goes on behind the rows that a place keeps, and leaves its last ones",
    run: async (gpu) => {
      await checkScan(gpu, await convolutionOf(gpu, { width: 68, taps: 4, hasBias: true }));
      await checkScan(gpu, await convolutionOf(gpu, { width: 4, taps: 2, hasBias: false }));
      // More than a step has tokens.
      await checkScan(gpu, await convolutionOf(gpu, { width: 64, taps: 9, hasBias: true }));
    },
  },
  {
    kernels: ["scan_states"],
    name: "scanStates() goes on with states of heads, of all lengths, in groups or not",
    run: async (gpu) => {
      await checkScan(gpu, await stateScan(gpu, { heads: 3, headDim: 4, groups: 1, states: 4 }));
      await checkScan(gpu, await stateScan(gpu, { heads: 4, headDim: 20, groups: 2, states: 20 }));
      await checkScan(gpu, await stateScan(gpu, { heads: 2, headDim: 64, groups: 2, states: 128 }));
      await checkScan(gpu, await stateScan(gpu, { heads: 1, headDim: 36, groups: 1, states: 256 }));
    },
  },
  {
    kernels: ["scan_states"],
    name: "scanStates() goes on with states of channels, each of whose numbers has its own decay",
    run: async (gpu) => {
      const channels = { headDim: 1, groups: 1 };
      await checkScan(gpu, await stateScan(gpu, { ...channels, heads: 260, states: 16 }));
      await checkScan(gpu, await stateScan(gpu, { ...channels, heads: 8, states: 4 }));
      await checkScan(gpu, await stateScan(gpu, { ...channels, heads: 100, states: 36 }));
    },
  },
  {
    kernels: ["state_convolution", "scan_deltas"],
    name:
      "scanDeltas() corrects states by keys of length 1 of their groups, neighbours or in turns",
    run: async (gpu) => {
      const few = { heads: 6, headDim: 12, groups: 2, states: 20 };
      await checkScan(gpu, await correctedScan(gpu, { ...few, inTurns: true }));
      await checkScan(gpu, await correctedScan(gpu, { ...few, inTurns: false }));
      const wide = { heads: 2, headDim: 132, groups: 1, states: 128, inTurns: true };
      await checkScan(gpu, await correctedScan(gpu, wide));
      const one = { heads: 1, headDim: 4, groups: 1, states: 4, inTurns: false };
      await checkScan(gpu, await correctedScan(gpu, one));
      await checkScan(gpu, await correctedScan(gpu, { ...one, headDim: 20, states: 256 }));
    },
  },
];
