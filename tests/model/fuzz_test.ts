/** Files that parse, with several things wrong at once: described, or refused in a few words. */
import fc from "fast-check";
import { loadKernelModule } from "../../wasm/mod.ts";
import { ModelFormatError, UnsupportedModelError, UsageError } from "../../src/base/errors.ts";
import { type GgufFile, type GgufValue, packStrings, parseGguf } from "../../src/gguf/mod.ts";
import { describeForUse, planModel } from "../../src/llm/mod.ts";
import { dtypeByName, DTYPES } from "../../src/model/dtypes.ts";
import { readHearing, readVision } from "../../src/model/mod.ts";
import { createTokenizer } from "../../src/tokenizer/mod.ts";
import { assertRefusal, fuzzRuns, timed } from "../support/fuzz.ts";
import { tinyDeepseekOcr } from "../support/tiny_deepseekocr.ts";
import { tinyGemma3n } from "../support/tiny_gemma3n.ts";
import { TINY_HEARING_NAMES, tinyHearing } from "../support/tiny_hearing.ts";
import { TINY_MODELS, tinyModel, type TinyModelName } from "../support/tiny_model.ts";
import { TINY_KINDS, tinyVision, type TinyVisionName } from "../support/tiny_vision.ts";
import { withMetadata, withoutTensor, withTensor } from "./changed_file.ts";

const FAMILIES = Object.keys(TINY_MODELS) as TinyModelName[];
const KINDS = Object.keys(TINY_KINDS) as TinyVisionName[];
const TYPES = DTYPES.map(({ name }) => name);

/** Something wrong with a file; keys and tensors are counted. */
type Change =
  | { readonly kind: "value"; readonly index: number; readonly value: GgufValue | undefined }
  | { readonly kind: "dims"; readonly index: number; readonly dims: readonly number[] }
  | { readonly kind: "type"; readonly index: number; readonly type: string }
  | { readonly kind: "gone"; readonly index: number };

const number = fc.oneof(
  fc.constantFrom(0, 1, -1, 0.5, NaN, Infinity, 2, 3, 8, 16, 64, 512, 2 ** 16, 2 ** 31, 2 ** 53),
  fc.integer({ min: 0, max: 300 }),
);
const value: fc.Arbitrary<GgufValue | undefined> = fc.oneof(
  { weight: 3, arbitrary: number },
  fc.constantFrom<(GgufValue | undefined)[]>(
    ...[undefined, 2n ** 63n, true, false, "", "relu", "yarn", "longrope", "gpt2", "llama"],
    ...["x".repeat(5000), packStrings([]), packStrings(["a", "b"]), new Float32Array(300)],
  ),
  fc.array(number, { maxLength: 9 }).map((items) => Uint32Array.from(items)),
);
const index = fc.nat(500);
const change: fc.Arbitrary<Change> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("value" as const), index, value }) },
  fc.record({
    kind: fc.constant("dims" as const),
    index,
    dims: fc.array(fc.constantFrom(1, 2, 32, 64, 96, 512, 2 ** 31), { minLength: 1, maxLength: 4 }),
  }),
  fc.record({ kind: fc.constant("type" as const), index, type: fc.constantFrom(...TYPES) }),
  fc.record({ kind: fc.constant("gone" as const), index }),
);

Deno.test("a model with any faults is planned, or refused in a few words", async () => {
  const kernels = await loadKernelModule();
  const options = { threads: 2, contextLength: 64 };
  const plan = (file: GgufFile) => {
    const model = describeForUse(file, options);
    planModel({ file, model, packed: null }, kernels, options);
  };
  // Of one block where there can be one: a file that is refused as it is would hide every fault.
  const files = FAMILIES.map((architecture) => {
    const small = parseGguf(tinyModel({ architecture, blockCount: 1 }));
    if (isPlanned(() => plan(small))) return small;
    const own = parseGguf(tinyModel({ architecture }));
    plan(own);
    return own;
  });
  fc.assert(
    fc.property(
      fc.nat(files.length - 1),
      fc.array(change, { minLength: 1, maxLength: 3 }),
      (family, changes) => {
        const file = changes.reduce(changed, files[family]);
        const attempt = (what: () => unknown) => {
          try {
            timed(what, FAMILIES[family]);
          } catch (error) {
            assertRefusal(error, [ModelFormatError, UnsupportedModelError, UsageError]);
          }
        };
        attempt(() => plan(file));
        attempt(() => createTokenizer(file.metadata));
      },
    ),
    fuzzRuns(1000),
  );
});

Deno.test("a projector with any faults is read, or refused in a few words", () => {
  const towers = [
    ...KINDS.map((kind) => ({ kind, read: readVision, file: parseGguf(tinyVision({ kind })) })),
    ...([1, 2] as const).map((version) => ({
      ...{ kind: `deepseekocr ${version}`, read: readVision },
      file: parseGguf(tinyDeepseekOcr({ version })),
    })),
    { kind: "gemma3nv", read: readVision, file: parseGguf(tinyGemma3n()) },
    ...TINY_HEARING_NAMES.map((kind) => (
      { kind, read: readHearing, file: parseGguf(tinyHearing({ kind })) }
    )),
  ];
  fc.assert(
    fc.property(
      fc.nat(towers.length - 1),
      fc.array(change, { minLength: 1, maxLength: 3 }),
      (index, changes) => {
        const { kind, read, file } = towers[index];
        try {
          timed(() => read(changes.reduce(changed, file)), kind);
        } catch (error) {
          assertRefusal(error, [ModelFormatError, UnsupportedModelError]);
        }
      },
    ),
    fuzzRuns(1500),
  );
});

function isPlanned(plan: () => void): boolean {
  try {
    plan();
    return true;
  } catch (error) {
    if (error instanceof ModelFormatError || error instanceof UnsupportedModelError) return false;
    throw error;
  }
}

function changed(file: GgufFile, change: Change): GgufFile {
  const pick = (names: Iterable<string>) => {
    const all = [...names];
    return all[change.index % all.length];
  };
  if (change.kind === "value") {
    // The first keys are the model's, the last ones the vocabulary's.
    return withMetadata(file, { [pick(file.metadata.keys())]: change.value });
  }
  if (file.tensors.size === 0) return file;
  const name = pick(file.tensors.keys());
  if (change.kind === "gone") return withoutTensor(file, name);
  const { dims, type } = { ...file.tensors.get(name)!, ...change };
  const { blockElements, blockBytes } = dtypeByName(type)!;
  // The parser has refused rows that end within a block.
  if (dims[0] % blockElements !== 0) return file;
  const sizeBytes = dims.reduce((product, count) => product * count) / blockElements * blockBytes;
  return withTensor(file, name, { dims, type, sizeBytes });
}
