/**
 * Models that are split over several files: finds the parts by their names, checks that they
 * belong together, and merges their headers. Knows nothing of how a header is parsed.
 */
import { ModelFormatError } from "../base/errors.ts";
import type { PartHeader } from "./header.ts";
import { joinScales } from "./scaled_tensors.ts";
import { readAsTernary } from "./ternary_tensors.ts";
import type { GgufPart, GgufTensor, GgufValue, TypedGgufFile } from "./types.ts";

/** A part's header and where it came from. */
export interface ReadPart extends GgufPart {
  readonly header: PartHeader;
}

const COUNT_KEY = "split.count";
const INDEX_KEY = "split.no";
const TENSORS_KEY = "split.tensors.count";
/** What the splitter ends names with: -00001-of-00003.gguf. */
const NAME_END = /-(\d{5})-of-(\d{5})\.gguf$/;
const CURE = "put all parts of one download into one directory, under their original names";

/**
 * Of how many parts the model of `part` consists; 1 when it is not split.
 * @throws {ModelFormatError} when the number makes no sense.
 */
export function splitCount(part: ReadPart): number {
  const count = part.header.metadata.get(COUNT_KEY);
  if (count === undefined) return 1;
  if (typeof count !== "number" || !Number.isInteger(count) || count < 0 || count > 99_999) {
    throw partError(part, `metadata "${COUNT_KEY}" is no number of parts`);
  }
  // The splitter writes 0 into a file that it merged again.
  return Math.max(1, count);
}

/**
 * Paths of all parts, from the path of the first.
 * @throws {ModelFormatError} when `first` is another part, or not named like a part.
 */
export function splitPaths(first: ReadPart, count: number): string[] {
  const match = NAME_END.exec(first.path);
  if (!match) {
    throw partError(first, `its name does not end in ${nameEnd(0, count)}, it has ${count} parts`);
  }
  const stem = first.path.slice(0, match.index);
  const paths = Array.from({ length: count }, (_, index) => stem + nameEnd(index, count));
  if (Number(match[2]) !== count) {
    throw partError(first, `it has ${count} parts, its name says ${Number(match[2])}`);
  }
  if (Number(match[1]) !== 1) {
    throw partError(first, `it is part ${Number(match[1])}: open the first part, "${paths[0]}"`);
  }
  return paths;
}

/**
 * One file out of all parts, in order.
 * @throws {ModelFormatError} when they are not the parts of one model in their order.
 */
export function mergeParts(parts: readonly ReadPart[]): TypedGgufFile {
  const first = parts[0];
  if (parts.length > 1) {
    for (const [index, part] of parts.entries()) checkPart(part, { index, first });
  }
  const tensors = new Map<string, GgufTensor>();
  for (const part of parts) {
    for (const tensor of part.header.tensors) {
      if (tensors.has(tensor.name)) {
        throw partError(part, `tensor "${tensor.name}" is in another part too`);
      }
      tensors.set(tensor.name, tensor);
    }
  }
  const expected = first.header.metadata.get(TENSORS_KEY);
  if (parts.length > 1 && expected !== undefined && expected !== tensors.size) {
    throw partError(first, `its parts hold ${tensors.size} tensors, it should have ${expected}`);
  }
  const { magic, version, metadata, metadataTypes } = first.header;
  const places = parts.map(({ path, sizeBytes }) => ({ path, sizeBytes }));
  const read = readAsTernary(joinScales(tensors));
  return { magic, version, metadata, metadataTypes, tensors: read, parts: places };
}

/** Checks that `part` is number `index` of the model that `first` begins. */
function checkPart(part: ReadPart, place: { index: number; first: ReadPart }): void {
  const { header } = part;
  const { index, first } = place;
  if (header.magic !== first.header.magic || header.version !== first.header.version) {
    throw partError(part, "it is of another format than the first part");
  }
  const no = header.metadata.get(INDEX_KEY);
  if (no !== index) {
    const state = typeof no === "number" ? `it is part ${no + 1} by its content` : "it is no part";
    throw partError(part, `${state} and part ${index + 1} by its name`);
  }
  // Later parts repeat few keys; those that they repeat tell models apart.
  for (const [key, value] of header.metadata) {
    const other = first.header.metadata.get(key);
    if (key === INDEX_KEY || key === "general.alignment" || other === undefined) continue;
    if (isScalar(value) && !Object.is(value, other)) {
      throw partError(part, `it is a part of another model: its "${key}" differs from the first's`);
    }
  }
  if (header.metadata.get(COUNT_KEY) !== first.header.metadata.get(COUNT_KEY)) {
    throw partError(part, "it is no part of a split model");
  }
}

function isScalar(value: GgufValue): boolean {
  return typeof value !== "object";
}

function nameEnd(index: number, count: number): string {
  return `-${String(index + 1).padStart(5, "0")}-of-${String(count).padStart(5, "0")}.gguf`;
}

function partError(part: ReadPart, state: string): ModelFormatError {
  const message = `Cannot use this part of a split model: ${state}: ${CURE}`;
  return new ModelFormatError(message, { path: part.path, offsetBytes: 0 });
}
