/**
 * Several tokens of one sequence in one wait: each is computed of the id that the GPU chose of the
 * one before. What comes back is each token's best logits and that id: whoever reads them chooses
 * exactly, and takes what was computed behind an id only if it is the one chosen. So the GPU's
 * arithmetic decides how many tokens of a chain count, never which.
 *
 * The first token's layers are those of every step. A token behind it is one list of commands, from
 * its id to the choice of the next: a short one goes to the GPU in one piece (3 % more tokens a
 * second than in five, on an H100), others in slices as every program does.
 *
 * A wait ends when the GPU is idle: Deno knows no other one. So the first tokens of the next chain
 * are encoded before a wait, and sent when it ends, before anybody looks at what it has brought:
 * the GPU needs nobody to tell it the id. Who then begins something else writes over them, as over
 * all that is computed behind a wrong id.
 */
import {
  CANDIDATES_MAX,
  type ChainChoice,
  chooseScratchBytes,
  chooseToken,
  CHOSEN_WORDS,
  createReadBack,
  createStepChain,
  embed,
  enterToken,
  type Gpu,
  type GpuMatrix,
  GpuOutOfMemoryError,
  type Program,
  type ProgramBuilder,
  type ReadBack,
  type Rows,
  type StepChain,
  type StepInput,
  TOO_MANY,
  weightFormat,
} from "../../../gpu/mod.ts";
import { check } from "../../base/check.ts";
import type { GgufTensor } from "../../gguf/types.ts";
import type { MatrixPlan } from "../plan/plan_types.ts";
import { lengthOf } from "../plan/shard.ts";
import { deviceType } from "../plan/device_placer.ts";
import type { StreamEnds } from "./gpu_alt_up.ts";
import { addTokenInputs, tablePlans, type TokenInputs } from "./gpu_inputs.ts";
import { addOutput, type GpuOutput, halfOf, type OutputPlace } from "./gpu_output.ts";
import type { LayerLeft } from "./gpu_layer.ts";
import type { NormReaders } from "./layer_operations.ts";
import type { KeptStart } from "./gpu_kept.ts";
import type { GpuStep } from "./gpu_step.ts";
import { addFirstNorm, addLayers } from "./gpu_walk.ts";
import { CHAIN_TOKENS_MAX, chainTokensOf } from "../plan/kept_shapes.ts";
import type { WalkedGpuLayer } from "./walked_layer.ts";

export type { ChainChoice };

export interface TokenChainInput extends OutputPlace {
  readonly gpu: Gpu;
  readonly input: StepInput;
  readonly output: GpuOutput;
  readonly layers: readonly WalkedGpuLayer[];
  /** By the last of them. */
  readonly left: LayerLeft;
  /** What reads the stream behind them; null: not half of a norm. */
  readonly readersBehind: NormReaders | null;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  /** Null: tokens give layers nothing. */
  readonly tokenInputs: TokenInputs | null;
  /** Null: there is one residual stream. */
  readonly streamEnds: StreamEnds | null;
  /** Null: nothing is kept beside it. */
  readonly keptStart: KeptStart | null;
  readonly givenParts: Rows | null;
}

/** The best ids of a token, best first. */
export interface BestIds {
  readonly count: number;
  /** [CANDIDATES_MAX]; of each id its logit. */
  readonly ids: Int32Array;
  readonly logits: Float32Array;
}

/** What a chain runs, made when the rank is opened. */
interface ChainParts {
  readonly tokensMax: number;
  readonly keepsStates: boolean;
  readonly steps: StepChain;
  /** Behind the first token's layers: its logits, and the choice among them. */
  readonly output: Program;
  /** All of another token. */
  readonly token: Program;
  readonly back: ReadBack;
}

/** Null where the GPU has no room for the table of embeddings, or no shader. */
export async function openTokenChain(of: TokenChainInput): Promise<TokenChain | null> {
  const { plan, config, gpu } = of;
  const { gpu: part, embedding, embeddingNorm, positions, output } = plan;
  const isWhole = lengthOf(output.rows) === config.vocabSize;
  // Waits that are short so that a desktop stays responsive are not made longer.
  if (chainTokensOf(config) === 1) return null;
  if (!part!.isAlone || !gpu.isQuick || gpu.priority !== "normal") return null;
  if (!isWhole || positions !== null || embeddingNorm !== null) return null;
  const tables = tablePlans(plan, of.tensors);
  if (tables === null || [embedding, ...tables].some((each) => !hasShader(each))) return null;
  try {
    return new TokenChain(gpu, await openParts(of, tables[0] ?? null));
  } catch (error) {
    if (error instanceof GpuOutOfMemoryError) return null;
    throw error;
  }
}

/** inputTable: of what tokens give layers; null: nothing. */
async function openParts(
  of: TokenChainInput,
  inputTable: MatrixPlan | null,
): Promise<ChainParts> {
  const { gpu, plan, config, space, input, layers, output, tokenInputs, makeBuilder } = of;
  const isTied = plan.embedding.tensor === plan.output.tensor;
  const table = isTied ? output.matrix.matrix : await loadTable(of, plan.embedding);
  const given = inputTable && await loadTable(of, inputTable);
  const steps = await createStepChain(gpu, input, CHAIN_TOKENS_MAX);
  const width = config.vocabSize;
  const scratch = await gpu.createBuffer("largest logits", chooseScratchBytes(width));
  const { chosen } = steps;
  const addEnd = (builder: ProgramBuilder, left: LayerLeft) => {
    addOutput(builder, of, output, halfOf(left));
    chooseToken(builder, { logits: space.logits, width, scratch, chosen });
  };
  const build = async (add: (builder: ProgramBuilder) => void) => {
    const builder = makeBuilder();
    // Layers have commands for other steps, too, which would never run.
    builder.during({ tokens: [1, 1], isApart: true }, () => add(builder));
    return await builder.build([{ n: 1, position: 0, m: 1 }]);
  };
  return {
    ...{ steps, tokensMax: chainTokensOf(config), keepsStates: config.stateSpace !== null },
    output: await build((builder) => addEnd(builder, of.left)),
    token: await build((builder) => {
      const before = addToken(builder, steps, table, of);
      if (tokenInputs !== null) addTokenInputs(builder, tokenInputs, of, given);
      const all = layers.map(({ layer }) => layer);
      addEnd(builder, addLayers(builder, all, { from: 0, end: all.length, before }, of));
    }),
    back: await createReadBack(gpu, CHAIN_TOKENS_MAX * CHOSEN_WORDS * 4),
  };
}

/** The next token's step, and its row in the stream. @returns what that leaves for the layers. */
function addToken(
  builder: ProgramBuilder,
  steps: StepChain,
  matrix: GpuMatrix,
  of: TokenChainInput,
): LayerLeft {
  const { config: { embeddingScale: scale }, space: { residual: to }, layers: [{ layer }] } = of;
  const left = addFirstNorm(builder, layer, of, (next) => {
    return enterToken(builder, { ...next, ...{ matrix, scale, to, chain: steps } });
  });
  if (left.apart === null) {
    steps.addAdvance(builder);
    embed(builder, { matrix, to, scale });
  }
  return left;
}

async function loadTable({ loader }: TokenChainInput, plan: MatrixPlan): Promise<GpuMatrix> {
  return (await loader.stack([{ ...plan, bias: null }])).matrix;
}

function hasShader(plan: MatrixPlan): boolean {
  return weightFormat(deviceType(plan), lengthOf(plan.columns)) !== undefined;
}

export class TokenChain {
  /** The most tokens of a wait, those that are ahead included. */
  readonly tokensMax: number;
  /** Where layers keep states: places that tokens leave theirs in. Is filled in before a step. */
  readonly states = new Int32Array(CHAIN_TOKENS_MAX);
  /** Is filled in before a step. */
  readonly choice: ChainChoice = {
    ...{ temperature: 0, topK: 1, topP: 1, minP: 0 },
    points: new Float64Array(CHAIN_TOKENS_MAX),
  };
  /** Of the next step, or of the one under way: set before the step, 1 again behind it. */
  tokens = 1;
  /** Tokens of the chain behind it to go ahead with: set as `tokens` is, 0 again. */
  ahead = 0;
  /** The step is the chain that the one before has gone ahead with: likewise, false again. */
  goesOn = false;
  /** Commands of the tokens that are ahead. */
  readonly #commands: GPUCommandBuffer[] = [];
  /** Tokens that were sent ahead of the next step. */
  #sentCount = 0;
  /** Of the step under way, those that were sent before it began. */
  #takenCount = 0;
  readonly #gpu: Gpu;
  readonly #parts: ChainParts;
  readonly #floats = new Float32Array(CHAIN_TOKENS_MAX * CHOSEN_WORDS);
  readonly #words = new Uint32Array(this.#floats.buffer);
  readonly #best: readonly BestIds[];

  constructor(gpu: Gpu, parts: ChainParts) {
    this.#gpu = gpu;
    this.#parts = parts;
    this.tokensMax = parts.tokensMax;
    const buffer = this.#floats.buffer;
    const words = this.#words;
    this.#best = Array.from({ length: CHAIN_TOKENS_MAX }, (_, index) => {
      const at = 4 * (index * CHOSEN_WORDS + 4);
      return {
        get count(): number {
          return words[index * CHOSEN_WORDS + 1];
        },
        logits: new Float32Array(buffer, at, CANDIDATES_MAX),
        ids: new Int32Array(buffer, at + 4 * CANDIDATES_MAX, CANDIDATES_MAX),
      };
    });
  }

  /** Tokens of the next step that are on the GPU already, if it is one that goes on. */
  get sentCount(): number {
    return this.#sentCount;
  }

  /** Tokens that the step's only row stands for, and those that follow them. */
  get chained(): number {
    return this.tokens + this.ahead;
  }

  /** A step begins. What was sent ahead of another one counts for nothing. */
  begin(): void {
    check(!this.goesOn || this.#sentCount > 0, "tokens were sent ahead");
    this.#takenCount = this.goesOn ? this.#sentCount : 0;
    this.#sentCount = this.#commands.length = 0;
  }

  /**
   * Behind the first token's layers: its logits, and all of the other tokens. Where the chain goes
   * on, all but those that are there.
   * @throws {GpuLostError} when the GPU is gone or the tokens came to nothing.
   */
  run(step: GpuStep): void {
    const { tokens, ahead, choice } = this;
    const { steps, output, token, back, keepsStates } = this.#parts;
    const taken = this.#takenCount;
    check(step.n === 1 && step.m === 1, "a chain is of single tokens");
    check(tokens > 1 && tokens + ahead <= this.tokensMax, `a chain of ${tokens} + ${ahead} tokens`);
    const states = keepsStates ? this.states : null;
    steps.write({ tokens, taken, ahead }, step, { choice, states });
    if (taken === 0) output.run(step);
    const bytes = tokens * CHOSEN_WORDS * 4;
    const read = { to: back, from: steps.chosen, offsetBytes: steps.chosenOffset, bytes };
    for (let index = 1; index < tokens; index++) {
      step.goOn(states && states[index]);
      if (index < taken) continue;
      token.runBehind(step, index === tokens - 1 ? read : undefined);
    }
    if (ahead === 0) step.writeAhead();
    else this.#encodeAhead(step, states);
    back.readInto(this.#floats, this.#sendAhead);
  }

  /** All, or none where some may be long: those would go in slices, which are waited for. */
  #encodeAhead(step: GpuStep, states: Int32Array | null): void {
    const { tokens, ahead } = this;
    for (let index = tokens; index < tokens + ahead; index++) {
      step.goOn(states && states[index]);
      const commands = this.#parts.token.encodeBehind(step);
      if (commands === null) {
        this.#commands.length = 0;
        return;
      }
      this.#commands.push(commands);
    }
  }

  /** A field: nothing is made per step. */
  readonly #sendAhead = (): void => {
    // One by one: the GPU begins the sooner.
    for (let i = 0; i < this.#commands.length; i++) this.#gpu.submit([this.#commands[i]]);
    this.#sentCount = this.#commands.length;
    this.#commands.length = 0;
  };

  /** Of a token: what the next one was computed of. */
  idAt(index: number): number {
    return this.#words[index * CHOSEN_WORDS];
  }

  /** Of a token; null: none could be told, its logits are wanted. */
  bestAt(index: number): BestIds | null {
    const best = this.#best[index];
    return best.count === TOO_MANY || best.count === 0 ? null : best;
  }
}
