/** Rows that a prompt brings along, before anything is computed of them. */
import { RequestError } from "../base/errors.ts";
import { canSeeAll, givenSpans, rowsOfGrid } from "../engine/given_spans.ts";
import type { GivenRows } from "../engine/types.ts";
import { KV_BLOCK_POSITIONS } from "../memory/kv_layout.ts";
import type { ModelConfig } from "../model/types.ts";
import { givenWidth } from "../model/given_width.ts";
import type { RankPlan } from "../rank/plan/plan_types.ts";

/** Ids are words of 32 bits. */
const ID_MIN = -(2 ** 31);

/** What a model can take. */
export interface GivenLimits {
  readonly config: ModelConfig;
  readonly plans: readonly RankPlan[];
}

/**
 * Refuses rows that are none of the model's, and ids below 0 that are none of theirs.
 * @throws {RequestError} 400
 */
export function checkGiven(
  ids: readonly number[],
  given: readonly GivenRows[],
  limits: GivenLimits,
): void {
  for (const rows of given) checkRows(rows, limits);
  const ordered = [...given].sort((a, b) => b.firstId - a.firstId);
  const width = givenWidth(limits.config);
  ordered.slice(1).forEach(({ firstId }, i) => {
    const { firstId: before, values } = ordered[i];
    if (before - values.length / width >= firstId) return;
    throw wrong(`the ids of several of them overlap at ${firstId}`);
  });
  givenSpans(ids, given, width);
  if (!canBeAlone(ids, limits)) throw unsupported("end a prompt with a row of an image");
}

/**
 * Where a GPU has all of a model, parts of rows are added in steps of several tokens: no row is the
 * last one, which may be a step by itself.
 */
function canBeAlone(ids: readonly number[], { config, plans }: GivenLimits): boolean {
  const [{ gpu, chunkTokens }] = plans;
  if ((config.givenParts ?? 1) === 1 || !gpu?.isAlone) return true;
  return ids.at(-1)! >= 0 && chunkTokens % KV_BLOCK_POSITIONS === 0;
}

function checkRows(
  { firstId, values, seesAll, grid }: GivenRows,
  { config, plans }: GivenLimits,
): void {
  const { ropes } = config;
  const width = givenWidth(config);
  const count = values.length / width;
  if (!Number.isInteger(count) || count === 0) {
    throw wrong(`${values.length} numbers are no rows of ${width}`);
  }
  if (!Number.isInteger(firstId) || firstId >= 0 || firstId - count < ID_MIN) {
    throw wrong(`first id ${firstId} is not below 0, or too far`);
  }
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw wrong(`row ${Math.floor(bad / width)} holds ${values[bad]}`);
  if (grid !== null) {
    const isSize = (size: number) => Number.isInteger(size) && size >= 1;
    if (!isSize(grid.rows) || !isSize(grid.columns) || rowsOfGrid(grid) !== count) {
      throw wrong(`${grid.rows} times ${grid.columns} are ${rowsOfGrid(grid)}, not ${count}`);
    }
    if (!ropes.some(({ axes }) => axes !== undefined)) {
      throw wrong("this model has no positions of rows and columns");
    }
  }
  if (!seesAll || count === 1) return;
  const [{ chunkTokens }] = plans;
  if (count > chunkTokens) {
    throw wrong(`${count} of them see each other, and a step has ${chunkTokens} tokens`);
  }
  if (!canSeeAll(plans)) throw wrong("layers of this model go on token by token");
}

function unsupported(what: string): RequestError {
  return new RequestError(`Cannot ${what} where a GPU has all of the model: use --gpu off`, {
    status: 501,
    code: "unsupported",
  });
}

function wrong(what: string): RequestError {
  return new RequestError(`Cannot take the given rows: ${what}: make them for this model`, {
    status: 400,
    code: "invalid_given_rows",
  });
}
