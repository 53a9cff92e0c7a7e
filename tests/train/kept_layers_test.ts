/** What is kept of a training: what came to the disk whole comes back, and nothing else. */
import { assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../../src/base/errors.ts";
import { encodeWeights } from "../../src/quantize/mod.ts";
import { KeptLayers, type LayerResult, type PredictorMatrix } from "../../src/train/mod.ts";

const SHAPE = { inputLength: 64, neuronCount: 96, blockCount: 2, usedCount: 1 };
const LAYERS = [SHAPE, SHAPE, SHAPE];
const IDENTITY = { model: "a", "--rank": "32" };

function matrix(rows: number, columns: number, value: number): PredictorMatrix {
  const bytes = encodeWeights("F16", new Float32Array(rows * columns).fill(value));
  return { type: "F16", rows, columns, bytes };
}

/** Both experts have weights of their own. */
function result(value: number): LayerResult {
  const quality = { recall: 0.98, precision: 0.5, predictedShare: 0.2, firedShare: 0.1 };
  const blocks = [0, 1].map((expert) => ({
    predictor: {
      ...{ fc1: matrix(32, 64, value + expert), fc2: matrix(96, 32, value - expert), quality },
    },
    ...{ samples: 300 + expert, isTrained: true },
  }));
  const tried = [{ rank: 32, costBytes: 1 }];
  return { blocks, quality, rank: 32, costBytes: 1, gateBytes: 2, tried };
}

function bytesOf(kept: KeptLayers, layer: number, which: "fc1" | "fc2"): number[] {
  return [...kept.pieces(layer, which)].flatMap((piece) => [...piece]);
}

function expected(value: number, which: "fc1" | "fc2"): number[] {
  return result(value).blocks.flatMap(({ predictor }) => [...predictor[which].bytes]);
}

async function inFolder(use: (out: string, folder: string) => void): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    use(`${folder}/out`, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("KeptLayers gives back what was added, in any order, also when it is opened again", () =>
  inFolder((out, folder) => {
    {
      using kept = KeptLayers.open(out, LAYERS, IDENTITY);
      assertEquals(kept.count, 0);
      kept.add(2, result(5));
      kept.add(0, result(7));
    }
    using kept = KeptLayers.open(out, LAYERS, IDENTITY);
    assertEquals([0, 1, 2].map((layer) => kept.has(layer)), [true, false, true]);
    kept.add(1, result(9));
    for (const [layer, value] of [[0, 7], [1, 9], [2, 5]]) {
      assertEquals(bytesOf(kept, layer, "fc1"), expected(value, "fc1"));
      assertEquals(bytesOf(kept, layer, "fc2"), expected(value, "fc2"));
      const { blocks, fc1, fc2, rank } = kept.summary(layer);
      assertEquals(blocks.map(({ samples }) => samples), [300, 301]);
      assertEquals([fc1, fc2, rank], [
        { type: "F16", rows: 32, columns: 64 },
        { type: "F16", rows: 96, columns: 32 },
        32,
      ]);
    }
    kept.remove();
    assertEquals([...Deno.readDirSync(folder)].length, 0);
  }));

Deno.test("KeptLayers trusts no layer whose bytes or line were changed, or are cut off", () =>
  inFolder((out) => {
    const [data, journal] = [`${out}.part`, `${out}.part.journal`];
    {
      using kept = KeptLayers.open(out, LAYERS, IDENTITY);
      for (const layer of [0, 1, 2]) kept.add(layer, result(layer));
    }
    const [bytes, lines] = [Deno.readFileSync(data), Deno.readTextFileSync(journal)];
    const perLayer = bytes.length / 3;
    const damaged = (at: number) => bytes.map((byte, i) => i === at ? byte ^ 1 : byte);
    const whole = lines.trimEnd().split("\n");
    const cases: [Uint8Array, string, boolean[]][] = [
      [bytes, lines, [true, true, true]],
      [damaged(perLayer + 9), lines, [true, false, true]],
      [bytes.slice(0, -1), lines, [true, true, false]],
      [bytes, lines.slice(0, -2), [true, true, false]],
      [bytes, lines.replace('"samples":300', '"samples":301'), [false, true, true]],
      [bytes, [whole[0], "0 {}", "x", whole[2]].join("\n") + "\n", [false, true, false]],
      [bytes, [...whole, `1 {"layer":9}`].join("\n") + "\n", [true, true, true]],
    ];
    for (const [data_, lines_, there] of cases) {
      Deno.writeFileSync(data, data_);
      Deno.writeTextFileSync(journal, lines_);
      using kept = KeptLayers.open(out, LAYERS, IDENTITY);
      assertEquals([0, 1, 2].map((layer) => kept.has(layer)), there);
      // What is missing is added behind what is there.
      there.forEach((isThere, layer) => isThere || kept.add(layer, result(layer)));
      for (const layer of [0, 1, 2]) {
        assertEquals(bytesOf(kept, layer, "fc2"), expected(layer, "fc2"));
      }
    }
  }));

Deno.test("KeptLayers refuses what is of another training, and what somebody else writes", () =>
  inFolder((out) => {
    {
      using kept = KeptLayers.open(out, LAYERS, IDENTITY);
      kept.add(0, result(1));
      assertThrows(() => KeptLayers.open(out, LAYERS, IDENTITY), Error, "another program");
    }
    assertThrows(
      () => KeptLayers.open(out, LAYERS, { ...IDENTITY, model: "b" }),
      UsageError,
      "it was begun with another model: delete it",
    );
    // Layers of another form are not what this training makes.
    const wider = LAYERS.map((layer) => ({ ...layer, neuronCount: 97 }));
    using kept = KeptLayers.open(out, wider, IDENTITY);
    assertEquals(kept.count, 0);
  }));
