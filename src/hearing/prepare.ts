/** From the bytes of a sound file to what a tower reads and what a prompt says around it. */
import type { SoundConfig, TowerInput } from "../model/vision_types.ts";
import type { ImageTables, LayoutPart, PreparedImage } from "../vision/types.ts";
import { decodeSound } from "./decode.ts";
import { soundTexts } from "./kinds.ts";
import { evenMels } from "./even_mels.ts";
import { givenMels } from "./given_mels.ts";
import { logMels } from "./log_mels.ts";
import { loudestMels } from "./loudest_mels.ts";
import { resample } from "./resample.ts";
import { HOP, RATE, spectrogram } from "./spectrogram.ts";

/** Frames of a tower's row, and frames that a convolution sees. */
const FRAMES_OF_POSITION = 2;
const TAPS = 3;

/**
 * Decodes and prepares a sound file. Takes up to seconds of this thread: see `ImagePreparer`.
 * @throws {RequestError} 400 when it is no sound, damaged, or longer than sounds may be.
 * @throws {UnsupportedModelError} when this version does not know the projector's kind.
 */
export async function prepareSound(
  file: Uint8Array,
  config: SoundConfig,
  tables: ImageTables,
): Promise<PreparedImage> {
  return prepareSamples(resample(await decodeSound(file), RATE), config, tables);
}

/** The same of samples at `RATE`. */
export function prepareSamples(
  samples: Float32Array,
  config: SoundConfig,
  tables: ImageTables,
): PreparedImage {
  const { begin, end } = soundTexts(config);
  const tiles = config.samplesOfRow !== undefined
    ? tilesOfSamples(samples, { length: config.samplesOfRow, rowsMax: config.rowsMax })
    : config.framesOfRow !== undefined
    ? tilesOfOwnFrames(samples, { ...config, framesOfRow: config.framesOfRow }, tables)
    : config.pieces
    ? tilesOfPieces(samples, config.pieces, { config, table: tables.positions! })
    : tilesOfFrames(samples, config, tables.positions!);
  const layout = tiles.flatMap(({ count }, tile) => rowsOf(tile, count, config));
  const text = (value: string): LayoutPart[] => value === "" ? [] : [{ text: value }];
  return { tiles, seesAll: false, layout: [...text(begin), ...layout, ...text(end)] };
}

/** What becomes of a part, of whose tower so many rows are. */
function rowsOf(tile: number, inner: number, config: SoundConfig): LayoutPart[] {
  const { rowsOfOne, windows, around } = config;
  const count = windows
    ? Math.ceil(inner / windows.rows) * windows.queryCount
    : Math.ceil(inner / rowsOfOne);
  const rows = { tile, first: 0, count, grid: null };
  const one = (tensor: string) => ({ tensor, first: 0, count: 1, grid: null });
  return around ? [one(around.begin), rows, one(around.end)] : [rows];
}

/** Samples as they are; behind the last ones there is silence. */
function tilesOfSamples(
  samples: Float32Array,
  { length, rowsMax }: { readonly length: number; readonly rowsMax: number },
): TowerInput[] {
  const tiles: TowerInput[] = [];
  for (let at = 0; at < samples.length; at += rowsMax * length) {
    const own = samples.subarray(at, at + rowsMax * length);
    const count = Math.ceil(own.length / length);
    const patches = new Float32Array(count * length);
    patches.set(own);
    tiles.push({ count, patches, added: null, positions: null, kept: count });
  }
  return tiles;
}

/** Frames of parts that are heard each by itself, the last row of which may have fewer. */
function tilesOfOwnFrames(
  samples: Float32Array,
  { melCount, rowsMax, framesOfRow, spectrum }: SoundConfig & { readonly framesOfRow: number },
  { filters }: ImageTables,
): TowerInput[] {
  const most = rowsMax * framesOfRow;
  const parts: Float32Array[] = [];
  if (spectrum !== undefined) {
    const all = spectrum === "even"
      ? evenMels(samples, melCount)
      : spectrum === "given"
      ? givenMels(samples, filters!)
      : loudestMels(samples, melCount, framesOfRow);
    for (let at = 0; at < all.length; at += most * melCount) {
      parts.push(all.slice(at, at + most * melCount));
    }
  } else {
    for (let at = 0; at < samples.length; at += most * HOP) {
      parts.push(logMels(samples.subarray(at, at + most * HOP), melCount));
    }
  }
  return parts.map((patches) => {
    const count = Math.ceil(patches.length / melCount / framesOfRow);
    return { count, patches, added: null, positions: null, kept: count };
  });
}

/**
 * Whole frames of a sound as they are, in pieces whose last one may be shorter. Of its rows the
 * tower has those that are of its own frames.
 */
function tilesOfPieces(
  samples: Float32Array,
  piece: NonNullable<SoundConfig["pieces"]>,
  { config: { melCount: bands, rowsMax, positions }, table }: {
    readonly config: SoundConfig;
    readonly table: Float32Array;
  },
): TowerInput[] {
  const all = Math.max(1, Math.floor(samples.length / HOP));
  const values = spectrogram(samples, { frames: all, bands, isMirrored: true });
  const most = piece.frames * (rowsMax / piece.rows);
  const d = table.length / positions!.count;
  const tiles: TowerInput[] = [];
  for (let first = 0; first < all; first += most) {
    const frames = Math.min(most, all - first);
    const whole = Math.floor(frames / piece.frames);
    // A piece's rows bring more frames than it has: what is left over is not looked at.
    const { framesOfRow: room } = piece;
    const count = whole * piece.rows + Math.ceil(frames % piece.frames / room);
    const patches = new Float32Array(count * room * bands);
    for (let at = 0; at < frames; at += piece.frames) {
      const end = first + Math.min(frames, at + piece.frames);
      const own = values.subarray((first + at) * bands, end * bands);
      patches.set(own, at / piece.frames * piece.rows * room * bands);
    }
    const added = new Float32Array(count * d);
    for (let row = 0; row < count; row += piece.rows) {
      added.set(table.subarray(0, Math.min(piece.rows, count - row) * d), row * d);
    }
    tiles.push({ count, patches, added, positions: null, kept: count });
  }
  return tiles;
}

function tilesOfFrames(
  samples: Float32Array,
  config: SoundConfig,
  table: Float32Array,
): TowerInput[] {
  const { melCount: bands } = config;
  const lengths = partsOf(Math.ceil(samples.length / HOP), config);
  const all = spectrogram(samples, { frames: lengths.reduce((a, b) => a + b, 0), bands });
  let at = 0;
  return lengths.map((frames) => {
    const own = all.subarray(at * bands, (at + frames) * bands);
    at += frames;
    return towerInput(own, config, table);
  });
}

/** Frames of each part, of which a tower has no more than it has positions for. */
function partsOf(
  frames: number,
  { rowsMax, rowsOfOne, isPadded, isWhole }: SoundConfig,
): number[] {
  const most = FRAMES_OF_POSITION * rowsMax;
  const unit = isWhole ? most : FRAMES_OF_POSITION * (isPadded ? 1 : rowsOfOne);
  const parts: number[] = [];
  for (let left = frames; left > 0; left -= most) {
    parts.push(Math.min(most, Math.ceil(left / unit) * unit));
  }
  return parts;
}

/** Windows of frames [n · 2, bands · 3], band by band, nothing being around a part. */
function towerInput(
  frames: Float32Array,
  { melCount: bands, positions }: SoundConfig,
  table: Float32Array,
): TowerInput {
  const length = frames.length / bands;
  const patches = new Float32Array(frames.length * TAPS);
  let to = 0;
  for (let frame = 0; frame < length; frame++) {
    for (let band = 0; band < bands; band++) {
      for (let at = frame - 1; at <= frame + 1; at++, to++) {
        if (at >= 0 && at < length) patches[to] = frames[at * bands + band];
      }
    }
  }
  const count = length / FRAMES_OF_POSITION;
  const added = table.slice(0, count * (table.length / positions!.count));
  return { count, patches, added, positions: null, kept: count };
}
