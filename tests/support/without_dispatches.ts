/**
 * Steps whose commands are made and sent, and compute nothing: in software a shader is compiled
 * when it is first dispatched, which takes longer than all else that who counts commands waits for.
 */

/** What `run` encodes has no dispatches. */
export async function withoutDispatches<T>(run: () => Promise<T>): Promise<T> {
  const pass = GPUComputePassEncoder.prototype;
  const { dispatchWorkgroups, dispatchWorkgroupsIndirect } = pass;
  pass.dispatchWorkgroups = () => {};
  pass.dispatchWorkgroupsIndirect = () => {};
  try {
    return await run();
  } finally {
    Object.assign(pass, { dispatchWorkgroups, dispatchWorkgroupsIndirect });
  }
}
