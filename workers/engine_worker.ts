/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/**
 * Entry of the engine's thread: rank 0, the leader. While requests run it is busy with their steps;
 * between two of them it looks whether a word says that a message is on its way, and only then
 * lets its event loop run.
 */
import { check } from "../src/base/check.ts";
import { createLeader, type RequestLeader } from "../src/engine/create_leader.ts";
import type { KvCopy } from "../src/engine/kv_archive.ts";
import { RequestError } from "../src/base/errors.ts";
import { ImageReader } from "../src/engine/image_reader.ts";
import type { WholeTexts } from "../src/engine/whole_texts.ts";
import { RankRunner } from "../src/rank/open_rank.ts";
import { answerCalls, leave, reply } from "./answer.ts";

let runner: RankRunner | null = null;
/** One of the two: of a model that reads ids, or of a tower. */
let leader: RequestLeader | null = null;
let images: ImageReader | null = null;
/** What is being copied for a file, a piece with each call. */
let copy: KvCopy | null = null;
/** Messages that came so far, and who waits for the next one. */
let messageCount = 0;
let onMessage = () => {};
/** Settles when no request is left. */
let working: Promise<void> | null = null;

answerCalls("engine", {
  async load(setup) {
    const tell = (bytes: number) => reply({ kind: "progress", bytes });
    const isOnGpu = setup.plans[setup.rankIndex].gpu !== null;
    runner = isOnGpu ? await RankRunner.openOnGpu(setup, tell) : RankRunner.open(setup, tell);
    if (setup.config.patches !== undefined) {
      images = new ImageReader(runner);
      return {};
    }
    const draft = setup.draft && RankRunner.openDraft(runner, setup.draft, tell);
    leader = createLeader(runner, { speculate: setup.speculate, draft, waitMs: setup.gpu?.waitMs });
    return {};
  },
  generate({ request, slot }, later) {
    const leader = leaderOfTexts();
    leader.begin(request, slot, later);
    working ??= work(leader, runner!);
    return null;
  },
  copyKv({ ids, ...of }) {
    copy = leader?.archive(of)?.copy(ids) ?? null;
    if (copy === null) return { begun: null };
    const { start, sizeBytes, recordBytes } = copy;
    return { begun: { start, sizeBytes, recordBytes } };
  },
  nextKv({ bytesMax }, later) {
    const records = copy?.next(bytesMax) ?? null;
    if (records === null) copy = null;
    later.done({ records }, records === null ? [] : [records.buffer]);
    return null;
  },
  restoreKv(file, later) {
    const archive = leader?.archive(file) ?? null;
    if (leader === null || runner === null || archive === null) return { blocks: null };
    leader.errands.add(archive.restoring(file.path), {
      done: (blocks) => later.done({ blocks }),
      failed: (error) => later.failed(error),
    });
    working ??= work(leader, runner);
    return null;
  },
  wear: ({ adapters }) => ofTexts((texts) => (texts.adapters = adapters, {})),
  logits: ({ ids, stepTokens }) =>
    ofTexts((texts) => {
      const isComplete = texts.scoreAll(ids, (rows, firstPosition) => {
        reply({ kind: "rows", rows, firstPosition }, [rows.buffer]);
      }, stepTokens);
      return { isComplete };
    }),
  score: ({ ids, from }) => ofTexts((texts) => ({ nll: texts.negativeLogLikelihood(ids, from) })),
  logprobs: ({ ids, rows }) => ofTexts((texts) => ({ isComplete: texts.logprobs(ids, rows) })),
  embed: ({ texts, pooling }) => ofTexts((all) => ({ vectors: all.embed(texts, pooling) })),
  see({ input }, later) {
    if (images === null) {
      refuse("Cannot look at the image: the model that was loaded reads ids, no patches");
    }
    const rows = images.see(input);
    later.done({ rows }, rows === null ? [] : [rows.buffer]);
    return null;
  },
  observe: ({ ids, position }) =>
    ofTexts((texts) => ({ isComplete: texts.observe(ids, position) })),
  measure: ({ ids, readsOutput }) =>
    ofTexts((texts) => ({ isComplete: texts.measure(ids, readsOutput) })),
  inputSums: () => ofTexts((texts) => ({ sums: texts.inputSums() })),
  rehearse: ({ ids, policy }) => ofTexts((texts) => ({ choices: texts.rehearse(ids, policy) })),
  readSpeed: () => ofTexts((texts) => ({ gbps: texts.readSpeedGbps() })),
  async close() {
    // Every request was told to stop; what may wait is not done any more.
    leader?.errands.failAll(new Error("The engine was closed before this was done"));
    await working;
    runner?.control.publishExit();
    runner?.close();
    leave();
    return {};
  },
}, () => {
  messageCount++;
  onMessage();
});

/** Runs steps while there is something to do; requests come and go meanwhile. */
async function work(leader: RequestLeader, { control }: RankRunner): Promise<void> {
  // The call that began it is answered by steps.
  await null;
  try {
    while (leader.hasWork) {
      while (control.messageCount !== messageCount) {
        await new Promise<void>((resolve) => onMessage = resolve);
      }
      leader.step();
    }
  } catch (error) {
    leader.failAll(error);
  }
  working = null;
}

/** Of a text as a whole: main lets nothing else run meanwhile. */
function ofTexts<R>(ask: (texts: WholeTexts) => R): R {
  const leader = leaderOfTexts();
  // What was asked for before is done before.
  leader.errands.finish();
  check(!leader.hasWork, "whole texts run alone");
  return ask(leader.texts);
}

function leaderOfTexts(): RequestLeader {
  if (images !== null) refuse("Cannot read ids: the model that was loaded looks at images");
  check(leader !== null, "the engine is loaded first");
  return leader;
}

function refuse(why: string): never {
  throw new RequestError(`${why}: load the other one, too`, { status: 501, code: "unsupported" });
}
