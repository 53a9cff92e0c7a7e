import { assertAlmostEquals, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import {
  encodeGguf,
  f32,
  type MetadataEntry,
  parseGguf,
  TensorReader,
  text,
  u32,
} from "../../src/gguf/mod.ts";
import { ReferenceModel, type ReferenceOptions } from "../../src/reference/forward.ts";
import { lastRow, maxAbs } from "../support/compare.ts";
import { tinyModel, type TinyModelOptions } from "../support/tiny_model.ts";

Deno.test("ReferenceModel agrees with a model of one layer computed by hand", () => {
  // Embeddings whose root mean square is 1, 5 and 1, so that norms come out even.
  const embeddings = [[1, 1], [7, 1], [1, -1]];
  const model = referenceModel(encodeGguf({
    metadata: handMadeMetadata(),
    tensors: [
      tensor("token_embd.weight", [2, 3], embeddings.flat()),
      tensor("output_norm.weight", [2], [1, 2]),
      tensor("blk.0.attn_norm.weight", [2], [1, 1]),
      tensor("blk.0.attn_q.weight", [2, 2], [1, 0, 0, 1]),
      tensor("blk.0.attn_k.weight", [2, 2], [1, 0, 0, 1]),
      tensor("blk.0.attn_v.weight", [2, 2], [0, 1, 1, 0]),
      tensor("blk.0.attn_output.weight", [2, 2], [1, 0, 0, 1]),
      tensor("blk.0.ffn_norm.weight", [2], [1, 1]),
      tensor("blk.0.ffn_gate.weight", [2, 1], [1, 1]),
      tensor("blk.0.ffn_up.weight", [2, 1], [1, 0]),
      tensor("blk.0.ffn_down.weight", [1, 2], [3, 0]),
    ],
  }));

  // Token 0 at position 0 attends to itself: value = its norm, swapped.
  const first = feedForwardByHand([1 + 1, 1 + 1]);
  // Token 1 at position 1: norm [1.4, 0.2]; its query and key are turned by one radian. The two
  // turns cancel in q·k of position 1 and show in q·k of position 0, whose key is [1, 1].
  const [cos, sin] = [Math.cos(1), Math.sin(1)];
  const query = [1.4 * cos - 0.2 * sin, 1.4 * sin + 0.2 * cos];
  const scores = [(query[0] + query[1]) / Math.SQRT2, (1.4 ** 2 + 0.2 ** 2) / Math.SQRT2];
  const share = Math.exp(scores[0]) / (Math.exp(scores[0]) + Math.exp(scores[1]));
  const second = feedForwardByHand([
    7 + share * 1 + (1 - share) * 0.2,
    1 + share * 1 + (1 - share) * 1.4,
  ]);

  const expected = [first, second].flatMap(([a, b]) => {
    const rms = Math.sqrt((a * a + b * b) / 2);
    return embeddings.map(([c, d]) => a / rms * c + 2 * b / rms * d);
  });
  const logits = model.forward([0, 1]);
  assertEquals(logits.length, expected.length);
  expected.forEach((value, i) => assertAlmostEquals(logits[i], value, 1e-6));
});

/** x + down · silu(gate · h) · (up · h) with gate [1, 1], up [1, 0], down [3, 0]. */
function feedForwardByHand([a, b]: number[]): number[] {
  const rms = Math.sqrt((a * a + b * b) / 2);
  const gate = (a + b) / rms;
  return [a + 3 * gate / (1 + Math.exp(-gate)) * (a / rms), b];
}

Deno.test("ReferenceModel.forward() gives the same logits in one piece and in three", () => {
  const bytes = tinyModel({ seed: 4 });
  const ids = [1, 17, 300, 4, 88, 250, 3];
  const whole = referenceModel(bytes).forward(ids);
  const model = referenceModel(bytes);
  const pieces = [model.forward(ids.slice(0, 2)), model.forward(ids.slice(2, 6), 2)];
  pieces.push(model.forward(ids.slice(6), 6));
  assertEquals(Float32Array.from(pieces.flatMap((piece) => [...piece])), whole);
});

Deno.test("ReferenceModel.forward() forgets what came after fromPosition", () => {
  const bytes = tinyModel({ seed: 4 });
  const model = referenceModel(bytes);
  model.forward([1, 17, 300, 4]);
  const again = model.forward([88, 250], 2);
  const fresh = referenceModel(bytes).forward([1, 17, 88, 250]);
  assertEquals(again, fresh.subarray(2 * 512));
});

Deno.test("ReferenceModel.forward() refuses ids outside the vocabulary and gaps", () => {
  const model = referenceModel(tinyModel());
  assertThrows(() => model.forward([512]), Error, "id 512");
  assertThrows(() => model.forward([-1]), Error, "id -1");
  assertThrows(() => model.forward([1], 1), Error, "the cache holds");
});

Deno.test("ReferenceModel sees only the last tokens through a sliding window", () => {
  const lastLogits = (slidingWindow: number | undefined, first: number) =>
    lastRow(
      referenceModel(tinyModel({ slidingWindow, blockCount: 1 })).forward([first, 7, 9]),
      512,
    );
  assertEquals(lastLogits(2, 5), lastLogits(2, 300));
  assertNotEquals(lastLogits(3, 5), lastLogits(3, 300));
  assertNotEquals(lastLogits(undefined, 5), lastLogits(undefined, 300));
});

Deno.test("ReferenceModel obeys rotary scaling, factors and the architecture's pairing", () => {
  const logits = (options: TinyModelOptions) =>
    referenceModel(tinyModel({ seed: 9, ...options })).forward([1, 20, 300, 40, 77]);
  const plain = logits({});
  const factor = 4;
  for (const type of ["linear", "yarn"] as const) {
    const scaled = logits({ ropeScaling: { type, factor, originalContextLength: 64 } });
    assertNotEquals(scaled, plain, type);
  }
  assertNotEquals(logits({ ropeFactors: true }), plain);
  const same = logits({ ropeScaling: { type: "linear", factor: 1, originalContextLength: 64 } });
  assertEquals(same, plain);
});

Deno.test("ReferenceModel computes nearly the same from half-precision weights", () => {
  const ids = [1, 20, 300, 40];
  const exact = referenceModel(tinyModel({ type: "F32" })).forward(ids);
  for (const [type, bound] of [["F16", 0.02], ["BF16", 0.2]] as const) {
    const error = maxAbs(referenceModel(tinyModel({ type })).forward(ids), exact);
    assertEquals(error > 0 && error < bound, true, `${type} is off by ${error}`);
  }
});

Deno.test("ReferenceModel shows every intermediate by name, in order", () => {
  const seen: string[] = [];
  const shapes = new Map<string, number>();
  const onTensor: ReferenceOptions["onTensor"] = (name, data) => {
    seen.push(name);
    shapes.set(name, data.length);
  };
  referenceModel(tinyModel({ blockCount: 1 }), onTensor).forward([1, 2, 3]);
  assertEquals(seen, [
    "embedding",
    "layer 0 attention norm",
    "layer 0 value",
    "layer 0 query",
    "layer 0 key",
    "layer 0 heads",
    "layer 0 attention out",
    "layer 0 feed-forward norm",
    "layer 0 gate",
    "layer 0 up",
    "layer 0 neurons",
    "layer 0 feed-forward out",
    "layer 1 in",
    "norm",
    "logits",
  ]);
  assertEquals(shapes.get("layer 0 key"), 3 * 2 * 16);
  assertEquals(shapes.get("layer 0 neurons"), 3 * 96);
});

function referenceModel(
  bytes: Uint8Array<ArrayBuffer>,
  onTensor?: ReferenceOptions["onTensor"],
): ReferenceModel {
  return new ReferenceModel(parseGguf(bytes), { reader: TensorReader.ofBytes(bytes), onTensor });
}

function handMadeMetadata(): MetadataEntry[] {
  return [
    ["general.architecture", text("llama")],
    ["llama.block_count", u32(1)],
    ["llama.context_length", u32(16)],
    ["llama.embedding_length", u32(2)],
    ["llama.feed_forward_length", u32(1)],
    ["llama.attention.head_count", u32(1)],
    ["llama.attention.layer_norm_rms_epsilon", f32(1e-12)],
  ];
}

function tensor(name: string, dims: number[], values: number[]) {
  const bytes = new Uint8Array(Float32Array.from(values).buffer);
  return { name, type: "F32", dims, pieces: () => [bytes] };
}
