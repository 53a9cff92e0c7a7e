/** Results to the lines of output and error files, as OpenAI writes them. */
import { type IndexedResult, isCompleted } from "./batch_store.ts";

const PIECE_CHARS = 2 ** 16;

/** The file that a result belongs to. */
export function fileOf({ result }: IndexedResult): "output" | "error" {
  return isCompleted(result) ? "output" : "error";
}

/**
 * Those results of a batch that belong to one of its two files. Made again, it is the same, byte
 * for byte.
 */
export async function* writeResults(
  batchId: string,
  results: AsyncIterable<IndexedResult>,
  file: "output" | "error",
): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  let text = "";
  for await (const each of results) {
    if (fileOf(each) !== file) continue;
    text += outputLine(batchId, each);
    if (text.length < PIECE_CHARS) continue;
    yield encoder.encode(text);
    text = "";
  }
  if (text !== "") yield encoder.encode(text);
}

function outputLine(batchId: string, { index, customId, result }: IndexedResult): string {
  const line = {
    id: `batch_req_${batchId.replace(/^batch_/, "")}_${index}`,
    custom_id: customId,
    ...result,
  };
  return JSON.stringify(line) + "\n";
}
