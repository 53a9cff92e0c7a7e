/**
 * Images as the page has them: data URLs, which its policy lets it show and the server reads. How
 * large and how many they may be; pure, knows no browser.
 */
import type { ChatNode } from "../types.ts";
import { isDataUrl } from "./data_urls.ts";

/** Of a message. */
export const IMAGES_MAX = 8;
/** Characters of one: a message of eight is under the 8 MiB that a server takes by default. */
export const IMAGE_CHARS_MAX = 1_000_000;
/** Models look at no more of an image, or at little more. */
export const EDGE_PX_MAX = 1568;
/** What servers read, and every browser shows. */
export const IMAGE_TYPES: readonly string[] = [
  "image/png",
  "image/jpeg",
  "image/webp",
  "image/gif",
];

const HEAD = /^data:image\/(?:png|jpeg|webp|gif);base64,/;

/** Whether a value is an image that the page would make itself: no drawing, no other address. */
export function isImageUrl(value: unknown): value is string {
  return isDataUrl(value, HEAD, IMAGE_CHARS_MAX);
}

/** Images of a message, as it is kept: no field where there are none. */
export function withImages(images: readonly string[]): Pick<ChatNode, "images"> {
  return images.length === 0 ? {} : { images };
}

/** Width and height of an image whose longer edge is at most `edgeMax`, in whole pixels. */
export function sizeWithin(
  { width, height }: { readonly width: number; readonly height: number },
  edgeMax: number,
): { readonly width: number; readonly height: number } {
  const scale = Math.min(1, edgeMax / Math.max(width, height));
  const scaled = (length: number) => Math.max(1, Math.round(length * scale));
  return { width: scaled(width), height: scaled(height) };
}
