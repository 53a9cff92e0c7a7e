/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/** Entry of a trainer's thread: one predictor after another. */
import { PredictorTrainer } from "../src/train/predictor_trainer.ts";
import { answerCalls, leave, reply } from "./answer.ts";

/** Messages are for people to look at. */
const REPORT_MS = 200;

let trainer: PredictorTrainer | null = null;

answerCalls("trainer", {
  trainPredictor({ samples, options, module, cancelWord }) {
    trainer ??= new PredictorTrainer(module);
    return trainer.train(samples, options, reporter(new Int32Array(cancelWord), options.rank));
  },
  close() {
    leave();
    return {};
  },
});

/** Told how many samples each batch had. */
function reporter(cancelWord: Int32Array, rank: number): (samples: number) => void {
  let owed = 0;
  let nextMs = 0;
  return (samples) => {
    if (Atomics.load(cancelWord, 0) !== 0) throw new Error("Cannot go on: training was cancelled");
    owed += samples;
    if (performance.now() < nextMs) return;
    nextMs = performance.now() + REPORT_MS;
    reply({ kind: "trained", samples: owed, rank });
    owed = 0;
  };
}
