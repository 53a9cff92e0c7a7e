/** Latent attention as files say it: what is read, and what is refused. */
import { assertAlmostEquals, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { type GgufValue, parseGguf } from "../../src/gguf/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { withMetadata } from "./changed_file.ts";

type Changes = Readonly<Record<string, GgufValue | undefined>>;

const FILE = parseGguf(tinyModel({ architecture: "deepseek2-grouped" }));
const OLD_FILE = parseGguf(tinyModel({ architecture: "deepseek2-old" }));

Deno.test("describeModel() finds each head's rows in one tensor of keys and values, or in two", () => {
  const [{ latent: one }] = describeModel(OLD_FILE).tensors.layers;
  const rows = ({ matrix: { tensor, rows, columns }, step, start, count }: NonNullable<
    typeof one
  >["keyUp"]) => [tensor, rows, columns, step, start, count];
  assertEquals(one && [rows(one.keyUp), rows(one.valueUp), one.isKeyUpTransposed], [
    ["blk.0.attn_kv_b.weight", 192, 64, 48, 0, 32],
    ["blk.0.attn_kv_b.weight", 192, 64, 48, 32, 16],
    true,
  ]);
  const [{ latent: two }] = describeModel(FILE).tensors.layers;
  assertEquals(two && [rows(two.keyUp), rows(two.valueUp), two.isKeyUpTransposed], [
    ["blk.0.attn_k_b.weight", 256, 32, 64, 0, 64],
    ["blk.0.attn_v_b.weight", 64, 64, 16, 0, 16],
    false,
  ]);
});

Deno.test("describeModel() keeps YaRN's magnitude of scores apart where the file names one", () => {
  const { ropes: [plain], attentionScale: both } = configWith({});
  assertEquals(plain.scaling.attentionFactor, 1);
  assertAlmostEquals(both, (1 + 0.1 * Math.log(8)) ** 2 / Math.sqrt(40), 1e-15);
  const key = "rope.scaling.yarn_log_multiplier";
  const { ropes: [apart], attentionScale } = configWith({ [key]: 0.05 });
  assertAlmostEquals(apart.scaling.attentionFactor, 1 / (1 + 0.1 * Math.log(8)), 1e-15);
  assertAlmostEquals(attentionScale, (1 + 0.05 * Math.log(8)) ** 2 / Math.sqrt(40), 1e-15);
});

Deno.test("describeModel() knows GLM 4.7 Flash's first files by their depth and vocabulary", () => {
  const gatingOf = (blockCount: number, vocabSize: number) => {
    const latent = { architecture: "deepseek2", blockCount, vocabSize } as const;
    const file = parseGguf(tinyModel({ ...latent, embeddingLength: 16, headCount: 1 }));
    return describeModel(file).config.experts?.gating;
  };
  assertEquals([gatingOf(47, 154880), gatingOf(47, 512)], ["sigmoid", "softmax"]);
});

Deno.test("describeModel() asks for what makes short queries where the file says how long", () => {
  const file = parseGguf(tinyModel({ architecture: "deepseek2-dense" }));
  const withRank = (rank: number) => () =>
    describeModel(withMetadata(file, { "deepseek2.attention.q_lora_rank": rank }));
  assertThrows(withRank(0), ModelFormatError, 'Cannot find tensor "blk.0.attn_q.weight"');
  // Room for as many would be kept though nothing makes them.
  const whole = parseGguf(tinyModel({ architecture: "deepseek2" }));
  assertThrows(
    () => describeModel(withMetadata(whole, { "deepseek2.attention.q_lora_rank": 2 ** 20 })),
    ModelFormatError,
    'Cannot find tensor "blk.0.attn_q_b.weight"',
  );
});

Deno.test("describeModel() refuses senseless widths of latents, naming the key", () => {
  const attempts: [key: string, values: (GgufValue | undefined)[]][] = [
    ["attention.kv_lora_rank", [undefined, 0, -1, 2.5, 128]],
    ["attention.q_lora_rank", [-1]],
    ["attention.key_length_mla", [8, 0, -1]],
    ["attention.value_length_mla", [undefined, 0, -1]],
    ["attention.key_length", [40]],
    ["rope.dimension_count", [undefined, 0, 40]],
  ];
  for (const [key, values] of attempts) {
    for (const value of values) {
      const error = assertThrows(() => configWith({ [key]: value }), ModelFormatError);
      assertMatch(error.message, /"deepseek2\.(attention|rope)\./, `${key} ${value}`);
    }
  }
});

Deno.test("describeModel() refuses latents that no kernel multiplies", () => {
  assertThrows(
    () => configWith({ "attention.value_length_mla": 20 }),
    UnsupportedModelError,
    "a part of its heads has 20 dimensions",
  );
});

Deno.test("describeModel() reads how queries grow, and takes the original context for a length", () => {
  const temperature = (changes: Changes) => configWith(changes).queryTemperature;
  assertEquals(temperature({}), null);
  const scale = { "attention.temperature_scale": 0.5 };
  const { ropes: [{ scaling }] } = configWith({});
  const length = scaling.originalContextLength;
  assertEquals(temperature(scale), { scale: 0.5, length, first: 0 });
  const said = { ...scale, "attention.temperature_length": 64 };
  assertEquals(temperature(said), { scale: 0.5, length: 64, first: 0 });
  for (const value of [-1, "no"]) {
    const wrong = { "attention.temperature_scale": value };
    assertThrows(() => configWith(wrong), ModelFormatError, "attention.temperature_scale");
  }
});

function configWith(changes: Changes) {
  const entries = Object.entries(changes).map(([key, value]) => [`deepseek2.${key}`, value]);
  return describeModel(withMetadata(FILE, Object.fromEntries(entries))).config;
}
