/**
 * Ranks whose dead intermediates are overwritten with NaN before each part of each step: whoever
 * reads what nothing has written, or what another one has written over, shows. The first one is on
 * the test's own thread.
 */
import { check } from "../../src/base/check.ts";
import { Leader } from "../../src/engine/leader.ts";
import { type GgufFile, openGguf } from "../../src/gguf/mod.ts";
import { createArenaMemory } from "../../src/memory/arena.ts";
import { controlWords } from "../../src/memory/control_layout.ts";
import { describeModel } from "../../src/model/mod.ts";
import type { ModelConfig, ModelDescription } from "../../src/model/types.ts";
import { usedTensors } from "../../src/llm/used_tensors.ts";
import { type DraftSetup, RankRunner, type RankSetup } from "../../src/rank/open_rank.ts";
import { controlSize } from "../../src/rank/plan/control_size.ts";
import { type PlanOptions, planRanks } from "../../src/rank/plan/plan.ts";
import type { RankPlan } from "../../src/rank/plan/plan_types.ts";
import { stepGraph } from "../../src/rank/plan/step_graph.ts";
import { LASTING_TENSORS, STEP_TENSORS } from "../../src/rank/plan/step_tensors.ts";
import { type GraphTensor, Liveness, type StepGraph } from "../../src/shapes/mod.ts";
import { instantiateKernels, loadKernelModule } from "../../wasm/mod.ts";

/** The walk's functions, which the graph's operations are named after. */
const PARTS = [
  ...[
    "begin",
    "embed",
    "joinEmbedding",
    "enterLayer",
    "routeEarly",
    "project",
    "normalizeHeads",
    "rotate",
  ],
  ...[
    "remember",
    "attend",
    "mergeHeads",
    "recur",
    "joinAttention",
    "feedShared",
    "predict",
    "feedForward",
    "joinFeedForward",
    "endLayer",
    "endStreams",
    "scoreVocabulary",
  ],
];
/** Words of NaNs of f32, also of f16; as a number of a row it is one that does not exist. */
const POISON = 0xffff_ffff_ffff_ffffn;

export interface TestedRanks extends Disposable {
  readonly leader: Leader;
  readonly runner: RankRunner;
  readonly plans: readonly RankPlan[];
  /** What is generated. */
  readonly outputIds: Int32Array;
}

/** See above. inflation: tiles and scratch have so many times their room. */
export interface Poisoning {
  readonly poisons: boolean;
  readonly inflation?: number;
}

/** What a follower's thread is told: poisoned_worker.ts. */
export interface FollowerStart {
  readonly setup: RankSetup;
  /** Of a model that guesses; left out: there is none. */
  readonly draft?: DraftSetup;
  readonly poisons: boolean;
}

/** Ranks of the model at `path`. */
export async function openRanks(
  path: string,
  options: Partial<PlanOptions>,
  how: Poisoning,
): Promise<TestedRanks> {
  const file = openGguf(path);
  const { runner, plans } = await openRunner({ file, model: describeModel(file) }, options, how);
  return {
    leader: new Leader(runner),
    runner,
    plans,
    outputIds: runner.control.outputIds(0),
    [Symbol.dispose]: () => runner.control.publishExit(),
  };
}

/** The first rank of a model; whoever has it sends the others home. */
export async function openRunner(
  { file, model }: { readonly file: GgufFile; readonly model: ModelDescription },
  options: Partial<PlanOptions>,
  { poisons, inflation = 1 }: Poisoning,
  beside?: { readonly file: GgufFile; readonly model: ModelDescription },
): Promise<{ runner: RankRunner; plans: readonly RankPlan[]; draft?: RankRunner }> {
  const module = await loadKernelModule();
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true });
  const sizes = instantiateKernels(module, memory);
  const planOptions: PlanOptions = {
    ...{ rankCount: 1, contextLength: 64, chunkTokens: 24, kvType: "auto" },
    sizes: {
      q8_bytes: (n, k) => inflation * sizes.q8_bytes(n, k),
      matmul_long_scratch_bytes: () => inflation * sizes.matmul_long_scratch_bytes(),
      neurons_scratch_bytes: (d) => inflation * sizes.neurons_scratch_bytes(d),
      attention_scratch_bytes: (...of) => inflation * sizes.attention_scratch_bytes(...of),
      choose_scratch_bytes: () => sizes.choose_scratch_bytes(),
    },
    ...options,
  };
  const plans = planRanks(model, file.tensors, planOptions);
  const draft = beside &&
    draftOf(beside, planRanks(beside.model, beside.file.tensors, planOptions));
  const common = {
    plans,
    config: model.config,
    tensors: usedTensors(file, model, plans),
    parts: file.parts,
    module,
    memories: plans.map(({ arenas }) => arenas.map(createArenaMemory)),
    controlBuffer: new SharedArrayBuffer(4 * controlWords(controlSize(plans[0]))),
    observation: null,
    gpu: null,
    streams: null,
  };
  for (let rankIndex = 1; rankIndex < plans.length; rankIndex++) {
    await startFollower({ setup: { ...common, rankIndex }, poisons, draft });
  }
  const runner = RankRunner.open({ ...common, rankIndex: 0 }, () => {});
  if (poisons) poison(runner);
  if (draft === undefined) return { runner, plans };
  const guessing = RankRunner.openDraft(runner, draft, () => {});
  if (poisons) poison(guessing);
  return { runner, plans, draft: guessing };
}

function draftOf(
  { file, model }: { readonly file: GgufFile; readonly model: ModelDescription },
  plans: readonly RankPlan[],
): DraftSetup {
  return {
    ...{ plans, config: model.config, parts: file.parts },
    tensors: usedTensors(file, model, plans),
    memories: plans.map(({ arenas }) => arenas.map(createArenaMemory)),
  };
}

function startFollower(start: FollowerStart): Promise<void> {
  const worker = new Worker(new URL("./poisoned_worker.ts", import.meta.url), { type: "module" });
  return new Promise((resolve, reject) => {
    worker.onmessage = () => resolve();
    worker.onerror = (event) => reject(new Error(event.message));
    worker.postMessage(start);
  });
}

/** The graph that the plan was made by, sizes left aside. */
export function graphOf(config: ModelConfig, plan: RankPlan): StepGraph {
  const names = [...STEP_TENSORS, ...LASTING_TENSORS];
  const present = new Set(plan.workspaces[0].intermediates.places.map(({ name }) => name));
  return stepGraph({
    config,
    bytes: Object.fromEntries(names.filter((name) => present.has(name)).map((name) => [name, 1])),
    isSparse: plan.isSparse,
    hasPredictors: plan.strides.predictor > 0,
  });
}

/** Makes a rank overwrite what is dead before each part of its steps. */
export function poison({ rank, plan, setup }: RankRunner): void {
  const { config, rankIndex } = setup;
  const memories = setup.memories[rankIndex];
  const graph = graphOf(config, plan);
  const liveness = new Liveness(graph);
  /** What is dead in each arena between two parts: the same in every step. */
  const deadBetween = new Map<string, BigUint64Array[]>();
  let last = "load";
  for (const part of PARTS) {
    const step = Reflect.get(rank, part) as (...args: unknown[]) => unknown;
    const [first] = opsOf(graph, part);
    const replaced = (...args: unknown[]) => {
      if (first !== undefined) {
        const between = `${last} ${part}`;
        let dead = deadBetween.get(between);
        if (dead === undefined) {
          const [before] = opsOf(graph, last).slice(-1);
          check(before !== undefined, "a part that came before has operations");
          const isLive = (tensor: GraphTensor) =>
            liveness.isLive(tensor, before) && liveness.isLive(tensor, first);
          const live = new Set(graph.tensors.filter(isLive).map((tensor) => tensor.name));
          dead = memories.flatMap((memory, arena) => deadWords(plan, { arena, memory, live }));
          deadBetween.set(between, dead);
        }
        for (const words of dead) words.set(poisonOf(words.length));
        last = part;
      }
      return step.apply(rank, args);
    };
    Object.defineProperty(rank, part, { value: replaced });
  }
}

let poisonWords = new BigUint64Array(0);

/** So many words of it: V8 fills shared memory four times as slowly as it copies to it. */
function poisonOf(length: number): BigUint64Array {
  if (poisonWords.length < length) {
    poisonWords = new BigUint64Array(length).fill(POISON);
    check(new Float32Array(poisonWords.buffer).every(Number.isNaN), "poison is no number");
  }
  return poisonWords.subarray(0, length);
}

function opsOf({ ops }: StepGraph, part: string): number[] {
  return ops.flatMap(({ name }, op) => name === part || name.startsWith(`${part}.`) ? [op] : []);
}

/** Dead intermediates, where no living one lies. */
function deadWords(
  plan: RankPlan,
  { arena, memory, live }: {
    arena: number;
    memory: WebAssembly.Memory;
    live: ReadonlySet<string>;
  },
): BigUint64Array[] {
  const { places } = plan.workspaces[arena].intermediates;
  const isLive = ({ name, isLasting }: typeof places[number]) => isLasting || live.has(name);
  const living = places.filter(isLive);
  return places.filter((place) => !isLive(place)).flatMap((place) => {
    let pieces = [[place.offsetBytes, place.offsetBytes + place.sizeBytes]];
    for (const { offsetBytes: start, sizeBytes } of living) {
      const end = start + sizeBytes;
      pieces = pieces.flatMap(([from, to]) =>
        [[from, Math.min(to, start)], [Math.max(from, end), to]].filter(([a, b]) => a < b)
      );
    }
    // Words, because V8 fills bytes that threads share seven times as slowly.
    return pieces.map(([from, to]) => new BigUint64Array(memory.buffer, from, (to - from) / 8));
  });
}
