/** `quantize IN OUT --type T`: a GGUF with its matrices in another type. */
import type { Command } from "commander";
import { basename } from "node:path";
import { applyAdapters, openAdapter, openTensors } from "../../adapter/mod.ts";
import { formatBytes } from "../../base/units.ts";
import { openGguf } from "../../gguf/mod.ts";
import {
  openImportance,
  type Quant,
  quantizeFile,
  type QuantizeSource,
  QUANTS,
  type ReplacedType,
  WEIGHT_TYPES,
  type WeightType,
} from "../../quantize/mod.ts";
import { type AdapterFlags, addAdapterOption } from "../adapter_options.ts";
import { Interrupt } from "../interrupt.ts";
import { oneOf } from "../option_values.ts";
import { writeErrorLine, writeJson, writeOutLine } from "../output.ts";
import { Progress } from "../progress.ts";
import { createDataVerb, requireModel, requireOption } from "../verb.ts";

interface Options extends Pick<AdapterFlags, "lora"> {
  readonly type?: Quant;
  readonly outputType?: WeightType;
  readonly imatrix?: string;
  readonly json?: boolean;
}

/** The types worth having: FP4 without training for it is worse than any other four bits. */
const OFFERED: readonly Quant[] = QUANTS.filter((quant) => !quant.endsWith("FP4"));

const OUTPUT_TYPES: readonly WeightType[] = WEIGHT_TYPES.filter((type) => !type.endsWith("FP4"));

export function quantizeVerb(): Command {
  const verb = createDataVerb("quantize", "Store a model's matrices in another type.")
    .argument("[in]", "a .gguf file, best of F32, F16 or BF16")
    .argument("[out]", "the file to write")
    .option("--type <type>", `one of ${OFFERED.join(", ")}`, oneOf(OFFERED))
    .option(
      "--output-type <type>",
      "of what gives logits, such as Q6_K (default: as --type has it)",
      oneOf(OUTPUT_TYPES),
    )
    .option("--imatrix <file>", "what each weight counts, as llama-imatrix measures it")
    .action(quantize);
  return addAdapterOption(verb);
}

async function quantize(
  input: string | undefined,
  out: string | undefined,
  options: Options,
): Promise<void> {
  const path = requireOption(out, "OUT");
  using interrupt = new Interrupt();
  using progress = new Progress(`Writing ${basename(path)}`);
  const result = await quantizeFile({
    input: requireModel(input),
    out: path,
    quant: requireOption(options.type, "--type"),
    outputType: options.outputType,
    source: withAdapters(options),
    importance: options.imatrix === undefined ? undefined : openImportance(options.imatrix),
    onProgress: (doneBytes, totalBytes) => progress.update(doneBytes, totalBytes),
    signal: interrupt.signal,
  });
  for (const line of describeReplaced(result.replaced)) writeErrorLine(line);
  const [first, ...others] = result.unweighed;
  if (first !== undefined) {
    const which = others.length === 0 ? first : `${first} and ${others.length} more`;
    writeErrorLine(
      `note: ${which}: the importance matrix does not have it, all weights count alike`,
    );
  }
  if (options.imatrix !== undefined && !result.isWeighed) {
    writeErrorLine("note: the importance matrix was not used: no type here is searched by one");
  }
  if (options.json) writeJson({ bytes: result.bytes });
  else {
    const sizes = `${formatBytes(result.bytes)}, from ${formatBytes(result.inputBytes)}`;
    writeOutLine(`${path}: ${sizes}`);
  }
}

/** The model with adapters in its weights, which are rounded once, when they are written. */
function withAdapters({ lora: adapters = [] }: Options): QuantizeSource | undefined {
  if (adapters.length === 0) return undefined;
  const used = adapters.map(({ path, scale = 1 }) => ({ adapter: openAdapter(path), scale }));
  return { open: (path) => applyAdapters(openGguf(path), used, "F32"), openTensors };
}

/** A line for each kind of replacement, not one for each tensor. */
function describeReplaced(replaced: readonly ReplacedType[]): string[] {
  const names = new Map<string, string[]>();
  for (const { name, wanted, type, columns } of replaced) {
    const kind = `${type} instead of ${wanted}, because rows of ${columns} weights do not divide`;
    names.set(kind, [...names.get(kind) ?? [], name]);
  }
  return [...names].map(([kind, tensors]) => {
    const which = tensors.length === 1
      ? tensors[0]
      : `${tensors[0]} and ${tensors.length - 1} more`;
    return `note: ${which}: ${kind} into its blocks`;
  });
}
