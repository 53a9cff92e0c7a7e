/** A file that a person gives → an image as it is sent and kept, by the browser's decoders. */
import { EDGE_PX_MAX, IMAGE_CHARS_MAX, IMAGE_TYPES, sizeWithin } from "./image_urls.ts";

const JPEG_QUALITY = 0.9;
/** What is too long at the largest size is tried so much smaller, again and again. */
const SMALLER = 0.75;

/**
 * The image as a data URL: the file itself where it is small enough, else a smaller picture of it.
 * @throws {Error} with words for people, when the browser finds no image in it.
 */
export async function readImage(file: File): Promise<string> {
  using bitmap = closing(await decode(file));
  const isKnown = IMAGE_TYPES.includes(file.type);
  if (isKnown && Math.max(bitmap.image.width, bitmap.image.height) <= EDGE_PX_MAX) {
    const url = await dataUrl(file);
    if (url.length <= IMAGE_CHARS_MAX) return url;
  }
  for (let edge = EDGE_PX_MAX;; edge *= SMALLER) {
    const url = await dataUrl(await draw(bitmap.image, edge, file.type !== "image/jpeg"));
    if (url.length <= IMAGE_CHARS_MAX) return url;
  }
}

async function decode(file: File): Promise<ImageBitmap> {
  try {
    return await createImageBitmap(file);
  } catch {
    const name = file.name === "" ? "This" : `“${file.name.slice(0, 80)}”`;
    throw new Error(`${name} is no image that this browser can read.`);
  }
}

function closing(image: ImageBitmap) {
  return { image, [Symbol.dispose]: () => image.close() };
}

/** A picture of it: a JPEG, or a PNG where one sees through it. */
async function draw(image: ImageBitmap, edgeMax: number, mayBeClear: boolean): Promise<Blob> {
  const { width, height } = sizeWithin(image, edgeMax);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d")!;
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, width, height);
  const isClear = mayBeClear && hasClearPixel(context.getImageData(0, 0, width, height).data);
  return await canvas.convertToBlob(
    isClear ? { type: "image/png" } : { type: "image/jpeg", quality: JPEG_QUALITY },
  );
}

function hasClearPixel(rgba: Uint8ClampedArray): boolean {
  for (let at = 3; at < rgba.length; at += 4) if (rgba[at] < 255) return true;
  return false;
}

/** All of a file, as the page keeps it. */
export function dataUrl(blob: Blob): Promise<string> {
  const reader = new FileReader();
  return new Promise((resolve, reject) => {
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(new Error("The file cannot be read: is it still there?"));
    reader.readAsDataURL(blob);
  });
}
