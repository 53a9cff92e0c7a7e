import { assertThrows } from "@std/assert";
import { UnsupportedModelError } from "../../../src/base/errors.ts";
import { checkTrainable } from "../../../src/cli/train/check_trainable.ts";
import { parseGguf } from "../../../src/gguf/mod.ts";
import { describeModel } from "../../../src/model/mod.ts";
import { tinyModel } from "../../support/tiny_model.ts";

Deno.test("checkTrainable() refuses layers that are used several times", () => {
  const file = parseGguf(tinyModel({ architecture: "nanbeige" }));
  const message = "used several times";
  assertThrows(() => checkTrainable(file, describeModel(file)), UnsupportedModelError, message);
});
