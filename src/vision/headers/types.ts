/** What an image file says of itself before it is decoded. */
export interface ImageHeader {
  readonly kind: "png" | "jpeg" | "webp" | "gif" | "bmp";
  /** Pixels. */
  readonly width: number;
  readonly height: number;
}

/** Of kinds whose decoders read the header again. */
export type PlainHeader = ImageHeader & { readonly kind: Exclude<ImageHeader["kind"], "png"> };

/** As people call it, with an article. */
export function nameOf(kind: ImageHeader["kind"]): string {
  return { png: "a PNG", jpeg: "a JPEG", webp: "a WebP", gif: "a GIF", bmp: "a BMP" }[kind];
}
