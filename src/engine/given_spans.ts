/**
 * Where a prompt has rows that were given with it, and where tokens stand because of them. Knows
 * ids; not what the rows are of.
 */
import { RequestError } from "../base/errors.ts";
import type { GivenRows, RowGrid } from "../rank/step/given_rows.ts";
import type { RankPlan } from "../rank/plan/plan_types.ts";

/** Rows of a prompt that were given together. */
export interface GivenSpan extends Pick<GivenRows, "seesAll" | "grid"> {
  /** Index of the first one in the prompt. */
  readonly start: number;
  /** Index behind the last one. */
  readonly end: number;
  /** How many images before it have a number. */
  readonly number: number;
  /** The position of the first one on all axes, and of what follows the last one. */
  readonly position: number;
  readonly positionBehind: number;
  /** It is what the prompt's last id begins to answer. Left out: rows that were given. */
  readonly isSource?: true;
}

/** Of the prompt of a model that answers a source: all but the id that the answer begins with. */
export function sourceSpan({ length }: ArrayLike<number>): GivenSpan {
  const end = length - 1;
  const position = { number: 0, position: 0, positionBehind: end };
  return { start: 0, end, seesAll: true, grid: null, ...position, isSource: true };
}

/**
 * The spans of a prompt, in order.
 * @throws {RequestError} 400 where an id below 0 is none of a row's, or rows are not together.
 */
export function givenSpans(
  ids: ArrayLike<number>,
  given: readonly GivenRows[],
  width: number,
): GivenSpan[] {
  const spans: GivenSpan[] = [];
  const byFirst = new Map(given.map((each) => [each.firstId, each]));
  // How far behind its index a text's token stands.
  let lag = 0;
  let number = 0;
  for (let start = 0; start < ids.length;) {
    if (ids[start] >= 0) {
      start++;
      continue;
    }
    const rows = byFirst.get(ids[start]);
    const count = rows === undefined ? 0 : rows.values.length / width;
    let end = start;
    while (end < start + count && ids[end] === ids[start] - (end - start)) end++;
    if (rows === undefined || end < start + count) throw notGiven(ids[start], end);
    const { seesAll, grid } = rows;
    const position = start - lag;
    // An image is as far across as its longer side (Wang et al. 2024, "Qwen2-VL").
    if (grid !== null && !grid.isFramed) lag += count - Math.max(grid.rows, grid.columns);
    spans.push({ start, end, seesAll, grid, number, position, positionBehind: end - lag });
    if (grid?.isFramed) number++;
    start = end;
  }
  return spans;
}

/** How many rows there are of it. */
export function rowsOfGrid({ rows, columns, isFramed }: RowGrid): number {
  return rows * columns + (isFramed ? 2 : 0);
}

/** Its rows attend to each other both ways: they are computed in one step, or none of them is. */
export function isWhole({ seesAll, start, end, isSource }: GivenSpan): boolean {
  return seesAll && (isSource === true || end - start > 1);
}

/** Rows can see those behind their own: no layer goes token by token. */
export function canSeeAll(plans: readonly RankPlan[]): boolean {
  return plans.every(({ statePlaces }) => statePlaces === 0);
}

/** The first whole span that ends behind `index`; null: there is none. */
export function wholeFrom(index: number, spans: readonly GivenSpan[]): GivenSpan | null {
  for (let i = 0; i < spans.length; i++) {
    if (spans[i].end > index && isWhole(spans[i])) return spans[i];
  }
  return null;
}

/** Where the id at `index` stands on an axis: see `RopeAxes`. */
export function positionOn(axis: number, index: number, spans: readonly GivenSpan[]): number {
  let i = spans.length - 1;
  while (i >= 0 && spans[i].start > index) i--;
  if (i < 0) return index;
  const { start, end, grid, position, positionBehind, number } = spans[i];
  if (index >= end) return positionBehind + index - end;
  if (grid === null) return position + index - start;
  const { columns, isFramed } = grid;
  if (isFramed) {
    if (axis === 0 || index === start || index === end - 1) return position + index - start;
    const place = index - start - 1;
    return axis === 3 ? number : axis === 1 ? Math.floor(place / columns) : place % columns;
  }
  if (axis === 0 || axis === 3) return position;
  const row = Math.floor((index - start) / columns);
  return position + (axis === 1 ? row : index - start - row * columns);
}

function notGiven(id: number, index: number): RequestError {
  return new RequestError(
    `The prompt holds id ${id}, which at index ${index} is not followed by the rest of its ` +
      "rows: give rows for all ids below 0, one after the other",
    { status: 400, code: "invalid_token_id" },
  );
}
