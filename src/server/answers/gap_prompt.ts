/** Prompts for what stands in a gap of a text, as models are taught to read them. */
import type { Steps } from "../../base/steps.ts";
import type { LanguageModel } from "../../llm/types.ts";
import { fieldError } from "../http_errors.ts";

/** A text with a gap, in ids. */
export interface GapIds {
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** Of other files, as they stand before it. */
  readonly others?: readonly number[];
  /** What is known of the text in the gap: its beginning. */
  readonly begun?: readonly number[];
}

/**
 * The prompt for what stands between `before` and `after`.
 * @param field the field of the request that asks for it.
 * @throws {RequestError} 400 when the model was never taught to fill gaps.
 */
export function gapIds(model: LanguageModel, gap: GapIds, field = "suffix"): number[] {
  const marks = gapMarksOf(model, field);
  const { before, after, others = [], begun = [] } = gap;
  const bos = model.encodeText("", { bos: true });
  const behind = [marks.suffix, ...after, marks.middle, ...begun];
  return [...bos, ...others, marks.prefix, ...before, ...behind];
}

function gapMarksOf({ details }: LanguageModel, field: string) {
  const marks = details?.gapMarks;
  if (marks) return marks;
  throw fieldError(
    field,
    `"${field}" is not supported by this model: its vocabulary has no marks for a gap`,
    "unsupported_parameter",
  );
}

/** A file, or a piece of one, that is not the one with the gap. */
export interface OtherFile {
  readonly name: string;
  readonly text: string;
}

/** What an editor knows around a cursor. */
export interface Surroundings {
  readonly before: string;
  readonly after: string;
  /** The nearest last. */
  readonly files: readonly OtherFile[];
  readonly begun: string;
}

/** Of what there is room for, what stands after the gap: what stands before it says more. */
const AFTER_SHARE = 1 / 4;
/** Names that were in the texts that models were taught by. */
const REPOSITORY = "myproject\n";
const THIS_FILE = "filename\n";
/** Between pieces of files where the vocabulary has no mark for that. */
const SNIPPET = "\n\n--- snippet ---\n\n";

/**
 * The prompt for what stands in the gap, at most `tokensMax` long: files that find no room are left
 * out, those that are farthest first, and of a long text what is near the gap stays.
 * @throws {RequestError} 400 as `gapIds`.
 */
export function* surroundedGapIds(
  model: LanguageModel,
  { before, after, files, begun }: Surroundings,
  tokensMax: number,
): Steps<number[]> {
  const field = "input_prefix";
  const marks = gapMarksOf(model, field);
  const opening = yield* model.inSteps.text(begun);
  const frame = gapIds(model, { before: [], after: [], begun: opening }, field).length;
  let room = Math.max(0, tokensMax - frame);
  const allBefore = yield* model.inSteps.text(before);
  const allAfter = yield* model.inSteps.text(after);
  const afterMost = Math.max(Math.floor(room * AFTER_SHARE), room - allBefore.length);
  const nearAfter = allAfter.slice(0, afterMost);
  room -= nearAfter.length;
  const nearBefore = room === 0 ? [] : allBefore.slice(-room);
  room -= nearBefore.length;
  const { repository, file: mark } = marks;
  const hasMarks = repository !== null && mark !== null;
  const head = hasMarks ? [repository, ...model.encodeText(REPOSITORY)] : [];
  const foot = hasMarks ? [mark, ...model.encodeText(THIS_FILE)] : [];
  room -= head.length + foot.length;
  const pieces: number[][] = [];
  for (const { name, text } of files.toReversed()) {
    const ids = yield* model.inSteps.text(hasMarks ? `${name}\n${text}` : SNIPPET + text);
    const piece = hasMarks ? [mark, ...ids] : ids;
    room -= piece.length;
    if (room < 0) break;
    pieces.unshift(piece);
  }
  const others = pieces.length === 0 ? [] : [...head, ...pieces.flat(), ...foot];
  return gapIds(model, { before: nearBefore, after: nearAfter, others, begun: opening }, field);
}
