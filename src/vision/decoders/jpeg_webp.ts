/**
 * JPEG by mozjpeg and WebP by libwebp, compiled to WebAssembly: what goes wrong in them stays in
 * them. Each image gets an instance of its own, whose memory goes with it.
 */
import mozjpeg from "@jsquash/jpeg/codec/dec/mozjpeg_dec.js";
import libwebp from "@jsquash/webp/codec/dec/webp_dec.js";
import { damaged } from "../image_error.ts";
import type { Raster } from "../types.ts";
import { layOnWhite } from "./lay_on_white.ts";
import { wasmModule } from "./wasm_module.ts";

/** A library's code around its WebAssembly. */
type Library<T> = (options: Record<string, unknown>) => Promise<T>;

const MOZJPEG = import.meta.resolve("@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm");
const LIBWEBP = import.meta.resolve("@jsquash/webp/codec/dec/webp_dec.wasm");

/** As cameras say that it should stand. @throws {RequestError} 400 when it is damaged. */
export async function decodeJpeg(file: Uint8Array): Promise<Raster> {
  const messages: string[] = [];
  const library = await instantiate(mozjpeg as Library<JpegLibrary>, MOZJPEG, messages);
  const raster = decodeBy("jpeg", messages, () => library.decode(bufferOf(file), true));
  // It goes on in grey.
  if (!messages.some((text) => /premature end/i.test(text))) return raster;
  throw damaged("jpeg", "it ends before its pixels do");
}

/** On white, where it is seen through. @throws {RequestError} 400 when it is damaged. */
export async function decodeWebp(file: Uint8Array): Promise<Raster> {
  const messages: string[] = [];
  const library = await instantiate(libwebp as Library<WebpLibrary>, LIBWEBP, messages);
  const raster = decodeBy("webp", messages, () => library.decode(bufferOf(file)));
  layOnWhite(raster, 3);
  return raster;
}

interface JpegLibrary {
  decode(file: ArrayBuffer, isTurned: boolean): ImageData | null;
}

interface WebpLibrary {
  decode(file: ArrayBuffer): ImageData | null;
}

/** What it prints goes to `messages`. */
async function instantiate<T>(
  library: Library<T>,
  url: string,
  messages: string[],
): Promise<T> {
  const module = await wasmModule(url);
  const keep = (text: string) => messages.push(text);
  return await library({
    ...{ noInitialRun: true, print: keep, printErr: keep },
    instantiateWasm(
      imports: WebAssembly.Imports,
      done: (instance: WebAssembly.Instance) => void,
    ) {
      const instance = new WebAssembly.Instance(module, imports);
      done(instance);
      return instance.exports;
    },
  });
}

function decodeBy(
  kind: "jpeg" | "webp",
  messages: readonly string[],
  decode: () => ImageData | null,
): Raster {
  let image: ImageData | null = null;
  try {
    image = decode();
  } catch (error) {
    if (error instanceof Error) messages = [...messages, error.message];
  }
  if (image === null) {
    throw damaged(kind, `it cannot be decoded (${messages.at(-1) ?? "it is damaged"})`);
  }
  const { width, height, data: { buffer, byteOffset, length } } = image;
  const bytes = new Uint8Array(buffer, byteOffset, length);
  return {
    ...{ width, height, bytes, start: 0, rowStride: 4 * width, pixelStride: 4 },
    channels: [0, 1, 2],
  };
}

function bufferOf({ buffer, byteOffset, length }: Uint8Array): ArrayBuffer {
  const isAll = byteOffset === 0 && length === buffer.byteLength;
  return (isAll ? buffer : buffer.slice(byteOffset, byteOffset + length)) as ArrayBuffer;
}
