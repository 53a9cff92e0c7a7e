/**
 * Reads the data of tensors: positional reads straight into the caller's view. Knows where tensors
 * lie; knows nothing of what their bytes mean.
 */
import { check } from "../base/check.ts";
import { ModelFormatError } from "../base/errors.ts";
import { type ByteSource, memorySource, openFileSource } from "./byte_source.ts";
import { readScaled } from "./scaled_tensors.ts";
import { readTernary } from "./ternary_tensors.ts";
import type { GgufFile, GgufTensor } from "./types.ts";

/** Makes the bytes of tensors that adapters change, or that are sums. */
export interface TensorMerger {
  /** As `TensorReader.read`; `reader` has the plain tensors that it is made of. */
  read(
    reader: TensorReader,
    tensor: GgufTensor,
    at: { readonly offsetBytes: number; readonly into: Uint8Array },
  ): void;
}

/**
 * Holds a model's files open; `using` closes it. Each thread opens its own: `file.parts` may be
 * posted.
 */
export class TensorReader implements Disposable {
  readonly #sources: readonly ByteSource[];
  readonly #merger: TensorMerger | null;

  private constructor(sources: readonly ByteSource[], merger: TensorMerger | null = null) {
    this.#sources = sources;
    this.#merger = merger;
  }

  /**
   * Opens all parts of a model. merger: left out, it has no tensors that adapters change.
   * @throws {ModelFormatError} when one is gone, or no longer as long as when its header was read.
   */
  static open(file: Pick<GgufFile, "parts">, merger: TensorMerger | null = null): TensorReader {
    const sources: ByteSource[] = [];
    try {
      for (const { path, sizeBytes } of file.parts) {
        const source = openFileSource(path);
        sources.push(source);
        checkLength(source, sizeBytes);
      }
    } catch (error) {
      for (const source of sources) source.close();
      throw error;
    }
    return new TensorReader(sources, merger);
  }

  /** A reader of a model in memory: `bytes` is what was given to `parseGguf`. */
  static ofBytes(bytes: Uint8Array): TensorReader {
    return TensorReader.ofAll([bytes]);
  }

  /** The same of several parts. */
  static ofAll(parts: readonly Uint8Array[], merger: TensorMerger | null = null): TensorReader {
    return new TensorReader(parts.map(memorySource), merger);
  }

  /**
   * Fills all of `into` with the tensor's bytes from `offsetBytes` (within the tensor) on. `into`
   * may be a view of shared memory.
   * @throws {ModelFormatError} when the file became shorter, or cannot be read.
   */
  read(tensor: GgufTensor, offsetBytes: number, into: Uint8Array): void {
    const end = offsetBytes + into.length;
    const isInside = Number.isSafeInteger(offsetBytes) && offsetBytes >= 0 &&
      end <= tensor.sizeBytes;
    check(isInside, `bytes ${offsetBytes} to ${end} of "${tensor.name}" (${tensor.sizeBytes})`);
    if (tensor.adapted !== undefined || tensor.summed !== undefined) {
      check(this.#merger !== null, `"${tensor.name}" is read by who knows adapters`);
      return this.#merger.read(this, tensor, { offsetBytes, into });
    }
    if (tensor.scaled !== undefined) {
      return readScaled(tensor.scaled, (own) => this.#sourceOf(own), { offsetBytes, into });
    }
    if (tensor.ternary !== undefined) {
      return readTernary(tensor, (own) => this.#sourceOf(own), { offsetBytes, into });
    }
    this.#sourceOf(tensor).read(tensor.offsetBytes + offsetBytes, into);
  }

  #sourceOf({ part, name }: GgufTensor): ByteSource {
    const source = this.#sources[part];
    check(source !== undefined, `part ${part} of "${name}" is not open`);
    return source;
  }

  /** All bytes of a tensor, in a buffer of their own: for vectors, not for matrices. */
  readAll(tensor: GgufTensor): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(tensor.sizeBytes);
    this.read(tensor, 0, bytes);
    return bytes;
  }

  /**
   * No file was written to since it was opened.
   * @throws {ModelFormatError} when one was.
   */
  requireUnchanged(): void {
    for (const source of this.#sources) source.requireUnchanged();
  }

  /** Closes all files; may be called twice. */
  close(): void {
    for (const source of this.#sources) source.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function checkLength(source: ByteSource, sizeBytes: number): void {
  if (source.sizeBytes === sizeBytes) return;
  const state =
    `the file had ${sizeBytes} bytes when it was opened and has ${source.sizeBytes} now`;
  const message = `Cannot read the tensors: ${state}: load the model again`;
  throw new ModelFormatError(message, { path: source.path, offsetBytes: source.sizeBytes });
}
