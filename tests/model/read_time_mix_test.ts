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
