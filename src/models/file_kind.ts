/**
 * What a file in a folder of models is, by what its first bytes say of it: files beside models have
 * their ending, too. Looks at a page of each file once, and again when it has changed.
 */
export type FileKind = "model" | "adapter" | "projector" | "draft";

/** What writers say of a file comes first in it. */
const LOOK_BYTES = 4096;
/** Entries of a header by which a file is no model. */
const MARKS: readonly (readonly [key: string, value: string, kind: FileKind])[] = [
  ["general.type", "adapter", "adapter"],
  ["adapter.type", "lora", "adapter"],
  ["general.architecture", "controlvector", "adapter"],
  ["general.type", "mmproj", "projector"],
  ["general.architecture", "clip", "projector"],
  ["general.architecture", "eagle3", "draft"],
];
const ENTRIES = MARKS.map(([key, value, kind]) => ({ kind, bytes: stringEntry(key, value) }));

export class FileKinds {
  #known = new Map<string, { readonly version: string; readonly kind: FileKind }>();

  /** Of a file that cannot be looked at: a model, and whoever opens it says what is wrong. */
  of(path: string): FileKind {
    try {
      const { isFile, size, mtime } = Deno.statSync(path);
      // Opening a pipe would wait for whoever writes to it.
      if (!isFile) return "model";
      const version = `${size} ${mtime?.getTime()}`;
      const known = this.#known.get(path);
      if (known?.version === version) return known.kind;
      const kind = kindOf(firstBytes(path));
      this.#known.set(path, { version, kind });
      return kind;
    } catch {
      return "model";
    }
  }

  /** Forgets files that are not there any more. */
  keepOnly(paths: readonly string[]): void {
    const there = new Set(paths);
    for (const path of this.#known.keys()) if (!there.has(path)) this.#known.delete(path);
  }
}

function kindOf(bytes: string): FileKind {
  if (!bytes.startsWith("GGUF")) return "model";
  return ENTRIES.find((entry) => bytes.includes(entry.bytes))?.kind ?? "model";
}

/** A character a byte. */
function firstBytes(path: string): string {
  using file = Deno.openSync(path);
  const bytes = new Uint8Array(LOOK_BYTES);
  const count = file.readSync(bytes) ?? 0;
  return new TextDecoder("latin1").decode(bytes.subarray(0, count));
}

/** An entry of a GGUF header (version 3) as its bytes: key, type, value. */
function stringEntry(key: string, value: string): string {
  return counted(key) + "\x08\0\0\0" + counted(value);
}

function counted(text: string): string {
  return String.fromCharCode(text.length) + "\0".repeat(7) + text;
}
