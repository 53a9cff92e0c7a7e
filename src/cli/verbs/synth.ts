/** `synth --shape NAME -o FILE`: a GGUF of a real model's shape with random weights. */
import type { Command } from "commander";
import { basename } from "node:path";
import { formatBytes } from "../../base/units.ts";
import { checkWritable } from "../../base/write_errors.ts";
import {
  describeShapes,
  type ShapeName,
  SHAPES,
  type ShapeSummary,
  SYNTH_QUANTS,
  synthesize,
  type SynthQuant,
} from "../../synth/mod.ts";
import { Interrupt } from "../interrupt.ts";
import { decimal, oneOf, wholeNumber } from "../option_values.ts";
import { writeJson, writeOutLine } from "../output.ts";
import { Progress } from "../progress.ts";
import { createDataVerb, requireOption } from "../verb.ts";

interface Options {
  readonly list?: boolean;
  readonly shape?: ShapeName;
  readonly quant: SynthQuant;
  readonly sparsity?: number;
  readonly predictors?: boolean;
  readonly predictorRank?: number;
  readonly powerinfer?: boolean;
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
    .option("--list", "show the shapes: layers, width, neurons, parameters")
    .option("--shape <name>", `one of ${SHAPE_NAMES.join(", ")}`, oneOf(SHAPE_NAMES))
    .option("--quant <type>", `one of ${SYNTH_QUANTS.join(", ")}`, oneOf(SYNTH_QUANTS), "Q4_0")
    .option(
      "--sparsity <s>",
      "share of neurons whose product is zero; makes it a ReLU model",
      decimal(SHARE),
    )
    .option("--predictors", "add predictors of silent neurons; needs --sparsity")
    .option("--predictor-rank <r>", "hidden units of the predictors", wholeNumber())
    .option("--powerinfer", "PowerInfer's form of the file, with predictors")
    .option("--seed <n>", "the same seed gives the same file", wholeNumber(), 1)
    .option("-o, --out <file>", "the file to write")
    .action(synth);
}

const SHARE = { min: 0, max: 1 };

async function synth(options: Options): Promise<void> {
  if (options.list) return listShapes(options);
  const path = requireOption(options.out, "--out");
  // From here on Ctrl-C leaves nothing behind, nor does the file that is tried.
  using interrupt = new Interrupt();
  checkWritable(path);
  using progress = new Progress(`Writing ${basename(path)}`);
  const result = await synthesize({
    shape: requireOption(options.shape, "--shape"),
    quant: options.quant,
    sparsity: options.sparsity,
    predictors: options.predictors,
    predictorRank: options.predictorRank,
    powerInfer: options.powerinfer,
    seed: options.seed,
    out: path,
    onProgress: (doneBytes, totalBytes) => progress.update(doneBytes, totalBytes),
    signal: interrupt.signal,
  });
  if (options.json) writeJson({ bytes: result.bytes, params: result.params });
  else {
    const params = result.params.toLocaleString("en");
    writeOutLine(`${path}: ${formatBytes(result.bytes)}, ${params} parameters`);
  }
}

function listShapes({ json }: Options): void {
  const shapes = describeShapes();
  if (json) return writeJson({ shapes });
  const rows = [COLUMNS, ...shapes.map(cells)];
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  for (const row of rows) {
    writeOutLine(row.map((cell, column) => cell.padEnd(widths[column])).join("  ").trimEnd());
  }
}

const COLUMNS = ["shape", "layers", "width", "neurons", "parameters", "activation", "predictor"];

function cells(shape: ShapeSummary): string[] {
  const { experts } = shape;
  const neurons = experts ? ` × ${experts.count}, ${experts.usedCount} used` : "";
  return [
    shape.name,
    `${shape.layers}`,
    `${shape.width}`,
    `${shape.neurons}${neurons}`,
    `${(shape.parameters / 1e9).toFixed(2)} billion`,
    shape.activation,
    shape.may_be_sparse ? `${shape.predictor_rank}` : "not sparse",
  ];
}
