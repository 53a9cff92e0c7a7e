/** Texts for verbs, from files or stdin. */
import { concatBytes } from "../base/bytes.ts";
import { readFile } from "../base/read_errors.ts";
import { writeErrorLine } from "./output.ts";

/**
 * The text of a file, byte for byte: a byte order mark is text. "-" is stdin, and so is
 * "/dev/stdin", which Deno opens for nobody. What is no UTF-8 is told: it becomes "\ufffd".
 * @throws {Error} when there is none, or it may not be read.
 */
export function readTextFile(file: string): string {
  const bytes = file === "-" || file === "/dev/stdin" ? readStdin() : readFile(file);
  try {
    return new TextDecoder("utf-8", { ignoreBOM: true, fatal: true }).decode(bytes);
  } catch {
    const name = file === "-" ? "stdin" : `"${file}"`;
    writeErrorLine(
      `note: ${name} is not UTF-8 everywhere: bytes that are not are read as "\ufffd"`,
    );
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  }
}

function readStdin(): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (;;) {
    const buffer = new Uint8Array(65536);
    const count = Deno.stdin.readSync(buffer);
    if (count === null) break;
    pieces.push(buffer.subarray(0, count));
  }
  return concatBytes(pieces);
}
