/**
 * Predictors that are trained already, layer by layer, on the disk: a mixture's are too large to
 * wait in memory for the last, and a training of hours that was interrupted goes on. NAME.part
 * holds matrices, NAME.part.journal says of each layer where, what they are worth, and what line
 * and matrices sum up to. What does not sum up is trained again.
 */
import { closeSync, existsSync, openSync, readSync, rmSync } from "node:fs";
import { crc32 } from "node:zlib";
import { check } from "../base/check.ts";
import { UsageError } from "../base/errors.ts";
import { LineJournal } from "../base/line_journal.ts";
import { formatBytes } from "../base/units.ts";
import { explainWriteError, writeFully } from "../base/write_errors.ts";
import { rowBytes } from "../model/dtypes.ts";
import type { SampledLayer } from "./samples.ts";
import type { BlockResult, LayerResult } from "./train_layer.ts";
import { type MatrixForm, PREDICTOR_TYPES, type PredictorMatrix } from "./trained_predictor.ts";

/** The predictors of a layer but for their weights. */
export interface LayerSummary extends Omit<LayerResult, "blocks"> {
  readonly blocks: readonly BlockSummary[];
  /** Of each block. */
  readonly fc1: MatrixForm;
  readonly fc2: MatrixForm;
}

export interface BlockSummary extends Pick<BlockResult, "samples" | "isTrained"> {
  readonly quality: BlockResult["predictor"]["quality"];
}

/** A layer as the journal has it. */
interface Entry {
  readonly layer: number;
  readonly summary: LayerSummary;
  /** Where its matrices begin: fc1 of all blocks, then fc2. */
  readonly offsetBytes: number;
}

const READ_BYTES = 4 << 20;

export class KeptLayers implements Disposable {
  readonly #path: string;
  readonly #layers: readonly SampledLayer[];
  readonly #journal: LineJournal;
  readonly #descriptor: number;
  readonly #entries: Map<number, Entry>;
  #endBytes: number;

  /**
   * Goes on with what is beside `out`, or begins.
   * @param identity what makes it the same training: words that people know, and their values.
   * @throws {UsageError} when what is there is of another training.
   * @throws {Error} "Cannot write …" when it may not be written to, or another program writes it.
   */
  static open(
    out: string,
    layers: readonly SampledLayer[],
    identity: Readonly<Record<string, string>>,
  ): KeptLayers {
    const path = `${out}.part`;
    try {
      const journal = LineJournal.open(`${path}.journal`);
      if (journal === null) {
        throw new Error(`Cannot write "${out}": another program is writing it: wait for its end`);
      }
      try {
        return new KeptLayers(path, layers, journal, JSON.stringify(identity));
      } catch (error) {
        journal.close();
        throw error;
      }
    } catch (error) {
      throw explainWriteError(error, path);
    }
  }

  private constructor(
    path: string,
    layers: readonly SampledLayer[],
    journal: LineJournal,
    identity: string,
  ) {
    this.#path = path;
    this.#layers = layers;
    this.#journal = journal;
    // What is there without a journal, or a journal without it, is nobody's.
    const lines = existsSync(path) ? journal.lines() : [];
    if (lines.length > 0) requireSame(path, lines[0], identity);
    this.#descriptor = openSync(path, lines.length > 0 ? "r+" : "w+");
    const good = lines.slice(1).map((line) => ({ line, entry: this.#entryOf(line) }))
      .filter(({ entry }) => entry !== null);
    this.#entries = new Map(good.map(({ entry }) => [entry!.layer, entry!]));
    this.#endBytes = Math.max(
      0,
      ...good.map(({ entry }) => entry!.offsetBytes + sizeOf(entry!.summary)),
    );
    journal.rewrite([identity, ...good.map(({ line }) => line)]);
  }

  /** How many layers are there. */
  get count(): number {
    return this.#entries.size;
  }

  has(layer: number): boolean {
    return this.#entries.has(layer);
  }

  /** Keeps a layer that is not there yet. */
  add(layer: number, result: LayerResult): void {
    check(!this.has(layer), `layer ${layer} is trained once`);
    const { blocks, ...rest } = result;
    const [{ predictor: first }] = blocks;
    const summary: LayerSummary = {
      ...rest,
      blocks: blocks.map(({ predictor: { quality }, samples, isTrained }) => (
        { quality, samples, isTrained }
      )),
      ...{ fc1: formOf(first.fc1), fc2: formOf(first.fc2) },
    };
    const entry: Entry = { layer, summary, offsetBytes: this.#endBytes };
    let end = this.#endBytes;
    let sum = 0;
    try {
      for (const which of ["fc1", "fc2"] as const) {
        for (const { predictor } of blocks) {
          const { bytes } = predictor[which];
          writeFully(this.#descriptor, bytes, end);
          end += bytes.length;
          sum = crc32(bytes, sum);
        }
      }
      check(end === this.#endBytes + sizeOf(summary), "experts' matrices are alike");
      const json = JSON.stringify(entry);
      this.#journal.append(`${crc32(json, sum)} ${json}`);
    } catch (error) {
      throw explainWriteError(error, this.#path, formatBytes(end));
    }
    this.#entries.set(layer, entry);
    this.#endBytes = end;
  }

  /** What is known of a layer that is there. */
  summary(layer: number): LayerSummary {
    return this.#entry(layer).summary;
  }

  /** The bytes of one matrix of all blocks, in pieces that are valid until the next one. */
  *pieces(layer: number, which: "fc1" | "fc2"): Generator<Uint8Array, void> {
    const { offsetBytes, summary } = this.#entry(layer);
    const first = bytesOf(summary, "fc1");
    const begin = which === "fc1" ? offsetBytes : offsetBytes + first;
    yield* this.#read(begin, begin + bytesOf(summary, which));
  }

  /** Takes it away: its end is reached, or there is nothing in it. */
  remove(): void {
    rmSync(this.#path, { force: true });
    this.#journal.remove();
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor);
    this.#journal.close();
  }

  #entry(layer: number): Entry {
    const entry = this.#entries.get(layer);
    check(entry !== undefined, `layer ${layer} is trained`);
    return entry;
  }

  /** Null where it is not what was written. */
  #entryOf(line: string): Entry | null {
    const match = /^(\d{1,10}) (.*)$/.exec(line);
    if (match === null) return null;
    try {
      const entry: Entry = JSON.parse(match[2]);
      if (!isPossible(entry, this.#layers)) return null;
      let sum = 0;
      const end = entry.offsetBytes + sizeOf(entry.summary);
      for (const piece of this.#read(entry.offsetBytes, end)) sum = crc32(piece, sum);
      return crc32(match[2], sum) === Number(match[1]) ? entry : null;
    } catch {
      return null;
    }
  }

  *#read(begin: number, end: number): Generator<Uint8Array, void> {
    const buffer = new Uint8Array(Math.min(READ_BYTES, end - begin));
    for (let at = begin; at < end;) {
      const count = readSync(this.#descriptor, buffer, 0, Math.min(buffer.length, end - at), at);
      if (count === 0) throw new Error(`Cannot read "${this.#path}": it ends at byte ${at}`);
      yield buffer.subarray(0, count);
      at += count;
    }
  }
}

function requireSame(path: string, line: string, identity: string): void {
  if (line === identity) return;
  const there = parseObject(line);
  const wanted = parseObject(identity);
  const differing = Object.keys(wanted).filter((key) => there[key] !== wanted[key]);
  throw new UsageError(
    `Cannot go on with "${path}": it was begun with another ${differing.join(", ")}: delete it ` +
      `and "${path}.journal", or give another path`,
  );
}

function parseObject(line: string): Record<string, unknown> {
  try {
    return JSON.parse(line) ?? {};
  } catch {
    return {};
  }
}

/** Whether an entry has the form that a training gives such layers. */
function isPossible(
  { layer, summary: { blocks, fc1, fc2 }, offsetBytes }: Entry,
  layers: readonly SampledLayer[],
): boolean {
  const wanted = layers[layer];
  return wanted !== undefined && Number.isSafeInteger(offsetBytes) && offsetBytes >= 0 &&
    blocks.length === wanted.blockCount && fc1.columns === wanted.inputLength &&
    fc2.rows === wanted.neuronCount && Number.isSafeInteger(fc1.rows) && fc1.rows > 0 &&
    fc1.rows === fc2.columns &&
    [fc1, fc2].every(({ type }) => (PREDICTOR_TYPES as readonly string[]).includes(type));
}

function formOf({ type, rows, columns }: PredictorMatrix): MatrixForm {
  return { type, rows, columns };
}

/** Bytes of one matrix of all blocks. */
function bytesOf(summary: LayerSummary, which: "fc1" | "fc2"): number {
  const { type, rows, columns } = summary[which];
  return summary.blocks.length * rows * rowBytes(type, columns);
}

/** Bytes of both. */
function sizeOf(summary: LayerSummary): number {
  return bytesOf(summary, "fc1") + bytesOf(summary, "fc2");
}
