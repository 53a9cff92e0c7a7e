/**
 * Opens a packed file: its header and tables are read and checked, and nothing else. What a file
 * says of itself is hostile until it agrees with what follows from the model's tensors.
 */
import { statSync } from "node:fs";
import { crc32 } from "node:zlib";
import { type ByteSource, openFileSource } from "../gguf/byte_source.ts";
import { type PartHeader, readHeader } from "../gguf/header.ts";
import { HEADER_BYTES_MAX } from "../gguf/header_cursor.ts";
import type { TypedGgufFile } from "../gguf/types.ts";
import { describeModel } from "../model/describe.ts";
import { decodeSums } from "./checksums.ts";
import { type FileLayout, layOutFile } from "./file_layout.ts";
import { damaged, decodePage, FILE_PAGE_BYTES, type FilePage, REPACK } from "./format.ts";
import type { FileStamp, PackedModel } from "./types.ts";
import { decodeTable } from "./unit_table.ts";
import { type UnitShape, unitShape, unitSources } from "./units.ts";

/** A packed file with what only its keepers need to know. */
export interface OpenedFile {
  readonly model: PackedModel;
  readonly layout: FileLayout;
  /** Of each MiB before them: checksums.ts. */
  readonly sums: Uint32Array;
  readonly ggufBytes: number;
}

/**
 * Opens a packed model; its file is closed again. Bundles, factors and fixed tensors are not read.
 * @throws {ModelFormatError} when it is no packed model, of another version, not whole or damaged.
 */
export function openPacked(path: string): PackedModel {
  return openPackedFile(path).model;
}

/** @throws {ModelFormatError} as `openPacked`. */
export function openPackedFile(path: string): OpenedFile {
  const source = openFileSource(path);
  try {
    return new Opening(source).open();
  } finally {
    source.close();
  }
}

/** Orders and rates are posted to every thread: in shared memory there is one of each. */
function sharedCopy(bytes: Uint8Array): Uint8Array<SharedArrayBuffer> {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}

class Opening {
  readonly #source: ByteSource;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  open(): OpenedFile {
    const { path, sizeBytes } = this.#source;
    const stamp = this.#stamp();
    const page = this.#page();
    const header = this.#header(page);
    const tensors = new Map(header.tensors.map((tensor) => [tensor.name, tensor]));
    const { magic, version, metadata, metadataTypes } = header;
    const parts = [{ path, sizeBytes }];
    const file: TypedGgufFile = { magic, version, metadata, metadataTypes, tensors, parts };
    const shapes = unitSources(describeModel(file))
      .map((source) => unitShape(source, tensors, page.alignBytes));
    const layout = this.#layout(page, header, shapes);
    const table = this.#read(layout.tableOffsetBytes, page.tableBytes);
    if (crc32(table) !== page.tableSum) {
      throw damaged(path, layout.tableOffsetBytes, `its tables were changed: ${REPACK}`);
    }
    const units = decodeTable(sharedCopy(table), {
      shapes,
      places: layout.units,
      tensorIndex: new Map(header.tensors.map(({ name }, index) => [name, index])),
      hasRates: page.hasRates,
    }, { path, offsetBytes: layout.tableOffsetBytes });
    const { sumsOffsetBytes, fileBytes } = layout;
    const sums = decodeSums(this.#read(sumsOffsetBytes, fileBytes - sumsOffsetBytes));
    if (sums === null) {
      throw damaged(path, sumsOffsetBytes, `its checksums were changed: ${REPACK}`);
    }
    const { alignBytes, sourceFingerprint, ggufBytes } = page;
    const model = { path, stamp, alignBytes, file, units, sourceFingerprint };
    return { model, layout, sums, ggufBytes };
  }

  #stamp(): FileStamp {
    const { path, sizeBytes } = this.#source;
    const { size, mtimeMs, ino } = statSync(path);
    if (size !== sizeBytes) throw damaged(path, sizeBytes, "it is changing: open it again");
    return { sizeBytes, modifiedMs: mtimeMs, inode: ino > 0 ? ino : null };
  }

  #page(): FilePage {
    const { path, sizeBytes } = this.#source;
    if (sizeBytes < FILE_PAGE_BYTES) {
      throw damaged(path, sizeBytes, `it has ${sizeBytes} bytes only: ${REPACK}`);
    }
    const page = decodePage(this.#read(0, FILE_PAGE_BYTES), path);
    if (page.fileBytes === sizeBytes) return page;
    const state = `it should have ${page.fileBytes} bytes and has ${sizeBytes}: copy it again`;
    throw damaged(path, Math.min(sizeBytes, page.fileBytes), state);
  }

  /** The GGUF header, offsets of tensors from the file's beginning. */
  #header({ ggufBytes, ggufSum }: FilePage): PartHeader {
    const { path, sizeBytes } = this.#source;
    const isSane = ggufBytes <= HEADER_BYTES_MAX && FILE_PAGE_BYTES + ggufBytes <= sizeBytes;
    const bytes = isSane ? this.#read(FILE_PAGE_BYTES, ggufBytes) : null;
    if (bytes === null || crc32(bytes) !== ggufSum) {
      throw damaged(path, FILE_PAGE_BYTES, `its metadata were changed: ${REPACK}`);
    }
    const { tensors, ...rest } = readHeader(headerSource(path, bytes), 0);
    const place = (offsetBytes: number) => FILE_PAGE_BYTES + offsetBytes;
    return {
      ...rest,
      tensors: tensors.map((each) => ({ ...each, offsetBytes: place(each.offsetBytes) })),
    };
  }

  /** What follows from the tensors, if the file agrees. */
  #layout(page: FilePage, header: PartHeader, units: readonly UnitShape[]): FileLayout {
    const { path, sizeBytes } = this.#source;
    const { ggufBytes, hasRates } = page;
    const { metadata, tensors } = header;
    const layout = layOutFile({ ggufBytes, metadata, tensors, units, hasRates });
    const { tensorOffsets, fileBytes, tableBytes } = layout;
    const agrees = fileBytes === sizeBytes && tableBytes === page.tableBytes &&
      tensors.every((tensor, index) => tensor.offsetBytes === tensorOffsets[index]);
    if (agrees) return layout;
    const state = "its parts lie otherwise than this version reads them";
    throw damaged(path, FILE_PAGE_BYTES, `${state}: ${REPACK}`);
  }

  #read(offsetBytes: number, sizeBytes: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(sizeBytes);
    this.#source.read(offsetBytes, bytes);
    return bytes;
  }
}

/** A GGUF header as the beginning of a file that is as long as it likes to be. */
function headerSource(path: string, header: Uint8Array): ByteSource {
  return {
    path,
    sizeBytes: Number.MAX_SAFE_INTEGER,
    read(offsetBytes, into) {
      into.fill(0);
      into.set(header.subarray(offsetBytes, offsetBytes + into.length));
    },
    requireUnchanged() {},
    close() {},
  };
}
