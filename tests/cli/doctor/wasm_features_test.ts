import { assertEquals } from "@std/assert";
import { wasmFeatures } from "../../../src/cli/doctor/wasm_features.ts";

Deno.test("wasmFeatures() finds what the kernels need, and does not find everything", () => {
  const features = wasmFeatures();
  const needed = [features.simd, features.relaxed_simd, features.threads, features.bulk_memory];
  assertEquals(needed, [true, true, true, true]);
  // Off unless V8 is asked for it: a module that always validated would say so too.
  const asked = (Deno.env.get("DENO_V8_FLAGS") ?? "").includes("wasm-fp16");
  assertEquals(features.fp16, asked);
});
