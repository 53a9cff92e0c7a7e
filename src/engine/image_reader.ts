/**
 * The leader of ranks that have a tower: patches of an image become rows of a text model, one image
 * a step. Knows nothing of images' files, nor of what rows are used for.
 */
import { RequestError } from "../base/errors.ts";
import { check } from "../base/check.ts";
import {
  POSITION_AXES,
  SEGMENT_LOGITS,
  SEGMENT_POSITION,
  SEGMENT_ROWS,
  SEGMENT_SLOT,
  SEGMENT_STATE_FROM,
  SEGMENT_STATE_TO,
  STEP_KIND_FORWARD,
} from "../memory/control_layout.ts";
import type { StepWords } from "../memory/control.ts";
import { projectedRows } from "../model/projected_rows.ts";
import type { ModelConfig } from "../model/types.ts";
import type { TowerInput } from "../model/vision_types.ts";
import type { RankRunner } from "../rank/open_rank.ts";
import { runOnAll, tablesOf } from "./step_runner.ts";

/** Numbers of a patch in `TowerInput.positions`. */
const PLACE_AXES = 3;

/** There is one sequence, of which a step is all. */
const SLOT = 0;

export class ImageReader {
  readonly #runner: RankRunner;
  readonly #step: StepWords;
  /** What ranks leave, [rowsMax, outputStride] each. */
  readonly #sums: readonly Float32Array[];
  readonly #outputStride: number;

  constructor(runner: RankRunner) {
    const { setup: { plans, memories }, plan: { outputArena, logitsRows, strides } } = runner;
    this.#runner = runner;
    this.#step = runner.control.newStep();
    this.#outputStride = strides.logits;
    this.#sums = plans.map(({ workspaces }, rank) => {
      const { buffer } = memories[rank][outputArena];
      return new Float32Array(buffer, workspaces[outputArena].logits, logitsRows * strides.logits);
    });
    // Every step begins at position 0, so that blocks of keys and values never change.
    for (const table of plans.flatMap((plan, rank) => tablesOf(plan, memories[rank]))) {
      table.forEach((_, block) => table[block] = block);
    }
  }

  /**
   * Rows of an image, [kept / mergedRows, outputLength].
   * @returns null when it was cancelled before the last one.
   * @throws {RequestError} 400 when the input has another shape than the tower.
   */
  see(input: TowerInput): Float32Array<ArrayBuffer> | null {
    const { control, setup: { config } } = this.#runner;
    checkInput(input, config);
    const { outputLength } = config.projector!;
    const rows = projectedRows(config.projector!, input.kept)!;
    this.#fillStep(input, rows);
    this.#runner.takePatches(input);
    control.noticeCancels();
    if (control.isCancelled(SLOT) || !runOnAll(this.#runner, this.#step)) return null;
    return this.#addUp(rows, outputLength);
  }

  #fillStep({ count, positions }: TowerInput, rows: number): void {
    const step = this.#step;
    step.kind = STEP_KIND_FORWARD;
    step.tokenCount = count;
    step.segmentCount = step.activeCount = 1;
    const { segments } = step;
    segments[SEGMENT_SLOT] = SLOT;
    segments[SEGMENT_POSITION] = 0;
    segments[SEGMENT_ROWS] = count;
    segments[SEGMENT_LOGITS] = rows;
    segments[SEGMENT_STATE_FROM] = -1;
    segments[SEGMENT_STATE_TO] = 0;
    if (positions === null) return;
    for (let i = 0; i < positions.length; i++) {
      step.positions[Math.floor(i / PLACE_AXES) * POSITION_AXES + i % PLACE_AXES] = positions[i];
    }
  }

  /** In the order of ranks: the same bits from image to image. */
  #addUp(rows: number, length: number): Float32Array<ArrayBuffer> {
    const all = new Float32Array(rows * length);
    const stride = this.#outputStride;
    check(stride === length, "rows that come out lie side by side");
    for (const sums of this.#sums) {
      for (let i = 0; i < all.length; i++) all[i] += sums[i];
    }
    const { outputEpsilon } = this.#runner.setup.config.projector!;
    if (outputEpsilon !== undefined) normalize(all, length, outputEpsilon);
    return all;
  }
}

/** Rows of so many numbers each by their root of the mean of squares. */
function normalize(all: Float32Array, length: number, epsilon: number): void {
  for (let from = 0; from < all.length; from += length) {
    const row = all.subarray(from, from + length);
    const squares = row.reduce((sum, value) => sum + value * value, 0);
    const factor = 1 / Math.sqrt(squares / length + epsilon);
    for (let i = 0; i < length; i++) row[i] *= factor;
  }
}

function checkInput(input: TowerInput, config: ModelConfig): void {
  const { patches: { length, countMax } = { length: 0, countMax: 0 }, projector } = config;
  const { count, patches, added, positions, kept } = input;
  const isWhole = Number.isInteger(count) && count >= 1 && count <= countMax;
  if (!isWhole) return refuse(`it has ${count} patches, from 1 to ${countMax} are possible`);
  const { mergedRows = 1, pooledRows = 1, fold: { rows: folded } = { rows: 1 } } = projector ?? {};
  if (count % folded !== 0) refuse(`it has ${count} patches, which are no blocks of ${folded}`);
  if (!(kept > 0 && kept <= count && (!projector || projectedRows(projector, kept) !== null))) {
    const rows = projector?.layerQueries?.[0].rows ?? mergedRows * pooledRows * folded;
    refuse(`${kept} of its ${count} rows are to be projected, a multiple of ${rows} can be`);
  }
  if (config.patches?.areAsked && count !== 2 * kept) {
    refuse(`it has ${count} rows, of which ${kept} ask, and half of them do`);
  }
  if (projector?.convolvesChannels && !Number.isInteger(Math.sqrt(kept / mergedRows))) {
    refuse(`${kept} of its rows are to be projected, and only those of a square can be`);
  }
  // Of a sound whose frames become fewer the last row may have fewer of them, each of some bands.
  const { subsampling } = config.patches ?? {};
  const lacks = subsampling ? count * length - patches.length : 0;
  const mayLack = lacks > 0 && lacks < length && lacks % (subsampling?.bands ?? 1) === 0;
  refuseOther("numbers of patches", patches.length, count * length - (mayLack ? lacks : 0));
  if (added !== null) {
    refuseOther("numbers to add", added.length, count * config.embeddingLength);
  }
  const asks = config.ropes.some(({ axes }) => axes !== undefined) ||
    projector?.resampler !== undefined ||
    projector?.convolutions !== undefined;
  if (asks !== (positions !== null)) {
    refuse(asks ? "its patches have no positions" : "its patches have positions, which none turn");
  }
  if (positions !== null) refuseOther("positions", positions.length, count * 3);
}

function refuseOther(what: string, length: number, expected: number): void {
  if (length !== expected) refuse(`it has ${length} ${what}, not ${expected}`);
}

function refuse(why: string): never {
  throw new RequestError(
    `Cannot look at the image: ${why}: prepare it by the configuration of its model`,
    { status: 400, code: "invalid_image" },
  );
}
