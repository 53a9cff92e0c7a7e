/** `synth --shape NAME -o FILE`: a GGUF of a real model's shape with random weights. */
import type { Command } from "commander";
import { basename } from "node:path";
import { formatBytes } from "../../base/units.ts";
import { type Quant, QUANTS, type ShapeName, SHAPES, synthesize } from "../../synth/mod.ts";
import { decimal, oneOf, wholeNumber } from "../option_values.ts";
import { writeJson, writeOutLine } from "../output.ts";
import { Progress } from "../progress.ts";
import { createDataVerb, requireOption } from "../verb.ts";

interface Options {
  readonly shape?: ShapeName;
  readonly quant: Quant;
  readonly sparsity?: number;
  readonly seed: number;
  readonly out?: string;
  readonly json?: boolean;
}

const SHAPE_NAMES = Object.keys(SHAPES) as ShapeName[];

export function synthVerb(): Command {
  return createDataVerb(
    "synth",
    "Make a model of a real shape with random weights, for speed work.",
  )
    .option("--shape <name>", `one of ${SHAPE_NAMES.join(", ")}`, oneOf(SHAPE_NAMES))
    .option("--quant <type>", `one of ${QUANTS.join(", ")}`, oneOf(QUANTS), "Q4_0")
    .option("--sparsity <s>", "share of silent neurons; makes it a ReLU model", decimal(SHARE))
    .option("--seed <n>", "the same seed gives the same file", wholeNumber(), 1)
    .option("-o, --out <file>", "the file to write")
    .action(synth);
}

const SHARE = { min: 0, max: 1 };

function synth({ shape, quant, sparsity, seed, out, json }: Options): void {
  const path = requireOption(out, "--out");
  using progress = new Progress(`Writing ${basename(path)}`);
  const result = synthesize({
    shape: requireOption(shape, "--shape"),
    quant,
    sparsity,
    seed,
    out: path,
    onProgress: (doneBytes, totalBytes) => progress.update(doneBytes, totalBytes),
  });
  if (json) writeJson({ bytes: result.bytes, params: result.params });
  else {
    const params = result.params.toLocaleString("en");
    writeOutLine(`${path}: ${formatBytes(result.bytes)}, ${params} parameters`);
  }
}
