/**
 * The shaders in a browser: Chromium's compiler is not Deno's. A page compiles all of them and runs
 * one; it posts what it saw. Skips where Chromium is not installed.
 */
import { assertEquals } from "@std/assert";
import { KERNEL_LIST } from "../../gpu/kernels.ts";
import { shaderText } from "../../gpu/pipelines.ts";
import { encodeBlocks } from "../../gpu/weights/encode.ts";
import { weightFormat } from "../../gpu/mod.ts";
import { dequantize } from "../../src/model/mod.ts";
import { encodeWeights } from "../../src/quantize/mod.ts";
import { matmul } from "../../src/reference/ops.ts";
import { askChromium, chromiumTest } from "../support/chromium.ts";
import { assertNear, normals } from "./cases/compare.ts";

/** What the page finds out. */
interface Report {
  /** What went wrong: a Chromium without WebGPU, too, or nobody would know that nothing is run. */
  readonly failure?: string;
  /** "name: what the compiler says" of shaders that do not compile. */
  readonly refused: readonly string[];
  /** Shaders that need what the adapter does not have. */
  readonly skipped: readonly string[];
  /** What the product came to. */
  readonly product: readonly number[];
}

const ROWS = 10;
const COLUMNS = 64;

chromiumTest("every shader compiles in Chromium, and a product is right there", async () => {
  const bytes = encodeWeights("Q4_0", normals(1, ROWS * COLUMNS));
  const x = normals(2, COLUMNS);
  const report = await askChromium<Report>({ "/index.html": makePage(bytes, x) });
  assertEquals(report.failure, undefined);
  assertEquals(report.refused, []);
  const needy = Object.keys(KERNEL_LIST).filter((name) => KERNELS[name].needs !== undefined);
  assertEquals(report.skipped.filter((name) => !needy.includes(name)), []);
  const expected = matmul(dequantize("Q4_0", bytes), x, COLUMNS);
  assertNear("product", report.product, expected, 1e-4);
});

const KERNELS: Readonly<
  Record<string, { readonly needs?: readonly string[]; readonly text: string }>
> = KERNEL_LIST;

/** The page: shaders, one product's inputs, and a script that tries them. */
function makePage(bytes: Uint8Array, x: Float32Array): string {
  const { codes, factors } = encodeBlocks("Q4_0", bytes, weightFormat("Q4_0", COLUMNS)!);
  const kernels = Object.entries(KERNEL_LIST).map(([name, kernel]) => ({
    name,
    needs: kernel.needs ?? null,
    text: shaderText(kernel, false),
    constants: requiredConstants(kernel.text),
  }));
  const product = {
    buffers: [[1, ...Array(11).fill(0)], words(codes), words(factors), [0, 0, 0, 0], words(x)],
    constants: {
      ROWS,
      PIECES: COLUMNS / 32,
      ROW_PIECES: COLUMNS / 32,
      MIDDLE: 8,
      X_START: 0,
      X_STRIDE: COLUMNS / 4,
      TO_START: 0,
      TO_STRIDE: ROWS,
    },
    rows: ROWS,
  };
  const data = JSON.stringify({ kernels, product });
  return `<!doctype html><script type="module">const data = ${data};\n${PAGE_SCRIPT}</script>`;
}

function words(data: Uint8Array | Float32Array): number[] {
  return [...new Uint32Array(data.buffer, data.byteOffset, data.byteLength / 4)];
}

/** Values for overrides that have none of their own: small, and legal as divisors, too. */
function requiredConstants(text: string): Record<string, number> {
  const found = text.matchAll(/^override (\w+): \w+;/gm);
  return Object.fromEntries([...found].map(([, name]) => [name, 32]));
}

const PAGE_SCRIPT = `
const post = (report) => fetch("/report", { method: "POST", body: JSON.stringify(report) });
try {
  const adapter = await navigator.gpu?.requestAdapter();
  if (!adapter) await post({ failure: "Chromium has no adapter" });
  else await post(await look(adapter));
} catch (error) {
  await post({ failure: String(error) });
}
async function look(adapter) {
  const feature = { f16: "shader-f16", subgroups: "subgroups" };
  const wanted = Object.values(feature).filter((name) => adapter.features.has(name));
  const { maxComputeWorkgroupStorageSize, maxStorageBuffersPerShaderStage } = adapter.limits;
  const requiredLimits = { maxComputeWorkgroupStorageSize, maxStorageBuffersPerShaderStage };
  const device = await adapter.requestDevice({ requiredFeatures: wanted, requiredLimits });
  const refused = [], skipped = [];
  for (const { name, needs, text, constants } of data.kernels) {
    const isMissing = (need) => feature[need] && !device.features.has(feature[need]);
    if (needs && needs.some(isMissing)) { skipped.push(name); continue; }
    const module = device.createShaderModule({ code: text });
    const { messages } = await module.getCompilationInfo();
    const errors = messages.filter(({ type }) => type === "error");
    for (const { lineNum, message } of errors) refused.push(name + ":" + lineNum + ": " + message);
    if (errors.length > 0) continue;
    device.pushErrorScope("validation");
    device.createComputePipeline({ layout: "auto", compute: { module, constants } });
    const error = await device.popErrorScope();
    if (error) refused.push(name + ": " + error.message);
  }
  return { refused, skipped, product: await multiply(device) };
}
async function multiply(device) {
  const { buffers, constants, rows } = data.product;
  const code = data.kernels.find(({ name }) => name === "matvec_nibble").text;
  const module = device.createShaderModule({ code });
  const entry = (type, binding) =>
    ({ binding, visibility: GPUShaderStage.COMPUTE, buffer: { type } });
  const types = ["uniform", "read-only-storage", "read-only-storage", "read-only-storage",
    "storage", "storage"];
  const layout = device.createBindGroupLayout({ entries: types.map(entry) });
  const pipeline = device.createComputePipeline({
    layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module, constants },
  });
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
  const made = buffers.map((words, i) => {
    const buffer = device.createBuffer({
      size: words.length * 4, usage: i === 0 ? GPUBufferUsage.UNIFORM | 8 : usage });
    device.queue.writeBuffer(buffer, 0, new Uint32Array(words));
    return buffer;
  });
  made.push(device.createBuffer({ size: rows * 4, usage }));
  const entries = made.map((buffer, binding) => ({ binding, resource: { buffer } }));
  const group = device.createBindGroup({ layout, entries });
  const back = device.createBuffer({ size: rows * 4, usage: GPUBufferUsage.MAP_READ | 8 });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  pass.dispatchWorkgroups(Math.ceil(rows / 4));
  pass.end();
  encoder.copyBufferToBuffer(made[5], 0, back, 0, rows * 4);
  device.queue.submit([encoder.finish()]);
  await back.mapAsync(GPUMapMode.READ);
  return [...new Float32Array(back.getMappedRange())];
}
`;
