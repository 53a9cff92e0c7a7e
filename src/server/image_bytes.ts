/**
 * How much of a request's body is images and sounds. They count apart from its text: a telephone's
 * photo has as many bytes as a book, is decoded in a thread of its own, and never becomes tokens.
 */

/** Bytes of the images of a body, at the places alone where an API takes images. */
export function imageBytes(body: Record<string, unknown>): number {
  let bytes = lengths(body.images);
  for (const turn of [...items(body.messages), ...items(body.input)]) {
    const { images, content, output } = Object(turn);
    bytes += lengths(images) + partsBytes(content) + partsBytes(output);
  }
  return bytes;
}

/** Parts of a message; Anthropic's results of tools have parts of their own. */
function partsBytes(parts: unknown): number {
  let bytes = 0;
  for (const part of items(parts)) {
    bytes += partBytes(part);
    for (const inner of items(Object(part).content)) bytes += partBytes(inner);
  }
  return bytes;
}

function partBytes(part: unknown): number {
  const { type, image_url: url, source, input_audio: audio } = Object(part);
  if (type === "input_audio") return stringLength(Object(audio).data);
  if (type === "image") return stringLength(Object(source).data);
  if (type !== "image_url" && type !== "input_image") return 0;
  return stringLength(url) + stringLength(Object(url).url);
}

function lengths(strings: unknown): number {
  return items(strings).reduce<number>((sum, each) => sum + stringLength(each), 0);
}

/** Base64 is as many bytes as letters; of any other text this is no more than its bytes. */
function stringLength(value: unknown): number {
  return typeof value === "string" ? value.length : 0;
}

function items(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Bytes that no base64 has: quotes, commas, brackets, spaces, and all that is not ASCII. */
export function bytesBesideBase64(bytes: Uint8Array): number {
  let count = 0;
  for (let i = 0; i < bytes.length; i++) count += BESIDE_BASE64[bytes[i]];
  return count;
}

const BESIDE_BASE64 = Uint8Array.from(
  { length: 256 },
  (_, byte) => /[\w+/=-]/.test(String.fromCharCode(byte)) ? 0 : 1,
);
