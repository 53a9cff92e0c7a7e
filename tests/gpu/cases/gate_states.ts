/** The gate behind scans, with norms before it or behind it, and rows in 8 bits for products. */
import { gateStates, type Gpu, matmul } from "../../../gpu/mod.ts";
import { matmul as referenceMatmul, rmsNorm } from "../../../src/reference/ops.ts";
import { runStep } from "../../support/gpu.ts";
import { assertNear, normals } from "./compare.ts";
import { asRead, makeMatrix, reading } from "./readings.ts";
import type { GpuCase } from "./types.ts";

interface GateShape {
  readonly channels: number;
  readonly width: number;
  readonly place: "behindGate" | "beforeGate" | "none";
}

/** Gates rows, which may be multiplied by a matrix in 8 bits behind it. */
async function checkGate(gpu: Gpu, shape: GateShape, hasProduct = false): Promise<void> {
  const { channels, width, place } = shape;
  const n = 3;
  const epsilon = 1e-3;
  const x = normals(1, n * channels);
  const gates = normals(2, n * channels, 3);
  gates.set([-200, 200], 0);
  const values = normals(3, place === "behindGate" ? channels : width);
  const weight = await gpu.createVector("weights", values);
  const norm = place === "none" ? null : { place, weight, width, epsilon };
  const { matrix, values: all } = await makeMatrix(
    gpu,
    { type: hasProduct ? "Q4_0" : "F32", rows: 36, columns: channels },
    4,
  );
  const actual = await runStep(gpu, {
    n,
    rows: {
      x: { values: x, width: channels },
      gates: { values: gates, width: channels },
      to: { values: new Float32Array(n * 36), width: 36 },
    },
    build: (builder, { x, gates, to }) => {
      gateStates(builder, { x, channels, gates, norm });
      if (hasProduct) matmul(builder, { matrix, x, to });
    },
    read: hasProduct ? "to" : "x",
  });
  const expected = gatedOf(shape, { x, gates, values, epsilon });
  if (hasProduct) {
    const rows = asRead(expected, "int8");
    const sizes = referenceMatmul(all.map(Math.abs), rows.map(Math.abs), channels);
    // A value that lies between two steps of 8 bits may go to either.
    assertNear(
      `${place} ${channels}`,
      actual,
      referenceMatmul(all, rows, channels),
      (i) => 1e-3 * (sizes[i] + 1),
    );
  } else {
    assertNear(
      `${place} ${channels}`,
      actual,
      expected,
      (i) => 1e-5 * Math.max(1, Math.abs(expected[i])),
    );
  }
  matrix.destroy();
  gpu.destroyBuffer(weight);
}

function gatedOf(
  { width, place }: GateShape,
  { x, gates, values, epsilon }: {
    x: Float32Array;
    gates: Float32Array;
    values: Float32Array;
    epsilon: number;
  },
): ArrayLike<number> {
  const silu = gates.map((gate) => gate / (1 + Math.exp(-gate)));
  const normed = (rows: Float32Array) =>
    rmsNorm(rows, new Float64Array(width).fill(1), epsilon).map((value, i) =>
      value * values[i % values.length]
    );
  const gated = x.map((value, i) => value * silu[i]);
  if (place === "none") return gated;
  return place === "behindGate" ? normed(gated) : normed(x).map((value, i) => value * silu[i]);
}

export const gateCases: readonly GpuCase[] = [
  {
    kernels: ["gate_states"],
    name: "gateStates() gates what scans give, and normalises parts of it before that or behind it",
    run: async (gpu) => {
      for (const [channels, width] of [[12, 4], [192, 96], [600, 300], [1024, 512]]) {
        await checkGate(gpu, { channels, width, place: "behindGate" });
        await checkGate(gpu, { channels, width, place: "beforeGate" });
        await checkGate(gpu, { channels, width, place: "none" });
      }
      await reading(gpu, "int8", async () => {
        await checkGate(gpu, { channels: 192, width: 96, place: "behindGate" }, true);
        await checkGate(gpu, { channels: 128, width: 32, place: "beforeGate" }, true);
        await checkGate(gpu, { channels: 320, width: 1, place: "none" }, true);
        // Pieces of 32 columns do not end where parts do.
        await checkGate(gpu, { channels: 192, width: 48, place: "beforeGate" }, true);
      });
    },
  },
];
