/** What an image file says of itself before it is decoded. */
export interface ImageHeader {
  readonly kind: "png" | "jpeg" | "webp" | "gif" | "bmp";
  /** Pixels. */
  readonly width: number;
  readonly height: number;
}

/** As people call it, with an article. */
export function nameOf(kind: ImageHeader["kind"]): string {
  return { png: "a PNG", jpeg: "a JPEG", webp: "a WebP", gif: "a GIF", bmp: "a BMP" }[kind];
}
