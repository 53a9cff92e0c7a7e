/** The flags of adapters and control vectors: which, how much of each, and where they count. */
import type { Command } from "commander";
import { InvalidArgumentError, Option } from "commander";
import { type SteeredLayers, SUM_TYPES, type SumType } from "../adapter/mod.ts";
import type { AdapterChoice, LoadOptions, NamedAdapter } from "../llm/mod.ts";
import { list, oneOf } from "./option_values.ts";

/** What `addAdapterOptions` parses. */
export interface AdapterFlags {
  readonly lora?: readonly AdapterChoice[];
  readonly loraType?: SumType;
  readonly controlVector?: readonly AdapterChoice[];
  readonly controlVectorScaled?: readonly AdapterChoice[];
  readonly controlVectorLayers?: SteeredLayers;
}

/** Adds the flags of every verb that loads a model with adapters, or plans how to. */
export function addAdapterOptions(verb: Command): Command {
  return addControlVectorOptions(addAdapterOption(verb))
    .option(
      "--lora-type <type>",
      `type of matrices that adapters change, one of ${SUM_TYPES.join(", ").toLowerCase()} ` +
        "(default: auto, their own if of floats, else q8_0; same: always their own)",
      oneOf(SUM_TYPES),
    );
}

/** Also by the names that llama.cpp has for them. */
function addControlVectorOptions(verb: Command): Command {
  return verb
    .option(
      "--control-vector <file>",
      "a control vector (.gguf) of the model, half of it with file:0.5; may be given several times",
      adapterChoices,
    )
    .option(
      "--control-vector-layers <range>",
      "layers that control vectors steer, such as 10-20 (default: all that they are made for)",
      layerRange,
    )
    .addOption(
      new Option("--control-vector-scaled <file:scale>", "as --control-vector")
        .argParser(adapterChoices).hideHelp(),
    )
    .addOption(
      new Option("--control-vector-layer-range <range>", "as --control-vector-layers")
        .argParser(elsewhere).hideHelp(),
    );
}

/** "10-20" → the first and the last. */
function layerRange(text: string): SteeredLayers {
  const [, first, last] = /^\s*(\d{1,6})\s*-\s*(\d{1,6})\s*$/.exec(text) ?? [];
  if (first !== undefined && Number(first) <= Number(last)) {
    return { first: Number(first), last: Number(last) };
  }
  throw new InvalidArgumentError("The first and the last layer are needed, such as 10-20.");
}

function elsewhere(): never {
  throw new InvalidArgumentError("Its two numbers are one here: --control-vector-layers 10-20.");
}

/** Adds `--lora` alone. */
export function addAdapterOption(verb: Command): Command {
  return verb.option(
    "--lora <file>",
    "an adapter (LoRA, .gguf) of the model, half of it with file:0.5; may be given several times",
    adapterChoices,
  );
}

/** "a.gguf,b.gguf:0.5" → adapters and how much of each, behind those of `before`. */
export function adapterChoices(
  text: string,
  before: readonly AdapterChoice[] = [],
): AdapterChoice[] {
  return [...before, ...list(text).map(adapterChoice)];
}

/** A path may have colons of its own: a file that is there is meant as it is written. */
function adapterChoice(text: string): AdapterChoice {
  const [, path, scale] = /^(.+):([^:\\/]*)$/.exec(text) ?? [];
  if (scale === undefined || isFile(text)) return { path: text };
  const value = scale.trim() === "" ? NaN : Number(scale);
  if (Number.isFinite(value)) return { path, scale: value };
  if (/\.gguf$/i.test(scale)) return { path: text };
  throw new InvalidArgumentError("A file is needed, or a file and a number, such as a.gguf:0.5.");
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** Adds `--lora-model`, of who has several models. */
export function addNamedAdapterOption(verb: Command): Command {
  return verb.option(
    "--lora-model <name=file>",
    "the same model with this adapter under another name, such as poet=poet.gguf:0.8; may be " +
      "given several times; they share the weights where they can",
    namedAdapters,
  );
}

/** "poet=poet.gguf:0.8,other=other.gguf" → names and adapters, behind those of `before`. */
export function namedAdapters(text: string, before: readonly NamedAdapter[] = []): NamedAdapter[] {
  return [
    ...before,
    ...list(text).map((each) => {
      const [, id, rest] = /^([^=\\/]+)=(.+)$/.exec(each) ?? [];
      if (id !== undefined) return { id: id.trim(), adapter: adapterChoice(rest.trim()) };
      throw new InvalidArgumentError("A name and a file are needed, such as poet=poet.gguf.");
    }),
  ];
}

/** The load options of the flags. */
export function adaptersOf(
  { lora: adapters, loraType: adapterType, ...steering }: AdapterFlags,
): Pick<LoadOptions, "adapters" | "adapterType" | "controlVectors" | "controlVectorLayers"> {
  const { controlVector = [], controlVectorScaled = [], controlVectorLayers } = steering;
  const controlVectors = [...controlVector, ...controlVectorScaled];
  return {
    ...{ ...adapters && { adapters }, ...adapterType && { adapterType } },
    ...controlVectors.length > 0 && { controlVectors },
    ...controlVectorLayers && { controlVectorLayers },
  };
}
