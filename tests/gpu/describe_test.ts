import { assertEquals, assertMatch } from "@std/assert";
import { describeGpu } from "../../gpu/mod.ts";

Deno.test("describeGpu() answers on this machine, whatever it has", async () => {
  const gpu = await describeGpu();
  assertEquals(gpu.available, gpu.adapter !== undefined);
  assertEquals(gpu.available, gpu.reason === undefined);
  if (gpu.limits) assertEquals(gpu.limits.maxBufferSize > 0, true);
});

Deno.test("describeGpu() gives a reason when there is no adapter", async () => {
  const gpu = await describeGpu({ gpu: { requestAdapter: () => Promise.resolve(null) } });
  assertEquals(gpu.available, false);
  assertMatch(gpu.reason!, /no adapter/);
});

Deno.test("describeGpu() turns a driver that throws into a reason", async () => {
  const requestAdapter = () => Promise.reject(new Error("driver fell over"));
  assertEquals(await describeGpu({ gpu: { requestAdapter } }), {
    available: false,
    reason: "driver fell over",
  });
});

Deno.test("describeGpu() does not wait for a driver that never answers", async () => {
  const requestAdapter = () => new Promise<null>(() => {});
  const gpu = await describeGpu({ gpu: { requestAdapter }, timeoutMs: 10 });
  assertMatch(gpu.reason!, /did not answer in 10 ms/);
});

Deno.test("describeGpu() lists adapter, limits and features of what it finds", async () => {
  // Like the real ones: enumerable getters of the prototype, not properties of the object.
  const limits = Object.create({
    get maxBufferSize() {
      return 4096;
    },
  });
  const info = {
    vendor: "acme",
    architecture: "",
    device: "",
    description: "rocket",
    isFallbackAdapter: true,
  };
  const adapter = {
    info,
    limits,
    features: new Set(["shader-f16", "bc"]),
  } as unknown as GPUAdapter;
  const gpu = await describeGpu({ gpu: { requestAdapter: () => Promise.resolve(adapter) } });
  assertEquals(gpu, {
    available: true,
    adapter: {
      vendor: "acme",
      architecture: "",
      device: "",
      description: "rocket",
      isFallback: true,
    },
    limits: { maxBufferSize: 4096 },
    features: ["bc", "shader-f16"],
  });
});
