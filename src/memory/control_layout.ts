/**
 * The control block: one shared Int32Array through which the threads of an engine steer each
 * other. Data never travels here, only words. Words that different threads write during a step are
 * on cache lines (16 words) of their own.
 *
 *   word 0            16            32            48           64              80
 *   ├─ step, abort ───┼─ arrived ───┼─ generation ┼─ cancel ───┼─ output ──────┼─ segments ─ …
 */

/** Counts steps; ranks wait for it to change. */
export const STEP_SEQUENCE_WORD = 0;
/** What the step is: a STEP_KIND_*. */
export const STEP_KIND_WORD = 1;
/** How many tokens the step carries, n. */
export const STEP_TOKEN_COUNT_WORD = 2;
/** Of how many segments these are. */
export const STEP_SEGMENT_COUNT_WORD = 3;
/** How many sequences are under way, in this step or in others. */
export const STEP_ACTIVE_COUNT_WORD = 4;
/**
 * Two words, for joins of even and odd number: the number of a join at which all ranks leave their
 * step. Two, because a slow rank may still look at one while the leader is a join further.
 */
export const ABORT_AT_WORDS = 7;
/** How many threads sleep on the step word. */
export const STEP_SLEEPERS_WORD = 6;

/** How many ranks have arrived at the current join. */
export const BARRIER_ARRIVED_WORD = 16;
/** Counts completed joins. */
export const BARRIER_GENERATION_WORD = 32;
/** How many ranks sleep on the generation. */
export const BARRIER_SLEEPERS_WORD = 33;

/** Counts requests that were told to stop, by the main thread: the leader looks for them. */
export const CANCEL_WORD = 48;
/** Not 0: a rank has failed (its index + 1); everybody leaves. */
export const FAILED_WORD = 49;

/** Counts messages to the engine's thread, by the main thread, before it posts them. */
export const MESSAGE_WORD = 50;

/** Counts changes of the outputs: tokens, and ends of requests. */
export const OUTPUT_VERSION_WORD = 64;
/** Counts joins, for whoever wants to know whether anything is done. */
export const HEARTBEAT_WORD = 66;
/** Room for keys and values that sequences have, in tokens. */
export const KV_TOKENS_WORD = 67;

/**
 * Segments of the step [chunkTokens, SEGMENT_WORDS], then its ids [chunkTokens], then its rows'
 * positions [chunkTokens, POSITION_AXES], then slots.
 */
export const SEGMENTS_WORD = 80;

/**
 * A segment is some rows of a step that follow one another in one sequence: the sequence's slot,
 * the position of the first row, how many there are, for how many of the last ones logits are
 * wanted; and, where layers keep states, the place that they are read from (-1: there are none
 * yet) and the one that they are written to; and of a model that answers a source, how long that
 * is, of one that fills in a text, how long all of it is.
 */
export const SEGMENT_WORDS = 8;
export const SEGMENT_SLOT = 0;
export const SEGMENT_POSITION = 1;
export const SEGMENT_ROWS = 2;
export const SEGMENT_LOGITS = 3;
export const SEGMENT_STATE_FROM = 4;
export const SEGMENT_STATE_TO = 5;
/** 1: its rows attend to each other both ways; 0: to those before them. */
export const SEGMENT_SEES_ALL = 6;
/**
 * Positions of the sequence's source: its rows are these, or come behind them. Or of the whole text
 * that is filled in, all of which its rows see. 0: it has none.
 */
export const SEGMENT_SOURCE = 7;

/**
 * Where a row stands: in the text or in time, and the row and the column of an image. Of what
 * stands in no image they are alike. Written for models only that tell them apart (`RopeAxes`).
 */
export const POSITION_AXES = 4;

/** What a slot begins with; ids of its answer [contextLength] follow. */
export const SLOT_HEAD_WORDS = 16;
/** Not 0: the slot's request is to stop. Written by the main thread. */
export const SLOT_CANCELLED = 0;
/** How many ids of the answer there are. */
export const SLOT_OUTPUT_COUNT = 1;
/** How many ids were guessed ahead, and how many of them were right. */
export const SLOT_DRAFTED = 2;
export const SLOT_ACCEPTED = 3;

export const STEP_KIND_FORWARD = 1;
export const STEP_KIND_READ = 2;
export const STEP_KIND_EXIT = 3;
/** A forward step that compares predictors with the neurons that fire. */
export const STEP_KIND_REHEARSE = 4;
/** A forward step of the model that guesses for the other one. */
export const STEP_KIND_DRAFT = 5;
/** A step of the block that guesses what comes behind the next token. */
export const STEP_KIND_GUESS = 6;

/** What a control block has room for. */
export interface ControlSize {
  /** Most tokens of a step. */
  readonly chunkTokens: number;
  /** Most ids of an answer. */
  readonly contextLength: number;
  /** Requests that run at once at most. */
  readonly slots: number;
}

/** Words of a control block. */
export function controlWords({ chunkTokens, contextLength, slots }: ControlSize): number {
  return slotsWord(chunkTokens) + slots * (SLOT_HEAD_WORDS + contextLength);
}

/** Where a step's ids begin, */
export function idsWord(chunkTokens: number): number {
  return SEGMENTS_WORD + SEGMENT_WORDS * chunkTokens;
}

/** its rows' positions, */
export function positionsWord(chunkTokens: number): number {
  return idsWord(chunkTokens) + chunkTokens;
}

/** and slots. */
export function slotsWord(chunkTokens: number): number {
  return positionsWord(chunkTokens) + POSITION_AXES * chunkTokens;
}
