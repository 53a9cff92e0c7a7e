/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/** A follower for control_test.ts: at every join it leaves its mark and reads the others' marks. */
import { Control } from "../../src/memory/control.ts";
import { STEP_KIND_EXIT } from "../../src/memory/control_layout.ts";

export interface FollowerSetup {
  readonly rankIndex: number;
  readonly rankCount: number;
  readonly control: SharedArrayBuffer;
  /** [2][rankCount] marks, used in turns. */
  readonly marks: SharedArrayBuffer;
}

self.onmessage = (event: MessageEvent<FollowerSetup>) => {
  const { rankIndex, rankCount, marks } = event.data;
  const control = new Control(event.data.control, {
    ...{ chunkTokens: 4, contextLength: 16, slots: 2 },
    ...{ rankCount, leads: false },
  });
  const words = new Int32Array(marks);
  const step = control.newStep();
  let stale = 0;
  let joins = 0;
  self.postMessage("ready");
  for (;;) {
    control.awaitStep(step);
    if (step.kind === STEP_KIND_EXIT) break;
    for (let join = 0; join < step.tokenCount; join++) {
      const at = (joins % 2) * rankCount;
      words[at + rankIndex] = joins + 1;
      if (!control.join()) break;
      for (let rank = 0; rank < rankCount; rank++) {
        if (words[at + rank] !== joins + 1) stale++;
      }
      joins++;
    }
  }
  self.postMessage({ stale, joins });
  self.close();
};
