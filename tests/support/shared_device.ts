/**
 * One GPU device for all engines that a thread has in turn, and each of its shaders compiled once:
 * in software a shader takes longer to compile than all that tests compute by it. An engine that
 * gives its memory back leaves the device; one that destroys it, as tests of lost GPUs do, ends it,
 * and the next one gets another.
 */

/** What of a device is made once: by what its descriptor says. */
interface Made {
  readonly modules: Map<string, GPUShaderModule>;
  readonly pipelines: Map<string, GPUComputePipeline>;
}

/** Makes the thread share its device from now on. close: ends it; false: there was none. */
export function sharedDevice(): { readonly close: () => boolean } {
  let shared: GPUDevice | null = null;
  const source = globalThis.navigator?.gpu;
  const requestAdapter = source?.requestAdapter.bind(source);
  const replaced = async (options?: GPURequestAdapterOptions) => {
    const adapter = await requestAdapter(options);
    if (adapter === null) return null;
    await keepDevices();
    const requestDevice = adapter.requestDevice.bind(adapter);
    const shareDevice = async (descriptor?: GPUDeviceDescriptor) => {
      if (shared !== null) return shared;
      const device = makeOnce(await requestDevice(descriptor));
      device.lost.then(() => shared === device && (shared = null));
      return shared = device;
    };
    return Object.defineProperty(adapter, "requestDevice", { value: shareDevice });
  };
  if (source) Object.defineProperty(source, "requestAdapter", { value: replaced });
  const close = () => {
    shared?.destroy();
    return shared !== null;
  };
  return { close };
}

let isKept = false;

/** What closes a GPU destroys its buffers, and leaves the device. */
async function keepDevices(): Promise<void> {
  if (isKept) return;
  isKept = true;
  const { Gpu } = await import("../../gpu/mod.ts");
  const closeAll = Gpu.prototype.close;
  Gpu.prototype.close = function () {
    Object.defineProperty(this.device, "destroy", { value: () => {}, configurable: true });
    closeAll.call(this);
    Reflect.deleteProperty(this.device, "destroy");
  };
}

/** Modules and pipelines of the device are made once. */
function makeOnce(device: GPUDevice): GPUDevice {
  const { modules, pipelines }: Made = { modules: new Map(), pipelines: new Map() };
  const numbers = new Map<GPUShaderModule, number>();
  const createModule = device.createShaderModule.bind(device);
  const createPipeline = device.createComputePipeline.bind(device);
  Object.defineProperty(device, "createShaderModule", {
    value: (descriptor: GPUShaderModuleDescriptor) => {
      let made = modules.get(descriptor.code);
      if (made === undefined) {
        made = createModule(descriptor);
        numbers.set(made, numbers.size);
        modules.set(descriptor.code, made);
      }
      return made;
    },
  });
  Object.defineProperty(device, "createComputePipeline", {
    value: (descriptor: GPUComputePipelineDescriptor) => {
      const { module, constants } = descriptor.compute;
      // Layouts follow from the shader: pipelines.ts.
      const key = `${numbers.get(module)} ${JSON.stringify(constants)}`;
      let made = pipelines.get(key);
      if (made === undefined) pipelines.set(key, made = createPipeline(descriptor));
      return made;
    },
  });
  return device;
}
