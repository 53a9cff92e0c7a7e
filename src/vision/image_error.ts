/** Errors about images that clients send. */
import { RequestError } from "../base/errors.ts";
import { type ImageHeader, nameOf } from "./headers/types.ts";

/** A file that cannot be read as what it is. */
export function damaged(kind: ImageHeader["kind"], what: string): RequestError {
  return new RequestError(
    `Cannot read the image: its file begins as ${nameOf(kind)}, but ${what}: send it again, or ` +
      "save it anew with another program",
    { status: 400, code: "invalid_image", param: "messages" },
  );
}

/** A file of no kind that is read. */
export function unknown(what: string): RequestError {
  return new RequestError(
    `Cannot read the image: ${what}: send a PNG, JPEG, WebP, GIF or BMP`,
    { status: 400, code: "invalid_image", param: "messages" },
  );
}

/** A file that could be read, but is more than images may be. */
export function tooLarge(what: string, todo: string): RequestError {
  return new RequestError(`Cannot look at the image: ${what}: ${todo}`, {
    ...{ status: 400, code: "image_too_large", param: "messages" },
  });
}
