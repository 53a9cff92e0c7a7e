/** Which of a token's positions turns which pair of dimensions, out of a file's sections. */
import type { Family } from "../family.ts";
import type { Hyperparameters } from "./hyperparameters.ts";
import type { RopeAxes, RopeConfig } from "../rope_types.ts";

const KEY = "rope.dimension_sections";

type Sections = readonly [time: number, row: number, column: number];

/** The file tells positions of several kinds apart, which are one and the same in texts. */
export function hasSections(keys: Hyperparameters): boolean {
  return listOf(keys).some((length) => Number(length) > 0);
}

/**
 * Axes of so many pairs; nothing where neither family nor file knows any.
 * @throws {ModelFormatError} when the file's sections are no numbers of pairs.
 */
export function readRopeAxes(
  keys: Hyperparameters,
  { sections: order }: Family,
  pairs: number,
): Pick<RopeConfig, "axes"> {
  const said = listOf(keys).map(Number);
  if (order === null || !said.some((length) => length > 0)) return {};
  const isCount = (length: number) => Number.isInteger(length) && length >= 0 && length <= pairs;
  if (said.length < 3 || said.length > 4 || !said.every(isCount)) {
    throw keys.wrong(KEY, `3 or 4 numbers from 0 to ${pairs}, the number of pairs that turn`);
  }
  if (order === "columnsFirst") return { axes: { axisOf: columnsFirst(said, pairs) } };
  const [time, row, column, more = 0] = said;
  // What a fourth position is, nobody has said: of texts it is as the others.
  if (more > 0) return {};
  const axisOf = order === "interleaved" ? interleavedAxis : axisInTurn;
  const sum = time + row + column;
  return {
    axes: {
      axisOf: Array.from({ length: pairs }, (_, i) => axisOf(i % sum, [time, row, column])),
    },
  };
}

/** Section by section: time, an image's column, its row, its number (Hunyuan, XD-RoPE). */
function columnsFirst(said: readonly number[], pairs: number): RopeAxes["axisOf"] {
  const axes = said.flatMap((length, section) =>
    Array.from({ length }, () => ([0, 2, 1, 3] as const)[section])
  );
  return Array.from({ length: pairs }, (_, pair) => axes[pair % axes.length]);
}

function listOf(keys: Hyperparameters): unknown[] {
  const said = keys.value(KEY);
  if (typeof said !== "object" || !(Array.isArray(said) || ArrayBuffer.isView(said))) return [];
  return Array.from(said as ArrayLike<unknown>);
}

/** Section by section (Wang et al. 2024, "Qwen2-VL", M-RoPE). */
function axisInTurn(pair: number, [time, row]: Sections): RopeAxes["axisOf"][number] {
  return pair < time ? 0 : pair < time + row ? 1 : 2;
}

/** One pair of each axis after another, until an axis has all of its pairs: the rest is time's. */
function interleavedAxis(
  pair: number,
  [, row, column]: Sections,
): RopeAxes["axisOf"][number] {
  const axis = pair % 3;
  if (axis === 1 && pair < 3 * row) return 1;
  return axis === 2 && pair < 3 * column ? 2 : 0;
}
