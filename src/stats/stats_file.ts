/**
 * The file of firing statistics:
 *
 *     GANGLION-STATS 1 <SHA-256 of all that follows this line>\n
 *     {JSON header}\n
 *     counts of buckets "1", "2", "3", "4", "prefill", each [layers, neurons]: u16, or u32 where
 *       the header's countBytes is 4, little-endian
 *     loudness f64 [layers, LOUDNESS_BINS], where the header says so
 *
 * The header is `Header` below. A file is believed when its size is what the header makes it, its
 * sum what the first line says, and no neuron fired more often than it could.
 */

import { createHash } from "node:crypto";
import { rmSync } from "node:fs";
import { z } from "zod";
import { concatBytes } from "../base/bytes.ts";
import { brief } from "../base/errors.ts";
import { readFile } from "../base/read_errors.ts";
import { MiB } from "../base/units.ts";
import { explainWriteError } from "../base/write_errors.ts";
import { ACTIVATION_NAMES } from "../reference/activation_ops.ts";
import { LOUDNESS_BINS } from "./loudness.ts";
import { emptyStats } from "./firing_stats.ts";
import { BUCKETS, type FiringStats } from "./types.ts";

const MAGIC = "GANGLION-STATS ";
const VERSION = 1;
const FIRST_LINE_BYTES_MAX = 200;
const HEADER_BYTES_MAX = MiB;

const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const share = z.number().min(0).max(1);
const hash = z.string().regex(/^[0-9a-f]{64}$/);
const loud = z.number().min(0);

const Header = z.strictObject({
  subject: z.strictObject({
    architecture: z.string().max(100),
    modelFingerprint: hash,
    layerCount: z.number().int().min(1).max(10_000),
    neuronCount: z.number().int().min(1).max(100_000_000),
    activation: z.enum(ACTIVATION_NAMES),
    textHash: hash,
    windowTokens: z.number().int().min(1).max(1 << 20),
    groupCount: z.number().int().min(1).max(2 ** 31),
    sparsity: share.nullable(),
  }),
  groupsDone: count,
  thresholds: z.array(loud).max(10_000).nullable(),
  units: z.strictObject({ 1: count, 2: count, 3: count, 4: count, prefill: count }),
  measured: z.array(z.strictObject({
    sparsity: share,
    pplDense: z.number().positive(),
    pplSparse: z.number().positive(),
    tokens: count,
  })).max(1000),
  countBytes: z.union([z.literal(2), z.literal(4)]),
});

/** The bytes of a file; same statistics, same bytes. */
export function encodeStats(stats: FiringStats): Uint8Array<ArrayBuffer> {
  const { subject, groupsDone, thresholds, units, measured } = stats;
  const most = BUCKETS.reduce((max, bucket) => largest(stats.counts[bucket], max), 0);
  const countBytes = most < 1 << 16 ? 2 : 4;
  const body = new Uint8Array(bodyBytes(subject, countBytes));
  const view = new DataView(body.buffer);
  let at = 0;
  for (const bucket of BUCKETS) {
    for (const value of stats.counts[bucket]) {
      if (countBytes === 2) view.setUint16(at, value, true);
      else view.setUint32(at, value, true);
      at += countBytes;
    }
  }
  for (const value of stats.loudness ?? []) {
    view.setFloat64(at, value, true);
    at += 8;
  }
  const header = Header.parse({ // in this order of fields, whatever order they came in
    subject,
    groupsDone,
    thresholds: thresholds && [...thresholds],
    units,
    measured: [...measured],
    countBytes,
  });
  const head = new TextEncoder().encode(`${JSON.stringify(header)}\n`);
  return concatBytes([
    new TextEncoder().encode(`${MAGIC}${VERSION} ${sha256(head, body)}\n`),
    head,
    body,
  ]);
}

/**
 * Reads the bytes of a file.
 * @param path for messages.
 * @throws {Error} when they are not whole statistics of this version.
 */
export function decodeStats(file: Uint8Array, path: string): FiringStats {
  const [first, afterFirst] = line(file, 0, FIRST_LINE_BYTES_MAX);
  if (!first?.startsWith(MAGIC)) {
    throw refuse(path, "it is no file of firing statistics: make one with profile");
  }
  const [version, sum] = first.slice(MAGIC.length).split(" ");
  if (version !== `${VERSION}`) {
    throw refuse(path, `it is of version ${version}, this program reads ${VERSION}: make it again`);
  }
  const [json, bodyStart] = line(file, afterFirst, HEADER_BYTES_MAX);
  const header = parseHeader(json, path);
  const body = file.subarray(bodyStart);
  const size = bodyBytes(header.subject, header.countBytes);
  if (body.length !== size) {
    throw refuse(path, `it has ${body.length} bytes of counts instead of ${size}: make it again`);
  }
  if (sha256(file.subarray(afterFirst)) !== sum) {
    throw refuse(path, "it was changed after it was written: make it again");
  }
  const stats = withCounts(header, body);
  for (const bucket of BUCKETS) {
    if (largest(stats.counts[bucket], 0) > stats.units[bucket]) {
      throw refuse(path, `a neuron fires more often than there were ${bucket}s: make it again`);
    }
  }
  if (stats.loudness?.some((value) => !(value >= 0 && value < Infinity))) {
    throw refuse(path, "a count of loudness is no count: make it again");
  }
  return stats;
}

/** @throws {Error} as `decodeStats`, and where the file cannot be read. */
export function readStats(path: string): FiringStats {
  return decodeStats(readFile(path), path);
}

/**
 * Writes the file whole: what was there is replaced at once or stays.
 * @throws {Error} "Cannot write …" when the system refuses.
 */
export function writeStats(path: string, stats: FiringStats): void {
  // Another process may be writing the same file.
  const temporary = `${path}.${Deno.pid}.new`;
  try {
    Deno.writeFileSync(temporary, encodeStats(stats));
    Deno.renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw explainWriteError(error, path);
  }
}

function withCounts(header: z.infer<typeof Header>, body: Uint8Array): FiringStats {
  const { subject, groupsDone, thresholds, units, measured, countBytes } = header;
  const stats = emptyStats(subject);
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  let at = 0;
  for (const bucket of BUCKETS) {
    const counts = stats.counts[bucket];
    for (let i = 0; i < counts.length; i++, at += countBytes) {
      counts[i] = countBytes === 2 ? view.getUint16(at, true) : view.getUint32(at, true);
    }
  }
  const { loudness } = stats;
  for (let i = 0; loudness !== null && i < loudness.length; i++, at += 8) {
    loudness[i] = view.getFloat64(at, true);
  }
  for (const bucket of BUCKETS) stats.units[bucket] = units[bucket];
  return Object.assign(stats, { groupsDone, thresholds, measured });
}

function parseHeader(json: string | null, path: string): z.infer<typeof Header> {
  let value: unknown;
  try {
    value = JSON.parse(json ?? "");
  } catch {
    throw refuse(path, "its header is no JSON: make it again");
  }
  const parsed = Header.safeParse(value);
  if (!parsed.success) {
    const { path: field, message } = parsed.error.issues[0];
    throw refuse(path, `its header's "${field.join(".")}" is wrong (${message}): make it again`);
  }
  const { subject, groupsDone, thresholds } = parsed.data;
  const isHeard = groupsDone > 0 && subject.sparsity !== null;
  if (groupsDone > subject.groupCount || isHeard && thresholds?.length !== subject.layerCount) {
    throw refuse(path, "its header contradicts itself: make it again");
  }
  return parsed.data;
}

/** The line that begins at `start`, without its end, and where the next one begins. */
function line(file: Uint8Array, start: number, bytesMax: number): [string | null, number] {
  const length = file.subarray(start, start + bytesMax).indexOf(10);
  if (length < 0) return [null, start];
  return [new TextDecoder().decode(file.subarray(start, start + length)), start + length + 1];
}

function bodyBytes(
  { layerCount, neuronCount, sparsity }: FiringStats["subject"],
  countBytes: number,
): number {
  const loudness = sparsity === null ? 0 : layerCount * LOUDNESS_BINS * 8;
  return BUCKETS.length * layerCount * neuronCount * countBytes + loudness;
}

function largest(counts: Uint32Array, atLeast: number): number {
  return counts.reduce((max, value) => Math.max(max, value), atLeast);
}

function sha256(...pieces: readonly Uint8Array[]): string {
  const sum = createHash("sha256");
  for (const piece of pieces) sum.update(piece);
  return sum.digest("hex");
}

function refuse(path: string, why: string): Error {
  return new Error(brief(`Cannot read statistics "${path}": ${why}`));
}
