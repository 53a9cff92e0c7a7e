/**
 * What a decoded token costs the CPU when the GPU computes: encoding and submitting the dispatches
 * of a model of 32 layers whose sizes are so small that the GPU has next to nothing to do. All of a
 * step is one slice: software that computes while slices are encoded would be measured, too.
 *
 *   deno run --no-prompt --allow-read --allow-env tests/bench/gpu_overhead.ts
 */
import {
  activate,
  attention,
  attentionScratchBytes,
  createKvCache,
  createMatrix,
  createReadBack,
  createStepInput,
  embed,
  fromColumn,
  type Gpu,
  matmul,
  norm,
  openGpu,
  ProgramBuilder,
  rotateAndRemember,
  type Rows,
} from "../../gpu/mod.ts";

const LAYERS = 32;
const STEPS = 200;
const WARM_UP = 20;
/** Width, heads, key/value heads, their dimensions, neurons, vocabulary, context. */
const SIZE = { d: 64, heads: 4, kvHeads: 2, headDim: 16, neurons: 64, vocab: 64, context: 512 };

if (import.meta.main) await measure();

async function measure(): Promise<void> {
  const gpu = await openGpu({ adapter: "fallback-allowed" });
  const { program, input, logits } = await makeModel(gpu);
  const back = await createReadBack(gpu, SIZE.vocab * 4);
  const read = { to: back, from: logits.buffer, offsetBytes: 0, bytes: SIZE.vocab * 4 };
  const out = new Float32Array(SIZE.vocab);
  const submitting: number[] = [];
  const whole: number[] = [];
  for (let i = 0; i < WARM_UP + STEPS; i++) {
    const step = { n: 1, position: i, m: 1 };
    const start = performance.now();
    input.write(step, [i % SIZE.vocab]);
    program.run(step, read);
    const submitted = performance.now();
    back.readInto(out);
    if (i < WARM_UP) continue;
    submitting.push(submitted - start);
    whole.push(performance.now() - start);
  }
  const dispatches = program.dispatchCount({ n: 1, position: WARM_UP, m: 1 });
  console.log(`${gpu.info.description}, ${LAYERS} layers, ${dispatches} dispatches a token`);
  console.log(`encode and submit: ${summary(submitting)}; with the GPU's work: ${summary(whole)}`);
  gpu.close();
}

function summary(samples: number[]): string {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))].toFixed(3);
  return `median ${at(0.5)} ms, 90 % ${at(0.9)} ms, least ${at(0)} ms`;
}

async function makeModel(gpu: Gpu) {
  const { d, heads, kvHeads, headDim, neurons, vocab, context } = SIZE;
  const frequencies = { inverseFrequencies: new Float64Array(headDim / 2).fill(0.1), magnitude: 1 };
  const input = await createStepInput(gpu, {
    ...{ maxTokens: 1, ropes: [frequencies], contextLength: context },
  });
  const rows = async (width: number): Promise<Rows> => {
    const buffer = await gpu.createBuffer("rows", width * 4, 0x80 | 0x08 | 0x04);
    return { buffer, offsetBytes: 0, sizeBytes: width * 4, stride: width };
  };
  const matrix = (rowCount: number, columns: number) =>
    createMatrix(gpu, "w", { type: "Q4_0", rows: rowCount, columns });
  const qkvWidth = (heads + 2 * kvHeads) * headDim;
  const [x, h, qkv, attended, gateUp, hidden, logits] = await Promise.all(
    [d, d, qkvWidth, heads * headDim, 2 * neurons, neurons, vocab].map(rows),
  );
  const weight = await gpu.createVector("norm", new Float32Array(d).fill(1));
  const bytes = attentionScratchBytes({ heads, headDim, positions: context, maxTokens: 1 });
  const scratch = await gpu.createBuffer("scratch", bytes);
  const builder = new ProgramBuilder(gpu, input);
  const normed = (from: Rows, to: Rows) =>
    norm(builder, { kind: "rms", epsilon: 1e-5, width: d, weight, from, to });

  embed(builder, { matrix: await matrix(vocab, d), to: x });
  for (let layer = 0; layer < LAYERS; layer++) {
    const cache = await createKvCache(gpu, "kv", {
      positions: context,
      kvHeads,
      headDim,
      type: "f16",
    });
    normed(x, h);
    const widths = [heads * headDim, kvHeads * headDim, kvHeads * headDim];
    for (let part = 0, column = 0; part < 3; column += widths[part++]) {
      matmul(builder, { matrix: await matrix(widths[part], d), x: h, to: fromColumn(qkv, column) });
    }
    rotateAndRemember(builder, { x: qkv, heads, cache, rope: { index: 0, kind: "norm" } });
    attention(builder, { x: qkv, to: attended, heads, groupSize: 2, cache, scale: 0.25, scratch });
    const output = await matrix(d, heads * headDim);
    matmul(builder, { matrix: output, x: attended, to: x, accumulate: true });
    normed(x, h);
    matmul(builder, { matrix: await matrix(neurons, d), x: h, to: gateUp });
    matmul(builder, { matrix: await matrix(neurons, d), x: h, to: fromColumn(gateUp, neurons) });
    activate(builder, { x: gateUp, to: hidden, neurons, activation: "silu", isGated: true });
    matmul(builder, { matrix: await matrix(d, neurons), x: hidden, to: x, accumulate: true });
  }
  normed(x, h);
  matmul(builder, { matrix: await matrix(vocab, d), x: h, to: logits, count: "scored" });
  return { program: await builder.build([{ n: 1, position: 0, m: 1 }]), input, logits };
}
