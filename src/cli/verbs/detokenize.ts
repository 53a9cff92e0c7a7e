/** `detokenize MODEL --ids 1,2,3`: the text of token ids. */
import type { Command } from "commander";
import { openModelFile } from "../../bundle/mod.ts";
import { createTokenizer } from "../../tokenizer/mod.ts";
import { tokenIds } from "../option_values.ts";
import { writeJson, writeOutLine } from "../output.ts";
import { createDataVerb, requireKnownIds, requireModel, requireOption } from "../verb.ts";

interface Options {
  readonly ids?: readonly number[];
  readonly special?: boolean;
  readonly json?: boolean;
}

export function detokenizeVerb(): Command {
  return createDataVerb("detokenize", "Print the text of token ids.")
    .argument("[model]", "a .gguf or .ganglion file; one that holds a vocabulary only will do")
    .option("--ids <ids>", "token ids, such as 1,15043,29871", tokenIds)
    .option("--special", "print special tokens too")
    .action(detokenize);
}

function detokenize(model: string | undefined, options: Options): void {
  const path = requireModel(model);
  const ids = requireOption(options.ids, "--ids");
  const tokenizer = createTokenizer(openModelFile(path).file.metadata);
  requireKnownIds(ids, tokenizer.vocabSize);
  const text = tokenizer.decode(ids, { special: options.special });
  if (options.json) writeJson({ text });
  else writeOutLine(text);
}
