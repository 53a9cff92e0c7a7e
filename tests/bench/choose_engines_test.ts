import { assertEquals, assertStringIncludes } from "@std/assert";
import { fileURLToPath } from "node:url";
import { chooseEngines } from "./choose_engines.ts";

const THIS_FILE = fileURLToPath(import.meta.url);

Deno.test("chooseEngines() puts our variants first, and peers by their paths behind", async () => {
  const { engines, skipped } = await chooseEngines({
    variants: ["plain", "flags"],
    peers: [
      { name: "node-llama-cpp", path: "/somewhere" },
      { name: "llama-bench", path: THIS_FILE },
    ],
  }, null);
  assertEquals(engines.map(({ name, isOurs }) => [name, isOurs]), [
    ["ganglion plain", true],
    ["ganglion", true],
    ["node-llama-cpp", false],
    ["llama-bench", false],
  ]);
  assertEquals(skipped, []);
});

Deno.test("chooseEngines() names the peers that are not there, and why", async () => {
  const { engines, skipped } = await chooseEngines({
    variants: ["flags"],
    peers: [
      { name: "llama-bench", path: `${THIS_FILE}.missing` },
      { name: "transformers", path: null },
    ],
  }, null);
  assertEquals(engines.map(({ name }) => name), ["ganglion"]);
  assertEquals(skipped.map(({ engine }) => engine), ["llama-bench", "transformers"]);
  assertStringIncludes(skipped[0].reason, ".missing");
  assertStringIncludes(skipped[1].reason, "reads ONNX and no GGUF");
});

Deno.test("chooseEngines() gives the dense twin to peers that cannot read PowerInfer's files", async () => {
  const { engines } = await chooseEngines({
    variants: ["flags", "dense", "unpredicted"],
    peers: [
      { name: "llama-bench", path: THIS_FILE },
      { name: "powerinfer", path: THIS_FILE },
    ],
    denseTwin: "/models/dense.gguf",
  }, null);
  assertEquals(engines.map(({ name }) => name), [
    ...["ganglion", "ganglion dense", "ganglion unpredicted", "llama-bench", "powerinfer"],
  ]);
  assertEquals(engines.map(({ settings }) => settings.endsWith("; measures dense.gguf")), [
    ...[false, false, false, true, false],
  ]);
  assertStringIncludes(engines[1].settings, "--dense");
  assertStringIncludes(engines[2].settings, "--predictor off");
  assertEquals(engines.map((engine) => engine.measureLoad !== undefined), [
    ...[true, false, false, false, false],
  ]);
});
