/**
 * The bytes of a GGUF header, version 3: metadata and the table of tensors. Where the tensors' data
 * lies is the caller's business.
 */
import { check } from "../base/check.ts";
import { dtypeByName } from "../model/dtypes.ts";
import { HeaderBytes } from "./header_bytes.ts";
import type { MetadataEntry } from "./stored_values.ts";

/** What a header says. */
export interface HeaderSpec {
  /** "PWRI" marks PowerInfer's sparse models; left out: "GGUF". */
  readonly magic?: "GGUF" | "PWRI";
  readonly metadata: readonly MetadataEntry[];
  readonly tensors: readonly {
    readonly name: string;
    /** ggml type name in upper case. */
    readonly type: string;
    /** ggml order: columns first. */
    readonly dims: readonly number[];
  }[];
}

const VERSION = 3;

/**
 * The header's bytes; their number does not depend on the offsets.
 * @param offsets of each tensor's data, in bytes from the beginning of all data.
 */
export function encodeHeader(spec: HeaderSpec, offsets: readonly number[]): Uint8Array {
  const header = new HeaderBytes();
  header.raw(new TextEncoder().encode(spec.magic ?? "GGUF"));
  header.u32(VERSION);
  header.u64(spec.tensors.length);
  header.u64(spec.metadata.length);
  for (const [key, stored] of spec.metadata) {
    header.string(key);
    header.stored(stored);
  }
  spec.tensors.forEach(({ name, type: typeName, dims }, index) => {
    const type = dtypeByName(typeName);
    check(type !== undefined, `no tensor type "${typeName}"`);
    header.string(name);
    header.u32(dims.length);
    for (const dimension of dims) header.u64(dimension);
    header.u32(type.id);
    header.u64(offsets[index]);
  });
  return header.finish();
}
