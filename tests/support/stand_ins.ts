/**
 * Pipelines that are made as something is dispatched by them. A model's program has one for each
 * count of tokens, a test dispatches some, and Mesa takes as long to read a shader as LLVM to
 * compile it: what nothing is dispatched by costs half of it otherwise.
 */

/** What a stand-in is for. */
export interface Made {
  readonly pipeline: GPUComputePipeline;
  /** Bound beside the pipeline's own, at `SIZES_GROUP`. */
  readonly sizes?: GPUBindGroup;
}

/** The second group of bindings. */
export const SIZES_GROUP = 1;

const making = new WeakMap<GPUComputePipeline, () => Made>();
let dispatches = false;

/** What stands for a pipeline until something is dispatched by it. */
export function standIn(label: string | undefined, make: () => Made): GPUComputePipeline {
  let made: Made | undefined;
  const own = { label } as GPUComputePipeline;
  making.set(own, () => made ??= make());
  dispatchStandIns();
  return own;
}

/** All pipelines of this thread are made so from now on. */
export function pipelinesAsDispatched(): void {
  if (!("GPUDevice" in globalThis)) return;
  const device = GPUDevice.prototype;
  const { createComputePipeline } = device;
  device.createComputePipeline = function (descriptor) {
    return standIn(descriptor.label, () => ({
      pipeline: createComputePipeline.call(this, descriptor),
    }));
  };
}

function dispatchStandIns(): void {
  if (dispatches) return;
  dispatches = true;
  const pass = GPUComputePassEncoder.prototype;
  const { setPipeline, dispatchWorkgroups, dispatchWorkgroupsIndirect } = pass;
  const waiting = new WeakMap<GPUComputePassEncoder, GPUComputePipeline>();
  const make = (encoder: GPUComputePassEncoder) => {
    const own = waiting.get(encoder);
    if (own === undefined) return;
    waiting.delete(encoder);
    const { pipeline, sizes } = making.get(own)!();
    setPipeline.call(encoder, pipeline);
    if (sizes !== undefined) encoder.setBindGroup(SIZES_GROUP, sizes);
  };
  pass.setPipeline = function (given) {
    if (making.has(given)) waiting.set(this, given);
    else setPipeline.call(this, given);
  };
  pass.dispatchWorkgroups = function (...counts) {
    make(this);
    dispatchWorkgroups.apply(this, counts);
  };
  pass.dispatchWorkgroupsIndirect = function (...where) {
    make(this);
    dispatchWorkgroupsIndirect.apply(this, where);
  };
}
