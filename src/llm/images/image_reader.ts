/**
 * Images or sounds of conversations, looked at once each: file to patches (src/vision,
 * src/hearing), patches to rows (the tower), rows to ids below 0, which stand for them in prompts.
 * What was seen last is kept.
 */
import { RequestError } from "../../base/errors.ts";
import { counted } from "../../base/units.ts";
import type { Tokenizer } from "../../tokenizer/types.ts";
import { ImagePreparer } from "../../../workers/mod.ts";
import { isOfSounds } from "../../model/is_of_sounds.ts";
import { givenWidth } from "../../model/given_width.ts";
import type { ModelConfig } from "../../model/types.ts";
import type { RankPlan } from "../../rank/plan/plan_types.ts";
import type { ImageTables, LayoutPart, PreparedImage } from "../../vision/mod.ts";
import { TurnQueue } from "../queue.ts";
import type { ChatMessage, EmbedOptions, GivenRows, MessageImage, SeenImages } from "../types.ts";
import { notRead } from "./place_images.ts";
import type { Tower } from "./tower.ts";

/** Rows of images that are kept; the ones that were used longest ago are forgotten. */
const KEPT_BYTES_MAX = 256 << 20;
/** Ids are 32 bits: as many rows are told apart while a model is loaded. */
const ROWS_MAX = 2 ** 31 - 1;

/** More than any context holds, and not too many to be laid out. */
const COUNTED_TOKENS_MAX = 1 << 20;

/** How it is to look. isCounted: at sizes only, so that rows are counted. */
export type LookOptions = EmbedOptions & { readonly isCounted?: boolean };

/** A file, and rows that there is room for. */
interface Looked {
  readonly file: Uint8Array;
  readonly room: number;
}

/** What became of an image. */
interface Seen {
  readonly ids: readonly number[];
  readonly given: readonly GivenRows[];
}

/** What a reader asks of a tower. */
export type LookingTower = Pick<Tower, "reads" | "floats" | "see" | "close">;

export interface ImageReaderParts {
  /** Of images, of sounds, or one of each. */
  readonly towers: readonly LookingTower[];
  readonly preparer: Pick<ImagePreparer, "prepare" | "close">;
  readonly tokenizer: Pick<Tokenizer, "encode">;
  /** Numbers of a row: `givenWidth`. */
  readonly rowLength: number;
  /** The model turns rows by their places in an image. */
  readonly hasGrids: boolean;
  readonly contextLength: number;
  readonly waitingMax: number;
  /** Of rows that are kept; default 256 MiB. */
  readonly keptBytesMax?: number;
}

export class ImageReader {
  readonly #in: ImageReaderParts;
  readonly #queue: TurnQueue;
  /** By what a file is taken for and its SHA-256, the one that was used last at the end. */
  readonly #seen = new Map<string, Seen>();
  #keptBytes = 0;
  #nextId = -1;

  /** The eyes of a model, its ears, or both; null: it has neither. */
  static of(
    towers: readonly Tower[],
    { config, tokenizer, plans: [{ contextLength }], waitingMax }: {
      readonly config: ModelConfig;
      readonly tokenizer: Tokenizer;
      readonly plans: readonly RankPlan[];
      readonly waitingMax: number;
    },
  ): ImageReader | null {
    if (towers.length === 0) return null;
    return new ImageReader({
      ...{ towers, preparer: new ImagePreparer(), tokenizer, contextLength, waitingMax },
      rowLength: givenWidth(config),
      hasGrids: config.ropes.some(({ axes }) => axes !== undefined),
    });
  }

  constructor(parts: ImageReaderParts) {
    this.#in = parts;
    this.#queue = new TurnQueue({ runningMax: 1, waitingMax: parts.waitingMax });
  }

  /** See `LanguageModel.lookAt`. */
  async lookAt(messages: readonly ChatMessage[], options: LookOptions = {}): Promise<SeenImages> {
    const seen: Seen[] = [];
    let left = options.isCounted ? COUNTED_TOKENS_MAX : this.#in.contextLength;
    for (const { file, kind } of messages.flatMap(({ images = [] }) => images)) {
      const tower = this.#in.towers.find(({ reads }) => isOfSounds(reads) === (kind === "sound"));
      if (tower === undefined) throw notRead(kind);
      const next = await this.#lookAtOne(tower, { file, room: left }, options);
      // A known one costs nothing, but a body has room for thousands of times the same.
      requireRoom(next.ids.length, left, kind);
      left -= next.ids.length;
      seen.push(next);
    }
    const given = options.isCounted ? [] : [...new Set(seen.flatMap((each) => each.given))];
    return { ids: seen.map(({ ids }) => ids), given };
  }

  async close(): Promise<void> {
    const { preparer, towers } = this.#in;
    await Promise.all([preparer, ...towers].map((each) => each.close()));
  }

  async #lookAtOne(tower: LookingTower, at: Looked, options: LookOptions): Promise<Seen> {
    options.signal?.throwIfAborted();
    const { file } = at;
    const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", file.slice())).toHex();
    const digest = `${isOfSounds(tower.reads) ? "sound" : "image"} ${bytes}`;
    const known = this.#take(digest);
    if (known !== null) return known;
    const endTurn = await this.#queue.enter(options);
    try {
      // Somebody else may have asked for the same.
      return this.#take(digest) ?? await this.#look(tower, { ...at, digest }, options);
    } finally {
      endTurn();
    }
  }

  async #look(
    tower: LookingTower,
    { digest, file, room }: Looked & { readonly digest: string },
    { isCounted = false, signal }: LookOptions,
  ): Promise<Seen> {
    const { preparer } = this.#in;
    const tables = tablesOf(tower);
    const image = await preparer.prepare(file, tower.reads, tables, signal);
    if (isCounted) return this.#place(image, null, tower);
    const rows = image.layout.reduce((sum, part) => sum + ("count" in part ? part.count : 0), 0);
    requireRoom(rows, room, isOfSounds(tower.reads) ? "sound" : "image");
    const tiles: Float32Array[] = [];
    for (const tile of image.tiles) tiles.push(await tower.see(tile, signal));
    const seen = this.#place(image, tiles, tower);
    this.#keep(digest, seen);
    return seen;
  }

  /** Ids of the image's texts and rows; without its rows each is -1. */
  #place(
    { layout, seesAll }: PreparedImage,
    tiles: readonly Float32Array[] | null,
    tower: Pick<LookingTower, "floats">,
  ): Seen {
    const { tokenizer, rowLength: d, hasGrids } = this.#in;
    const ids: number[] = [];
    const given: GivenRows[] = [];
    /** First ids of rows that are the same wherever they stand, as behind each line. */
    const standing = new Map<string, number>();
    for (const part of layout) {
      if ("text" in part) {
        ids.push(...tokenizer.encode(part.text, { special: true }));
        continue;
      }
      const { count, grid } = part;
      const row = "tensor" in part ? `${part.first} ${count} ${part.tensor}` : null;
      const known = row === null ? undefined : standing.get(row);
      const firstId = tiles === null ? -1 : known ?? this.#newIds(count);
      for (let row = 0; row < count; row++) ids.push(tiles === null ? -1 : firstId - row);
      if (tiles === null || known !== undefined) continue;
      if (row !== null) standing.set(row, firstId);
      const values = "tile" in part
        ? inOrder(tiles[part.tile], part, d)
        : rowsOf(tower.floats(part.tensor), part, d);
      given.push({ firstId, values: shared(values), seesAll, grid: hasGrids ? grid : null });
    }
    return { ids, given };
  }

  #newIds(count: number): number {
    const first = this.#nextId;
    this.#nextId -= count;
    if (-this.#nextId <= ROWS_MAX) return first;
    throw new RequestError(
      "This model has seen or heard as much as it can tell apart: load it again",
      { status: 503, code: "images_exhausted" },
    );
  }

  #take(digest: string): Seen | null {
    const seen = this.#seen.get(digest);
    if (seen === undefined) return null;
    this.#seen.delete(digest);
    this.#seen.set(digest, seen);
    return seen;
  }

  #keep(digest: string, seen: Seen): void {
    this.#seen.set(digest, seen);
    this.#keptBytes += bytesOf(seen);
    const { keptBytesMax = KEPT_BYTES_MAX } = this.#in;
    for (const [oldest, each] of this.#seen) {
      if (this.#keptBytes <= keptBytesMax || oldest === digest) return;
      this.#seen.delete(oldest);
      this.#keptBytes -= bytesOf(each);
    }
  }
}

function bytesOf({ given }: Seen): number {
  return given.reduce((sum, { values }) => sum + values.byteLength, 0);
}

/** The same in memory that threads share: each request brings its rows to the engine's thread. */
function shared(values: Float32Array): Float32Array {
  const copy = new Float32Array(new SharedArrayBuffer(values.byteLength));
  copy.set(values);
  return copy;
}

/** What a tower's images take of its file, in floats. */
function tablesOf(tower: LookingTower): ImageTables {
  const { reads } = tower;
  const floats = (name: string | null) => name === null ? null : tower.floats(name);
  if (isOfSounds(reads)) {
    const positions = floats(reads.positions?.tensor ?? null);
    const { filters } = reads;
    return {
      ...{ positions, classTokens: null, patchBias: null },
      ...filters && {
        filters: { window: tower.floats(filters.window), bands: tower.floats(filters.bands) },
      },
    };
  }
  const { positions, classTokens, patchBias, second } = reads;
  return {
    positions: floats(positions?.tensor ?? null),
    classTokens: floats(classTokens),
    patchBias: floats(patchBias),
    ...second && {
      second: {
        positions: floats(second.positions?.tensor ?? null),
        classTokens: floats(second.classTokens),
        ...second.queries && { queries: second.queries.map(({ tensor }) => tower.floats(tensor)) },
      },
    },
  };
}

/** Rows of a tensor, or the one that it is all parts of. */
function rowsOf(
  values: Float32Array,
  { first, count, isRepeated }: Extract<LayoutPart, { tensor: string }>,
  d: number,
): Float32Array {
  if (!isRepeated) return values.subarray(first * d, (first + count) * d);
  return Float32Array.from({ length: d }, (_, i) => values[i % values.length]);
}

/** Some rows of a tile, [count, d], in the order that they are read in. */
function inOrder(
  rows: Float32Array,
  { first, count, order }: Extract<LayoutPart, { tile: number }>,
  d: number,
): Float32Array {
  if (order === undefined) return rows.subarray(first * d, (first + count) * d);
  const values = new Float32Array(count * d);
  for (let i = 0; i < count; i++) {
    const from = order[first + i] * d;
    values.set(rows.subarray(from, from + d), i * d);
  }
  return values;
}

/** @throws {RequestError} 400, before the costly part. */
function requireRoom(rows: number, room: number, kind: MessageImage["kind"]): void {
  if (rows < room) return;
  const [what, other] = kind === "sound" ? ["A sound", "shorter"] : ["An image", "smaller"];
  const left = Math.max(0, room - 1);
  throw new RequestError(
    `${what} takes ${counted(rows, "token")}, and there is room for ${left}: ` +
      `send a ${other} one, or start with a larger --ctx-size`,
    { status: 400, code: "context_length_exceeded", param: "messages" },
  );
}
