/**
 * How long a tower looks at an image: real shapes with random weights, on threads alone. Prints the
 * best and the median of some looks, patches a second, and a hash of the rows.
 *
 *   DENO_V8_FLAGS=--no-wasm-bounds-checks,--experimental-wasm-revectorize \
 *     deno run -A tests/bench/towers.ts [SHAPE:TYPE:LOOKS …] [--keep FOLDER]
 */
import { createHash } from "node:crypto";
import { loadTower } from "../../src/llm/images/load_tower.ts";
import type { ImageConfig } from "../../src/model/mod.ts";
import { tinyTowerInput } from "../support/tiny_image.ts";
import {
  TINY_TOWER,
  tinyVision,
  type TinyVisionKind,
  type TinyVisionName,
  type TinyVisionOptions,
} from "../support/tiny_vision.ts";

const CASES = ["clip-336:F16:5", "clip-336:Q8_0:5", "siglip-896:F16:1", "siglip-896:Q8_0:1"];
const THREADS = 2;

interface Shape {
  readonly kind: TinyVisionName;
  readonly changes: Partial<TinyVisionKind>;
}

const SHAPES: Readonly<Record<string, Shape>> = {
  // CLIP ViT-L/14 of 336 pixels, LLaVA 1.5's: 576 patches and a class token.
  "clip-336": {
    kind: "mlp",
    changes: { width: 1024, heads: 16, neurons: 4096, blockCount: 23, patchSize: 14, side: 24 },
  },
  // SigLIP So400m/14 of 896 pixels, Gemma 3's: 4,096 patches.
  "siglip-896": {
    kind: "gemma3",
    changes: { width: 1152, heads: 16, neurons: 4304, blockCount: 27, patchSize: 14, side: 64 },
  },
};

async function look(name: string, type: TinyVisionOptions["type"], looks: number, path: string) {
  const { kind, changes } = SHAPES[name];
  const bytes = tinyVision({ kind, type, changes, outputLength: TINY_TOWER.outputLength });
  await Deno.writeFile(path, bytes);
  const { engine, file, description: { config }, reads } = await loadTower(path, {
    threads: THREADS,
  });
  try {
    const side = changes.side!;
    const grid = { rows: side, columns: side };
    const images = reads as ImageConfig;
    const input = tinyTowerInput({ images, config, grid }, { file, bytes });
    const times: number[] = [];
    let rows = new Float32Array();
    for (let i = 0; i < looks; i++) {
      const startMs = performance.now();
      rows = Float32Array.from(await engine.images.see(input));
      times.push(performance.now() - startMs);
    }
    times.sort((a, b) => a - b);
    const hash = createHash("sha256").update(new Uint8Array(rows.buffer)).digest("hex");
    const [best, median] = [times[0], times[Math.floor(times.length / 2)]];
    const rate = (1000 * input.count / best).toFixed(0);
    console.log(
      `${name}:${type}: ${input.count} patches, best ${best.toFixed(0)} ms, median ` +
        `${median.toFixed(0)}, ${rate} patches/s, rows ${hash.slice(0, 12)}`,
    );
  } finally {
    await engine.close();
  }
}

const keep = Deno.args.indexOf("--keep");
const folder = keep < 0 ? await Deno.makeTempDir() : Deno.args[keep + 1];
const asked = keep < 0 ? Deno.args : Deno.args.toSpliced(keep, 2);
try {
  for (const each of asked.length > 0 ? asked : CASES) {
    const [name, type, looks] = each.split(":");
    if (SHAPES[name] === undefined) {
      throw new Error(`No shape ${name}: take ${Object.keys(SHAPES)}`);
    }
    const path = `${folder}/${name}-${type}.mmproj.gguf`;
    await look(name, type as TinyVisionOptions["type"], Number(looks), path);
  }
} finally {
  if (keep < 0) await Deno.remove(folder, { recursive: true });
}
