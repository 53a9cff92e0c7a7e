/**
 * Compute pipelines, each made once: a shader and its override constants. Knows the hosts'
 * differences in WGSL; nothing of what shaders compute.
 */
import { type Kernel, KERNEL_LIST, type KernelName } from "./kernels.ts";

/** Values of a shader's `override`s. */
export type Constants = Readonly<Record<string, number | boolean>>;

export class Pipelines {
  readonly #device: GPUDevice;
  readonly #modules = new Map<KernelName, GPUShaderModule>();
  readonly #layouts = new Map<string, GPUBindGroupLayout>();
  readonly #pipelines = new Map<string, GPUComputePipeline>();

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** How many were made. */
  get count(): number {
    return this.#pipelines.size;
  }

  /** Whether a shader was used at all. */
  hasCompiled(name: KernelName): boolean {
    return this.#modules.has(name);
  }

  /** The pipeline of a shader with these constants. */
  get(name: KernelName, constants: Constants): GPUComputePipeline {
    const key = `${name} ${JSON.stringify(constants)}`;
    const made = this.#pipelines.get(key);
    if (made) return made;
    const numbers = Object.fromEntries(
      Object.entries(constants).map(([constant, value]) => [constant, Number(value)]),
    );
    const pipeline = this.#device.createComputePipeline({
      label: key,
      layout: this.#device.createPipelineLayout({ bindGroupLayouts: [this.layout(name)] }),
      compute: { module: this.#module(name), entryPoint: "main", constants: numbers },
    });
    this.#pipelines.set(key, pipeline);
    return pipeline;
  }

  /** The layout of a shader's bindings. */
  layout(name: KernelName): GPUBindGroupLayout {
    const { bindings } = KERNEL_LIST[name];
    const made = this.#layouts.get(bindings);
    if (made) return made;
    const layout = this.#device.createBindGroupLayout({
      label: bindings,
      entries: [...bindings].map((letter, binding) => ({
        binding,
        visibility: GPUShaderStage.COMPUTE,
        buffer: { type: BUFFER_TYPES[letter] },
      })),
    });
    this.#layouts.set(bindings, layout);
    return layout;
  }

  #module(name: KernelName): GPUShaderModule {
    const made = this.#modules.get(name);
    if (made) return made;
    const code = shaderText(KERNEL_LIST[name]);
    const module = this.#device.createShaderModule({ label: name, code });
    this.#modules.set(name, module);
    return module;
  }
}

const BUFFER_TYPES: Readonly<Record<string, GPUBufferBindingType>> = {
  u: "uniform",
  r: "read-only-storage",
  w: "storage",
};

/**
 * The text for this host: a shader that uses subgroups must say so in browsers, and must not in
 * Deno, whose compiler does not know the words.
 */
export function shaderText({ text, needs = [] }: Kernel, isDeno = "Deno" in globalThis): string {
  if (needs.includes("f16")) return `enable f16;\n${text}`;
  if (needs.includes("subgroups") && !isDeno) return `enable subgroups;\n${text}`;
  return text;
}
