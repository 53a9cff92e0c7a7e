/**
 * The reference's rows of Gemma 3n's network beside llama.cpp's (mtmd v0.5.0, with windows of
 * convolutions and gelu in floats, which it has in halves), and every choice that makes them: taken
 * otherwise, it is further away than rounding.
 */
import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { parseGguf, TensorReader } from "../../src/gguf/mod.ts";
import { type ModelDescription, readVision } from "../../src/model/mod.ts";
import type {
  AskingTensors,
  InvertedBlock,
  InvertedTensors,
  NetworkConfig,
  NetworkTensors,
} from "../../src/model/network.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { nmse } from "../support/compare.ts";
import { someOf } from "../support/deep.ts";
import { Rng } from "../support/rng.ts";
import { tinyGemma3n } from "../support/tiny_gemma3n.ts";
import { withConfig } from "./changed_description.ts";

/** Of rows 0, 17, 100 and 255 the first six numbers, of images of 256 pixels and of 512. */
const ROWS: Readonly<Record<number, readonly number[]>> = {
  256: [
    ...[0.919444442, -0.491682887, -0.55917865, -1.15996957, -1.50932908, -0.264912814],
    ...[1.88423586, -0.0597220063, -0.169335559, -1.33709788, -1.16633689, -0.299057037],
    ...[1.53831542, -0.63269037, -0.228992537, -1.38385785, -1.53295505, -0.319083214],
    ...[0.396906614, -1.09640276, -0.319872648, -1.01927555, -1.36133456, -0.412030488],
  ],
  512: [
    ...[1.78988075, -1.38904738, -0.471968085, -1.11427796, -1.63233876, -0.375346988],
    ...[1.97599196, 0.0791746452, 0.123536825, -1.01085126, -1.40426219, -0.372969776],
    ...[2.2655611, -0.284298867, -0.00368075701, -0.873235941, -1.29966831, -0.199805036],
    ...[1.57244515, -0.764767408, -0.0547682755, -0.786760032, -1.31960154, -0.742114604],
  ],
};
const ROW_NUMBERS = [0, 17, 100, 255];
const [NMSE_MAX, NMSE_MIN] = [1e-10, 1e-9];

function errorOf(size: number) {
  const bytes = tinyGemma3n({ imageSize: size });
  const file = parseGguf(bytes);
  const { description } = readVision(file);
  const patches = patchesOf(size);
  const error = (of: ModelDescription) => {
    const model = new ReferenceModel(file, {
      ...{ description: of, reader: TensorReader.ofBytes(bytes) },
    });
    const rows = model.see({ count: 256, kept: 256, patches, added: null, positions: null });
    assertEquals(rows.length, 256 * 64);
    const own = ROW_NUMBERS.flatMap((row) => [...rows.subarray(row * 64, row * 64 + 6)]);
    return nmse(Float64Array.from(own), Float64Array.from(ROWS[size]));
  };
  return { description, error };
}

Deno.test("rows by Gemma 3n's network are llama.cpp's, and by what it is not are not", () => {
  const { description, error } = errorOf(256);
  assertLess(error(description), NMSE_MAX);
  for (const [name, change] of someOf(Object.entries(MISTAKES))) {
    assertGreater(error(change(description)), NMSE_MIN, name);
  }
});

Deno.test("rows by Gemma 3n's network are llama.cpp's where they are means of places", () => {
  const { description, error } = errorOf(512);
  assertLess(error(description), NMSE_MAX);
});

/** Colours that are no whole numbers, from 0 to 1. */
function patchesOf(size: number): Float32Array {
  const rng = new Rng(7);
  const side = size / 16;
  const patches = new Float32Array(3 * size * size);
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const patch = Math.floor(y / side) * 16 + Math.floor(x / side);
      for (let c = 0; c < 3; c++) {
        patches[((patch * 3 + c) * side + y % side) * side + x % side] = rng.float();
      }
    }
  }
  return patches;
}

const MISTAKES: Readonly<Record<string, (d: ModelDescription) => ModelDescription>> = {
  "no gains": withTensors(({ blocks }) => ({
    blocks: blocks.map((block) => ({ ...block, gains: null })),
  })),
  "no bias of the first convolution": withTensors(({ stem }) => (
    { stem: { ...stem, bias: null } }
  )),
  "another epsilon": withNetwork(() => ({ epsilon: 1e-3 })),
  "nothing before the first matrix": withInverted(3, { startSide: 0 }, { start: null }),
  "nothing between the matrices": withInverted(3, { midSide: 0 }, { mid: null }),
  "keys' and values' convolutions exchanged": withAsking(6, ({ key, value }) => ({
    key: { ...key, down: value.down },
    value: { ...value, down: key.down },
  })),
  "keys for values": withAsking(9, ({ key }) => ({ value: key })),
  "another norm": withAsking(9, ({ norm }) => (
    { norm: { ...norm, weight: { ...norm.weight!, tensor: "v.blk.3.1.layer_scale.gamma" } } }
  )),
  "the stage before goes on": withNetwork(() => ({ kept: 6 })),
  "the norm of what is fused is the projector's": withTensors(({ lastNorm }) => (
    {
      lastNorm: { ...lastNorm, weight: { ...lastNorm.weight!, tensor: "mm.soft_emb_norm.weight" } },
    }
  )),
  "no norm of what comes out": (d) =>
    withConfig(d, ({ projector }) => ({ projector: { ...projector!, outputEpsilon: undefined } })),
};

function withTensors(change: (tensors: NetworkTensors) => Partial<NetworkTensors>) {
  return ({ config, tensors }: ModelDescription): ModelDescription => {
    const network = tensors.network!;
    return { config, tensors: { ...tensors, network: { ...network, ...change(network) } } };
  };
}

function withNetwork(change: (network: NetworkConfig) => Partial<NetworkConfig>) {
  return (d: ModelDescription) =>
    withConfig(d, ({ patches }) => {
      const network = patches!.network!;
      return { patches: { ...patches!, network: { ...network, ...change(network) } } };
    });
}

function withInverted(
  index: number,
  config: Partial<InvertedBlock>,
  tensors: Partial<InvertedTensors>,
) {
  return (d: ModelDescription): ModelDescription => {
    const changed = withTensors(({ blocks }) => ({
      blocks: blocks.map((block, i) =>
        i === index ? { ...block, ...tensors } as InvertedTensors : block
      ),
    }))(d);
    return withNetwork(({ blocks }) => ({
      blocks: blocks.map((block, i) =>
        i === index ? { ...block, ...config } as InvertedBlock : block
      ),
    }))(changed);
  };
}

function withAsking(index: number, change: (tensors: AskingTensors) => Partial<AskingTensors>) {
  return withTensors(({ blocks }) => ({
    blocks: blocks.map((block, i) =>
      i === index ? { ...block, ...change(block as AskingTensors) } : block
    ),
  }));
}
