/**
 * The reference's rows of DeepSeek-OCR's two towers beside llama.cpp's (v0.5.0), and every choice
 * that makes them: taken otherwise, it is further away than rounding.
 */
import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { parseGguf } from "../../src/gguf/mod.ts";
import { type LayerConfig, readVision, type VisionModel } from "../../src/model/mod.ts";
import { towerInput } from "../../src/vision/tower_input.ts";
import { nmse } from "../support/compare.ts";
import { tinyDeepseekOcr } from "../support/tiny_deepseekocr.ts";
import { tinyPixels } from "../support/tiny_image.ts";
import { seenByBoth, tablesOfBoth } from "../support/two_towers.ts";
import { mapLayers, withActivation, withConfig, withRopes } from "./changed_description.ts";

/** Of each of four rows the first six numbers. */
const ROWS = [
  [0.847611666, 4.75522614, -6.73174334, -4.18452883, -3.35169005, 1.30149090],
  [-0.752890229, 1.48337805, -6.40563297, -10.3222914, 1.47447860, 2.46931934],
  [-2.97548175, -0.745067894, -5.87456274, -7.95302391, -3.77204442, 1.16631830],
  [-2.50314975, 3.32656336, -6.05128145, -12.3561754, -13.4433575, 4.84407043],
].flat();

/** The same of DeepSeek-OCR 2 (its bound of 144 or 256 rows taken out there). */
const ROWS_2 = [
  [1.080531, -2.157809, -0.582512, 2.071205, -1.199883, -0.517385],
  [1.231750, -0.150670, -1.095823, 0.565937, 1.287135, -1.937704],
  [-0.760359, -0.088701, 0.655172, -0.658254, -0.608378, -2.226732],
  [0.887157, -0.585321, -0.680926, -0.065652, -1.653110, 0.520562],
].flat();

const [NMSE_MAX, NMSE_MIN] = [1e-6, 3e-6];
const SIDE = 8;

type Models = Pick<VisionModel, "description" | "second">;

Deno.test("rows by DeepSeek-OCR's towers are llama.cpp's, and by what they are not are not", () => {
  const bytes = tinyDeepseekOcr({ patchSize: 16, side: SIDE, clipSide: 2 });
  const { images, ...models } = readVision(parseGguf(bytes));
  const input = inputOf(bytes, images);
  const error = (of: Models, from = input) => {
    const rows = seenByBoth(bytes, from, of);
    assertEquals(rows.length, 4 * 64);
    return nmse(Float64Array.from(rows.filter((_, i) => i % 64 < 6)), Float64Array.from(ROWS));
  };
  assertLess(error(models), NMSE_MAX);
  for (const [name, change] of Object.entries(MISTAKES)) {
    assertGreater(error({ ...models, ...change(models) }), NMSE_MIN, name);
  }
  const { second } = input;
  const added = Float32Array.from(second!.added);
  // The class token's row is the last one; its position is another patch's.
  added.copyWithin(4 * 64, 0, 64);
  assertGreater(error(models, { ...input, second: { ...second!, added } }), NMSE_MIN);
});

Deno.test("rows by DeepSeek-OCR 2's towers are llama.cpp's, and by what they are not are not", () => {
  const bytes = tinyDeepseekOcr({ version: 2, patchSize: 16, side: SIDE });
  const { images, ...models } = readVision(parseGguf(bytes));
  const input = inputOf(bytes, images);
  const error = (of: Models, from = input) => {
    const rows = seenByBoth(bytes, from, of);
    return nmse(Float64Array.from(rows.filter((_, i) => i % 64 < 6)), Float64Array.from(ROWS_2));
  };
  assertLess(error(models), NMSE_MAX);
  for (const [name, change] of Object.entries(MISTAKES_2)) {
    assertGreater(error({ ...models, ...change(models) }), NMSE_MIN, name);
  }
  const { second } = input;
  const added = second!.added.toReversed();
  assertGreater(error(models, { ...input, second: { ...second!, added } }), NMSE_MIN);
});

const ofSam = (change: (d: Models["description"]) => Models["description"]) => (of: Models) => ({
  description: change(of.description),
});
const ofClip = (change: (d: Models["description"]) => Models["description"]) => (of: Models) => ({
  second: change(of.second!),
});
const ofLayers = (
  change: (offsets: NonNullable<LayerConfig["offsets"]>) => LayerConfig["offsets"],
) =>
  ofSam((d) =>
    withConfig(d, ({ layers }) => ({
      layers: layers.map((layer) => ({ ...layer, offsets: change(layer.offsets!) })),
    }))
  );

const MISTAKES: Readonly<Record<string, (of: Models) => Partial<Models>>> = {
  "windows of another size": ofLayers(({ side, areWindows }) => (
    { side: areWindows ? 4 : side, areWindows }
  )),
  "windows in all layers": ofLayers(() => ({ side: 3, areWindows: true })),
  "no windows": ofLayers(() => ({ side: SIDE, areWindows: false })),
  "rows for columns": ofSam((d) =>
    mapLayers(d, (layer) => {
      const { rows: columns, columns: rows } = layer.offsets!;
      return { ...layer, offsets: { rows, columns } };
    })
  ),
  "gelu of another kind in SAM": ofSam((d) => withActivation(d, { activation: "quickGelu" })),
  "gelu of another kind in CLIP": ofClip((d) => withActivation(d, { activation: "gelu" })),
  "no norms between convolutions": ofSam((d) => ({
    ...d,
    tensors: {
      ...d.tensors,
      projector: {
        ...d.tensors.projector!,
        convolutions: d.tensors.projector!.convolutions!.map((each) => ({ ...each, norm: null })),
      },
    },
  })),
  "the halves of the last matrix exchanged": ({ description, second }) => ({
    description: withColumns(description, { start: 0, end: 64 }),
    second: withColumns(second!, { start: 64, end: 128 }),
  }),
  "no norm before CLIP": ofClip(({ config, tensors }) => (
    { config, tensors: { ...tensors, embeddingNorm: null } }
  )),
};

const MISTAKES_2: Readonly<Record<string, (of: Models) => Partial<Models>>> = {
  "all see all": ofClip((d) =>
    withConfig(d, ({ patches }) => ({ patches: { ...patches!, areAsked: undefined } }))
  ),
  "not turned": ofClip((d) =>
    withConfig(d, ({ layers }) => ({ layers: layers.map((each) => ({ ...each, rope: null })) }))
  ),
  "turned by another base": ofClip((d) => withRopes(d, { frequencyBase: 10_000 })),
  "other pairs": ofClip((d) => withRopes(d, { kind: "norm" })),
  "another epsilon": ofClip((d) =>
    withConfig(d, ({ norm }) => ({ norm: { ...norm, epsilon: 1e-2 } }))
  ),
  "no last norm": ofClip((d) =>
    withConfig(d, ({ projector }) => ({ projector: { ...projector!, lacksLastNorm: true } }))
  ),
  "gelu for silu": ofClip((d) => withActivation(d, { activation: "gelu" })),
};

function withColumns(
  d: Models["description"],
  columns: { readonly start: number; readonly end: number },
): Models["description"] {
  return withConfig(d, ({ projector }) => ({ projector: { ...projector!, columns } }));
}

/** Colours that are no whole numbers, as towers get them. */
function inputOf(bytes: Uint8Array<ArrayBuffer>, images: VisionModel["images"]) {
  const { patchSize } = images;
  const pixels = tinyPixels({ rows: SIDE, columns: SIDE }, patchSize);
  const side = SIDE * patchSize;
  const black = new Uint8Array(side * side * 3);
  const raster = { width: side, height: side, bytes: black, start: 0, rowStride: 3 * side };
  const input = towerInput(
    { ...raster, pixelStride: 3, channels: [0, 1, 2] },
    images,
    tablesOfBoth(bytes, images),
  );
  const patches = input.patches.map((_, i) => {
    const [patch, at] = [Math.floor(i / (3 * patchSize ** 2)), i % (3 * patchSize ** 2)];
    const [channel, within] = [Math.floor(at / patchSize ** 2), at % patchSize ** 2];
    const y = Math.floor(patch / SIDE) * patchSize + Math.floor(within / patchSize);
    const x = patch % SIDE * patchSize + within % patchSize;
    return pixels[(y * side + x) * 3 + channel];
  });
  return { ...input, patches };
}
