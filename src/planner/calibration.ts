/**
 * What the planner believes of engines like this one, in one place: numbers that no profile of the
 * machine says. `bench` prints the speed that was expected beside the one that it measured; where
 * they part, this is where to look. Measured on two cores of a Zen 4 server unless said: NOTES.md.
 */
import { KiB, MiB } from "../base/units.ts";

/**
 * Bytes a second of one thread of rows whose weights are looked up in codebooks, or are digits: 2.0
 * (IQ1_M) to 2.6 GB/s (IQ2_XS) on a Zen 3, whatever memory can do.
 */
export const LOOKED_UP_BYTES_PER_S = 2.4e9;
/** Of the rate that a kernel reads with, what matrices read row after row reach in decoding. */
export const DENSE_SHARE_OF_READ = 0.9;
/** The same of single rows by a list: 10 to 13 of 22 GB/s. */
export const LISTED_SHARE_OF_READ = 0.52;
/** All ranks wait for each other: about 65 times a token in 32 layers. */
export const JOIN_SECONDS = 20e-6;
/** The cache's work for a neuron that fires: look up and let go; and for one that is missing. */
export const LOOK_UP_SECONDS = 30e-9;
export const CLAIM_SECONDS = 400e-9;
/** Of the time of a layer's gates, the part in whose shadow reads run: the first have none. */
export const GATE_SHADOW = 0.5;
/** Multiply-adds a second of one thread in a prompt: 134 tok/s of 1.1e9 weights with two. */
export const PREFILL_MACS_PER_THREAD = 74e9;
/** Tokens of context that the expected speed is for. */
export const ASSUMED_CONTEXT_TOKENS = 512;

/** Share of neurons that fire for a token where nobody counted: as `synth` makes ReLU models. */
export const ACTIVE_SHARE = 0.1;
/**
 * Spread of the logarithm of neurons' rates: a quarter of them makes four fifths of all firings
 * (PowerInfer, arXiv:2312.12456, section 2; src/synth/sparsity.ts).
 */
export const LOG_RATE_SPREAD = 1.485;
/** No neuron fires more often. */
export const RATE_MAX = 0.95;
/**
 * Predicted neurons for each that fires, where nobody has counted: 80 % predicted silent where 90 %
 * are, which is a guess. A rehearsal counts those of a loaded model.
 */
export const PREDICTED_PER_ACTIVE = 2;

/**
 * Most of the slots that may be hot, by sequences decoded side by side. PowerInfer-2's 50 to 70 %
 * are of a phone whose other half is an accelerator's; here what fires often had better stay
 * (NOTES.md), but for some slots that follow the text.
 */
export const HOT_SHARE_MAX = [0.95, 0.95, 0.95, 0.95] as const;

/** Deno, V8, the compiled program, the vocabulary: what a small model leaves resident. */
const PROCESS_BYTES = 150 * MiB;
/** What all threads together remember of a unit, in objects and tables: measured of 3,328 units. */
const UNIT_OBJECT_BYTES = 80 * KiB;
/** What the process takes beside its arenas and its threads that read. */
export function processBytes(unitCount: number): number {
  return PROCESS_BYTES + unitCount * UNIT_OBJECT_BYTES;
}
/** The cache's record of a slot; a neuron's slot and its number at each position. */
export const SLOT_RECORD_BYTES = 20;
export const NEURON_RECORD_BYTES = 8;
/** A thread that reads: 9 MB more resident with an isolate of V8 and a buffer of 1 MiB. */
export const IO_WORKER_BYTES = 10 * MiB;
/**
 * What a read by a thread takes of a core beside what it takes in a measurement, whose threads
 * never sleep: it is woken, puts the bytes in their place and goes to sleep again.
 */
export const READER_WAKE_SECONDS = 5e-6;
/** Of what a layer misses, what the layer before has not asked for: it is waited for. */
export const UNFORESEEN_SHARE = 0.03;
/** Where the kernel reads for the ranks: what a rank keeps for spans, and its tables. */
export const KERNEL_READS_BYTES = 3 * MiB;
/** Core seconds of a read that the kernel does, one of a batch (NOTES.md). */
export const KERNEL_READ_SECONDS = 4e-6;
/** Room of an arena that nothing is planned into: layers and tables do not divide evenly. */
export const ARENA_SLACK_BYTES = 128 * MiB;
/** Slots for so many times the neurons of a layer that fire at once are the least that works. */
export const SLOTS_MIN_PER_ACTIVE = 2;
export const SLOTS_MIN_PER_RANK = 256;
/** The request that choices are made for: tokens of its prompt, and of its answer. */
export const TYPICAL_REQUEST = { promptTokens: 512, answerTokens: 128 } as const;
