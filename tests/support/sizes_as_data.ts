/**
 * Shaders whose sizes are data. A size is a constant of a shader (`override`), so each shape of a
 * model is a pipeline of its own, and in software to compile it takes longer than all that tests
 * compute by it. Here what says how much, where and whether is read from a buffer, and shapes share
 * pipelines, in a process and by Mesa's cache on disk; what loops are unrolled by, what is chosen
 * within them, and lengths of arrays stay constants. The text is the product's, and it is still
 * read and validated with all constants, for with some of them a host refuses it (a division by
 * zero, an index beyond an array): that costs 2 ms, a pipeline 50 to 1,000. Compiled with all
 * constants are the first shape of each shader and choice where a file says so (`afterFirst`:
 * gpu/kernels_test.ts, of many shaders the first one alone, and gpu_golden_test.ts in
 * `test:deep`), and all shapes of some whole
 * answers (gpu_memory_test.ts, rank/gpu_rank_test.ts, rank/token_chain_test.ts).
 */
import { SIZES_GROUP, standIn } from "./stand_ins.ts";

/** Constants, by name. */
type Constants = Readonly<Record<string, number>>;

/** An `override` of a shader. */
interface Override {
  readonly name: string;
  readonly type: "u32" | "f32" | "bool";
  /** Left out: who makes a pipeline has to say it. */
  readonly value: number | undefined;
}

/** A shader, and what of it is data. */
interface Shader {
  /** Its text, where everything is constant. */
  readonly text: string;
  /** By what is constant; null: it was met once, and compiled with all constants then. */
  readonly pipelines: Map<string, GPUComputePipeline | null>;
  /** With all constants is compiled what is met first, of all choices. */
  readonly isOnce: boolean;
  readonly data: readonly Override[];
}

/** Numbers by which loops are unrolled, or that choose what is done most often. */
const CHOICES = [
  ...["FACTORS", "GROUP", "KIND", "LANES", "LEVELS", "ROW_LANES", "SIDE", "SPLITS", "TILE"],
  "TOKENS",
];
/** Shaders with this one have so much code for each choice that all of it takes longest. */
const COPIES = /^override IS_COPIED\b/m;
const OVERRIDE = /^override (\w+): (u32|f32|bool)(?: = ([\w.-]+))?;/gm;
const LAYOUT: GPUBindGroupLayoutDescriptor = {
  label: "sizes",
  entries: [{ binding: 0, visibility: 4, buffer: { type: "uniform" } }],
};

const shaders = new WeakMap<GPUShaderModule, Shader>();
const layouts = new WeakMap<GPUDevice, GPUBindGroupLayout>();
const givenLayouts = new WeakMap<GPUPipelineLayout, GPUPipelineLayout>();
/** Texts with all constants that a device of this thread has read. */
const validated = new Set<string>();

/** How a thread has its sizes as data. */
export interface SizesOptions {
  /** The first shape of each shader and choice is compiled with all constants. */
  readonly afterFirst?: boolean;
  /** Names of shaders of which that is the first one of all choices. */
  readonly once?: RegExp;
}

let chosen: SizesOptions | null = null;

/** How this thread's shaders have their sizes as data; null: they have not. */
export function chosenSizes(): SizesOptions | null {
  return chosen;
}

/** Of every device of this thread that makes shaders from now on; of threads of a pool, too. */
export function sizesAsData(options: SizesOptions = {}): void {
  if (chosen !== null || !("GPUDevice" in globalThis)) return;
  chosen = options;
  const { afterFirst = false, once } = options;
  const device = GPUDevice.prototype;
  const { createShaderModule, createPipelineLayout, createComputePipeline } = device;
  device.createShaderModule = function (descriptor) {
    const { code, data } = readData(descriptor.code);
    const module = createShaderModule.call(this, { ...descriptor, code });
    if (data.length > 0) {
      const isOnce = once?.test(descriptor.label ?? "") ?? false;
      shaders.set(module, { text: descriptor.code, pipelines: new Map(), data, isOnce });
    }
    return module;
  };
  device.createPipelineLayout = function (descriptor) {
    const layout = createPipelineLayout.call(this, descriptor);
    const bindGroupLayouts = [...descriptor.bindGroupLayouts, sizesLayout(this)];
    givenLayouts.set(layout, createPipelineLayout.call(this, { ...descriptor, bindGroupLayouts }));
    return layout;
  };
  device.createComputePipeline = function (descriptor) {
    const { label, layout, compute } = descriptor;
    const shader = shaders.get(compute.module);
    if (shader === undefined) {
      return standIn(label, () => ({ pipeline: createComputePipeline.call(this, descriptor) }));
    }
    const { values, constants } = divide(shader.data, compute.constants ?? {});
    const key = JSON.stringify(constants);
    const isMet = shader.isOnce ? shader.pipelines.size > 0 : shader.pipelines.has(key);
    if (afterFirst && !isMet) {
      shader.pipelines.set(key, null);
      return standIn(label, () => {
        const module = createShaderModule.call(this, { code: shader.text });
        const whole = { ...descriptor, compute: { ...compute, module } };
        return { pipeline: createComputePipeline.call(this, whole) };
      });
    }
    const text = withConstants(shader.text, compute.constants ?? {});
    if (!validated.has(text)) createShaderModule.call(this, { code: text });
    validated.add(text);
    return standIn(label, () => {
      const pipeline = shader.pipelines.get(key) ?? createComputePipeline.call(this, {
        ...descriptor,
        layout: layout === "auto" ? layout : givenLayouts.get(layout)!,
        compute: { ...compute, constants },
      });
      shader.pipelines.set(key, pipeline);
      return { pipeline, sizes: makeGroup(this, shader.data, values) };
    });
  };
}

/** The text of a shader with sizes as data. */
export function readData(code: string): { code: string; data: Override[] } {
  const data: Override[] = [];
  const isLarge = COPIES.test(code);
  const others = code.replaceAll(
    OVERRIDE,
    (line, name: string, type: Override["type"], value?: string) => {
      const isChoice = CHOICES.includes(name) ||
        isLarge && (type === "bool" || name === "ACTIVATION");
      if (isChoice || isLength(code, name)) return line;
      data.push({ name, type, value: value === undefined ? undefined : numberOf(value) });
      return "";
    },
  );
  if (data.length === 0) return { code, data };
  const types = new Map(data.map(({ name, type }) => [name, type]));
  const names = new RegExp(`\\b(${[...types.keys()].join("|")})\\b`, "g");
  const used = others.replaceAll(names, (name) => {
    return types.get(name) === "bool" ? `(sizes_.${name} != 0u)` : `sizes_.${name}`;
  });
  // A bool cannot lie in a buffer.
  const members = data.map(({ name, type }) => `${name}: ${type === "f32" ? "f32" : "u32"}`);
  const declared = `struct Sizes_ { ${members.join(", ")} }\n` +
    `@group(${SIZES_GROUP}) @binding(0) var<uniform> sizes_: Sizes_;\n`;
  return { code: `${used}\n${declared}`, data };
}

function numberOf(value: string): number {
  return value === "true" ? 1 : value === "false" ? 0 : Number(value);
}

/** An array's length, or a workgroup's, has to be constant. */
function isLength(code: string, name: string): boolean {
  return new RegExp(`array<.*, ${name}>|@workgroup_size\\(${name}\\)`).test(code);
}

function sizesLayout(device: GPUDevice): GPUBindGroupLayout {
  const layout = layouts.get(device) ?? device.createBindGroupLayout(LAYOUT);
  layouts.set(device, layout);
  return layout;
}

/** @throws {TypeError} where one has no value. */
function divide(data: readonly Override[], given: Constants) {
  const constants: Record<string, number> = { ...given };
  const values = data.map(({ name, value }) => {
    const number = constants[name] ?? value;
    delete constants[name];
    if (number === undefined) throw new TypeError(`the constant ${name} has no value`);
    return number;
  });
  return { values, constants };
}

/** The text in which constants have these values. */
function withConstants(text: string, given: Constants): string {
  return text.replaceAll(OVERRIDE, (line, name: string, type: string, value?: string) => {
    const number = given[name] ?? (value === undefined ? undefined : numberOf(value));
    if (number === undefined) return line;
    const literal = type === "bool"
      ? `${number !== 0}`
      : type === "f32"
      ? `f32(${number})`
      : `${number}u`;
    return `const ${name}: ${type} = ${literal};`;
  });
}

function makeGroup(
  device: GPUDevice,
  data: readonly Override[],
  values: readonly number[],
): GPUBindGroup {
  const bytes = new ArrayBuffer(16 * Math.ceil(values.length / 4));
  const [words, floats] = [new Uint32Array(bytes), new Float32Array(bytes)];
  values.forEach((value, i) => (data[i].type === "f32" ? floats : words)[i] = value);
  const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST;
  const buffer = device.createBuffer({ label: "sizes", size: bytes.byteLength, usage });
  device.queue.writeBuffer(buffer, 0, bytes);
  const entries = [{ binding: 0, resource: { buffer } }];
  return device.createBindGroup({ layout: sizesLayout(device), entries });
}
