/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/** Entry of a trainer's thread: one layer's predictor after another. */
import { type OnTraining, trainLayer } from "../src/train/mod.ts";
import { answerCalls, leave, reply } from "./answer.ts";

/** Messages are for people to look at. */
const REPORT_MS = 200;

answerCalls("trainer", {
  trainLayer({ samples, training, module, cancelWord }) {
    return trainLayer(samples, training, module, reporter(new Int32Array(cancelWord)));
  },
  close() {
    leave();
    return {};
  },
});

function reporter(cancelWord: Int32Array): OnTraining {
  let owed = 0;
  let nextMs = 0;
  return (samples, rank) => {
    if (Atomics.load(cancelWord, 0) !== 0) throw new Error("Cannot go on: training was cancelled");
    owed += samples;
    if (performance.now() < nextMs) return;
    nextMs = performance.now() + REPORT_MS;
    reply({ kind: "trained", samples: owed, rank });
    owed = 0;
  };
}
