/** Pulling for a verb: progress while it lasts, and what came is kept when it is interrupted. */
import { formatBytes } from "../base/units.ts";
import { isReference, type PulledModel, pullModel, type PullProgress } from "../pull/mod.ts";
import { Interrupt, InterruptedError } from "./interrupt.ts";
import { findPulled, modelsFolder } from "./models_folder.ts";
import { writeErrorLine } from "./output.ts";
import { Progress } from "./progress.ts";
import { type PullFlags, toPullOptions } from "./pull_options.ts";
import { spanText } from "./table.ts";

/** What of a pull may be wished. */
export interface PullWishes extends PullFlags {
  readonly name?: string;
  readonly sha256?: string;
  readonly modelsDir?: string;
}

/** Pulls a MODEL that is meant to be fetched and is not here; any other one is left alone. */
export async function pullIfMissing(
  model: string | undefined,
  wishes: Pick<PullWishes, "modelsDir"> = {},
): Promise<void> {
  if (model === undefined || !isReference(model)) return;
  if (findPulled(model, wishes.modelsDir) === null) await pullWithProgress(model, wishes);
}

/** Pulls, showing how far it is; Ctrl-C ends it, and what came is kept. */
export async function pullWithProgress(
  reference: string,
  options: PullWishes = {},
): Promise<PulledModel> {
  using interrupt = new Interrupt();
  using progress = new Progress(`Pulling ${reference.slice(0, 80)}`);
  const rate = new Rate();
  const pulling = pullModel(reference, {
    ...toPullOptions(options),
    folder: modelsFolder(options.modelsDir),
    name: options.name,
    sha256: options.sha256?.toLowerCase(),
    signal: interrupt.signal,
    onProgress: (now) => progress.update(now.doneBytes, now.totalBytes, rate.describe(now)),
    onNotice: (text) => writeErrorLine(text),
  });
  return await pulling.catch((error) => {
    if (error instanceof InterruptedError) {
      writeErrorLine("Interrupted: what came is kept, and the same command goes on from there");
    }
    throw error;
  });
}

/** How fast it was in the last seconds. */
class Rate {
  readonly #seen: { ms: number; bytes: number }[] = [];

  describe({ phase, doneBytes, totalBytes }: PullProgress): string {
    const sizes = `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`;
    if (phase === "checking") return `checking, ${sizes}`;
    const now = { ms: performance.now(), bytes: doneBytes };
    const last = this.#seen.at(-1);
    if (last === undefined || now.ms - last.ms > RATE_STEP_MS) this.#seen.push(now);
    if (this.#seen.length > RATE_STEPS) this.#seen.shift();
    const seconds = (now.ms - this.#seen[0].ms) / 1000;
    const perSecond = (doneBytes - this.#seen[0].bytes) / seconds;
    if (seconds < 0.5 || perSecond <= 0) return sizes;
    const left = spanText((totalBytes - doneBytes) / perSecond);
    return `${sizes}, ${formatBytes(Math.round(perSecond))}/s, ${left} left`;
  }
}

const RATE_STEP_MS = 500;
const RATE_STEPS = 10;
