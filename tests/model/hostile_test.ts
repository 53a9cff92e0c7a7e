/** Metadata as an attacker or a bad disk may write it: every family, every key. */
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { type GgufFile, type GgufValue, packStrings, parseGguf } from "../../src/gguf/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import { TINY_MODELS, tinyModel, type TinyModelName } from "../support/tiny_model.ts";
import { withMetadata } from "./changed_file.ts";

const SENSELESS: readonly (GgufValue | undefined)[] = [
  undefined,
  -1,
  0,
  0.5,
  NaN,
  Infinity,
  2 ** 31,
  2n ** 63n,
  true,
  "relu",
  Uint32Array.of(1, 2),
  packStrings(["a"]),
];

// fault 20: any key with a senseless value: head counts of 0, huge block counts, …
for (const architecture of Object.keys(TINY_MODELS) as TinyModelName[]) {
  const name = `describeModel() answers any value of any key of a ${architecture} clearly`;
  Deno.test(name, () => {
    const file = parseGguf(tinyModel({ architecture }));
    for (const key of file.metadata.keys()) {
      for (const value of SENSELESS) requireClearAnswer(withMetadata(file, { [key]: value }), key);
    }
  });
}

/** A model or an error that says what is wrong; never a crash of another kind. */
function requireClearAnswer(file: GgufFile, key: string): void {
  try {
    describeModel(file);
  } catch (error) {
    if (error instanceof ModelFormatError || error instanceof UnsupportedModelError) return;
    throw new Error(`"${key}" = ${file.metadata.get(key)}`, { cause: error });
  }
}
