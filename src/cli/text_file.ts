/** Texts for verbs, from files or stdin. */
import { concatBytes } from "../base/bytes.ts";

/** The text of a file, byte for byte: a byte order mark is text. "-" is stdin. */
export function readTextFile(file: string): string {
  const bytes = file === "-" ? readStdin() : Deno.readFileSync(file);
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
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
