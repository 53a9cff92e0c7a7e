/** `tokenize MODEL --text T | --file F`: the ids of a text, byte for byte as given. */
import type { Command } from "commander";
import { UsageError } from "../../base/errors.ts";
import { openModelFile } from "../../bundle/mod.ts";
import { createTokenizer } from "../../tokenizer/mod.ts";
import { writeJson, writeOutLine } from "../output.ts";
import { readTextFile } from "../text_file.ts";
import { createDataVerb, requireModel } from "../verb.ts";

interface Options {
  readonly text?: string;
  readonly file?: string;
  readonly special?: boolean;
  readonly json?: boolean;
}

export function tokenizeVerb(): Command {
  return createDataVerb("tokenize", "Print the token ids of a text; no BOS or EOS is added.")
    .argument("[model]", "a .gguf or .ganglion file; one that holds a vocabulary only will do")
    .option("--text <text>", "the text")
    .option("--file <file>", "the file that holds the text; - is stdin")
    .option("--special", "recognise special tokens in the text")
    .action(tokenize);
}

function tokenize(model: string | undefined, options: Options, verb: Command): void {
  const path = requireModel(model);
  const text = readText(stronger(options, verb));
  const { file: { metadata } } = openModelFile(path);
  const ids = createTokenizer(metadata).encode(text, { special: options.special });
  if (options.json) writeJson({ ids });
  else writeOutLine(ids.join(","));
}

/** Of the two ways to give a text a flag beats the environment, as everywhere. */
function stronger(options: Options, verb: Command): Options {
  const isFlag = (name: string) => verb.getOptionValueSource(name) === "cli";
  if (isFlag("text") && !isFlag("file")) return { ...options, file: undefined };
  if (isFlag("file") && !isFlag("text")) return { ...options, text: undefined };
  return options;
}

function readText({ text, file }: Options): string {
  if (text !== undefined && file !== undefined) {
    throw new UsageError("Cannot tokenize both --text and --file: give one of them");
  }
  if (text !== undefined) return text;
  if (file === undefined) throw new UsageError("Cannot tokenize nothing: give --text or --file");
  return readTextFile(file);
}
