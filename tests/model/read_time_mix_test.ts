/** What files of RWKV-7 may say, and what they may not. */
import { assertEquals, assertThrows } from "@std/assert";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { parseGguf } from "../../src/gguf/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { withMetadata } from "./changed_file.ts";

const FILE = parseGguf(tinyModel({ architecture: "rwkv7" }));

Deno.test("describeModel() refuses states of RWKV-7 whose keys contradict the model", () => {
  const ranks = ["decay", "iclr", "value_residual_mix", "gate"]
    .map((what) => `attention.${what}_lora_rank`);
  const wrong: [string, unknown][] = [
    ...[0, 48, 4096, 2 ** 31, undefined].map((
      value,
    ): [string, unknown] => ["wkv.head_size", value]),
    ...[0, 1, 3].map((value): [string, unknown] => ["token_shift_count", value]),
    ...ranks.flatMap((key) =>
      [0, 16, 129, 2 ** 31, undefined].map((value): [string, unknown] => [key, value])
    ),
  ];
  for (const [key, value] of wrong) {
    const changed = withMetadata(FILE, { [`rwkv7.${key}`]: value as number });
    assertThrows(() => describeModel(changed), ModelFormatError, undefined, `${key} ${value}`);
  }
  const odd = withMetadata(FILE, { "rwkv7.wkv.head_size": 2 });
  assertThrows(() => describeModel(odd), UnsupportedModelError, "a multiple of 4");
});

Deno.test("describeModel() takes an RWKV-7 that says how many rows it shifts", () => {
  const said = withMetadata(FILE, { "rwkv7.token_shift_count": 2 });
  assertEquals(describeModel(said).config, describeModel(FILE).config);
});

Deno.test("describeModel() refuses states of RWKV-6 whose keys contradict the model", () => {
  const file = parseGguf(tinyModel({ architecture: "rwkv6qwen2" }));
  const wrong: [string, unknown][] = [
    ...["time_mix_extra_dim", "time_decay_extra_dim"].flatMap((key) =>
      [0, 4, 129, 2 ** 31, undefined].map((value): [string, unknown] => [key, value])
    ),
    // Of four heads; the file's keys are two heads'.
    ...[1, 3, 4, 5, 2 ** 31].map((value): [string, unknown] => ["attention.head_count_kv", value]),
  ];
  for (const [key, value] of wrong) {
    const changed = withMetadata(file, { [`rwkv6qwen2.${key}`]: value as number });
    assertThrows(() => describeModel(changed), ModelFormatError, undefined, `${key} ${value}`);
  }
  const rwkv6 = parseGguf(tinyModel({ architecture: "rwkv6" }));
  const scalesOf = (period: number | undefined) =>
    describeModel(withMetadata(rwkv6, { "rwkv6.rescale_every_n_layers": period })).config.layers
      .map(({ endScale = 1 }) => endScale);
  assertEquals([0, 1, 2, undefined].map(scalesOf), [
    ...[[1, 1], [0.5, 0.5], [1, 0.5], [1, 1]],
  ]);
});
