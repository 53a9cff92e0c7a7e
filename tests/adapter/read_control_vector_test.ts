import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { readControlVector } from "../../src/adapter/mod.ts";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { encodeGguf, parseGguf, text } from "../../src/gguf/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import { tinyAdapter } from "../support/tiny_adapter.ts";
import {
  tinyControlVector,
  type TinyControlVectorOptions,
  type TinyDirection,
} from "../support/tiny_control_vector.ts";
import { tinyModel } from "../support/tiny_model.ts";

const MODEL = tinyModel({ blockCount: 4 });

function read(options: TinyControlVectorOptions = {}) {
  return readControlVector(parseGguf(tinyControlVector(MODEL, options)));
}

/** Changes what is in the file for layer 2. */
function second(change: (tensor: TinyDirection) => TinyDirection): TinyControlVectorOptions {
  return { change: (tensor) => tensor.name === "direction.2" ? change(tensor) : tensor };
}

Deno.test("readControlVector() gives directions by layer, how long they are, and for whom", () => {
  const { hint, length, directions } = read({ layers: [3, 1] });
  assertEquals([hint, length, [...directions.keys()]], ["llama", 64, [3, 1]]);
  assertEquals(directions.get(3)!.name, "direction.3");
  const named = { metadata: [["controlvector.model_hint", text("mistral")] as const] };
  assertEquals(read(named).hint, "mistral");
});

Deno.test("readControlVector() refuses what is none, or damaged", () => {
  const wrong: [options: TinyControlVectorOptions, says: string][] = [
    [{ layers: [] }, "it has no directions"],
    [{ layers: [0, 1] }, "directions are added behind layers 1 and up"],
    [{ layers: [1e7] }, 'a tensor "direction.10000000"'],
    [second((tensor) => ({ ...tensor, name: "direction.02" })), 'a tensor "direction.02"'],
    [second((tensor) => ({ ...tensor, name: "direction.x" })), 'a tensor "direction.x"'],
    [second((tensor) => ({ ...tensor, name: "blk.2.attn_norm" })), 'a tensor "blk.2.attn_norm"'],
    [second((tensor) => ({ ...tensor, dims: [32, 2] })), "has 2 dimensions"],
    [
      second((tensor) => ({ ...tensor, dims: [32], values: tensor.values.slice(32) })),
      '"direction.2" has 32 numbers, others 64',
    ],
    [{ type: "F16" }, '"direction.1" has the type F16, not F32'],
    [{ metadata: [["general.architecture", text("llama")]] }, 'it is of the kind "llama"'],
  ];
  for (const [options, says] of wrong) {
    const { message } = assertThrows(() => read(options), ModelFormatError);
    assertStringIncludes(message, says);
  }
  for (
    const [bytes, says] of [
      [tinyAdapter(MODEL), "give it with --lora"],
      [encodeGguf({ metadata: [], tensors: [] }), 'of the kind "unknown"'],
    ] as const
  ) {
    const { message } = assertThrows(() => readControlVector(parseGguf(bytes)), ModelFormatError);
    assertStringIncludes(message, says);
  }
});

Deno.test("describeModel() says what a control vector is for, where it is given as a model", () => {
  const { message } = assertThrows(
    () => describeModel(parseGguf(tinyControlVector(MODEL))),
    UnsupportedModelError,
  );
  assertStringIncludes(message, "it is a control vector");
  assertStringIncludes(message, "--control-vector");
});
