/** `show IMATRIX`: on what an importance matrix was measured, and how to use it. */
import { basename } from "node:path";
import { formatBytes } from "../base/units.ts";
import { getNumber, type GgufFile } from "../gguf/mod.ts";
import { openImportance } from "../quantize/mod.ts";
import { writeJson } from "./output.ts";
import { writeRows } from "./show_adapter.ts";

/**
 * Prints it.
 * @throws {ModelFormatError} when `quantize` could not use it.
 */
export function showImportance(file: GgufFile, { json }: { readonly json?: boolean }): void {
  const { matrixCount, text: { datasets, chunkCount } } = openImportance(file.parts[0].path);
  const report = {
    kind: "imatrix",
    ...{ matrices: matrixCount, datasets, windows: chunkCount },
    window_tokens: getNumber(file.metadata, "imatrix.chunk_size", 0),
    file_bytes: file.parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  };
  if (json) return writeJson(report);
  const { windows, window_tokens: tokens } = report;
  writeRows([
    [
      "importance",
      "what each weight counts: use it with quantize --imatrix beside the model's file",
    ],
    ["matrices", `${matrixCount}`],
    [
      "measured on",
      datasets.map((path) => JSON.stringify(basename(path))).join(", ") || "not said",
    ],
    ["windows", tokens === 0 ? `${windows}` : `${windows} of ${tokens} tokens`],
    ["file", formatBytes(report.file_bytes)],
  ]);
}
