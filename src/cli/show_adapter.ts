/** `show ADAPTER`: what a file of an adapter or a control vector changes, and how to use it. */
import { readAdapter, readControlVector } from "../adapter/mod.ts";
import { formatBytes } from "../base/units.ts";
import { getString, type GgufFile } from "../gguf/mod.ts";
import { elementCount } from "../model/dtypes.ts";
import { writeJson, writeOutLine } from "./output.ts";

/**
 * Prints it.
 * @throws {ModelFormatError | UnsupportedModelError} when no model could use it.
 */
export function showAdapter(file: GgufFile, { json }: { readonly json?: boolean }): void {
  const { architecture, alpha, pairs, ignored } = readAdapter(file);
  const ranks = [...new Set([...pairs.values()].map(({ rank }) => rank))].sort((a, b) => a - b);
  const numbers = [...pairs.values()].flatMap(({ a, b }) => [a.dims, b.dims])
    .reduce((sum, dims) => sum + elementCount(dims), 0);
  const report = {
    kind: "lora",
    name: getString(file.metadata, "general.name", ""),
    arch: architecture,
    alpha,
    ranks,
    parameters: numbers,
    tensors: pairs.size,
    changes: kindsOf([...pairs.keys()]),
    ignored: ignored.length,
    file_bytes: file.parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  };
  if (json) return writeJson(report);
  const rows: [string, string][] = [
    ["name", report.name],
    ["adapter", "LoRA: it changes a model, use it with --lora beside the model's file"],
    ["architecture", architecture],
    ["rank", ranks.join(", ")],
    ["alpha", alpha === 0 ? "none" : `${alpha}`],
    ["parameters", numbers.toLocaleString("en")],
    ["changes", `${pairs.size} tensors: ${report.changes.join(", ")}`],
    ["file", formatBytes(report.file_bytes)],
  ];
  if (ignored.length > 0) rows.push(["not used", `${ignored.length} norms`]);
  writeRows(rows);
}

/**
 * The same of a control vector.
 * @throws {ModelFormatError} when no model could use it.
 */
export function showControlVector(file: GgufFile, { json }: { readonly json?: boolean }): void {
  const { hint, length, directions } = readControlVector(file);
  const layers = [...directions.keys()].sort((a, b) => a - b);
  const report = {
    kind: "controlvector",
    ...{ model_hint: hint, embedding_length: length, layers },
    file_bytes: file.parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  };
  if (json) return writeJson(report);
  writeRows([
    ["adapter", "control vector: use it with --control-vector beside the model's file"],
    ["made for", hint === "" ? "it does not say" : hint],
    ["width", `${length}`],
    ["layers", `${layers.length}, from ${layers[0]} to ${layers.at(-1)}`],
    ["file", formatBytes(report.file_bytes)],
  ]);
}

/** Keys in a column, values beside them. */
export function writeRows(rows: readonly (readonly [key: string, value: string])[]): void {
  writeOutLine(rows.map(([key, value]) => `${key.padEnd(12)}  ${value}`).join("\n"));
}

/** "blk.3.attn_q.weight" → "attn_q", each once, in order. */
function kindsOf(names: readonly string[]): string[] {
  return [...new Set(names.map((name) => name.replace(/^blk\.\d+\.|\.weight$/g, "")))];
}
