/**
 * What the GPU does in a step: a list of dispatches, recorded once, encoded step by step. Bind
 * groups and pipelines are made when the list is; a step makes command buffers and nothing else.
 *
 * Commands go to the GPU in slices of a few milliseconds, at most two at a time, so that whoever
 * shares the GPU gets his turn; in the background one at a time, and shorter ones.
 */
import { check } from "../src/base/check.ts";
import type { ExprLike } from "../src/shapes/mod.ts";
import type { Gpu } from "./device.ts";
import { HeldRows, INT8_COLUMNS, type Int8Rows, int8RowsBytes } from "./int8_rows.ts";
import { type KernelName, needsOf } from "./kernels.ts";
import type { Constants } from "./pipelines.ts";
import type { Rows } from "./rows.ts";
import { Schedule } from "./schedule.ts";
import { type ReadRequest, SliceEncoder } from "./slice_encoder.ts";
import { SlicePace } from "./slice_pace.ts";
import { ANY, both, kindOf, limitsOf, type Range, type When } from "./step_kinds.ts";
import { contextOf, isApart, type StepInput, type StepValues } from "./step_input.ts";

/** Of a sequence each: steps whose shaders are compiled before they come. */
const APART_TOKENS = [1, 2, 4, 8] as const;

/** Tokens of a step: all of them, or those that are scored. */
export type Counted = "tokens" | "scored";

/** One shader over one grid. */
export interface Dispatch {
  readonly kernel: KernelName;
  readonly constants: Constants;
  /** In the order of the shader's bindings. */
  readonly bindings: readonly GPUBufferBinding[];
  /** Over N tokens (n, or m where `count` says so) and S = P + N positions. */
  readonly workgroups: readonly [ExprLike, ExprLike, ExprLike];
  readonly count?: Counted;
  /** Rows that it binds and whose 8 bits stay true: it puts them there, or only reads them. */
  readonly keeps?: Rows;
  readonly when?: When;
}

/** What steps of a kind do. */
interface Found {
  readonly schedule: Schedule;
  readonly slices: SliceEncoder;
  readonly pace: SlicePace;
}

interface Recorded extends Dispatch {
  readonly group: GPUBindGroup;
  endsUnit: boolean;
}

/** Collects dispatches; operations (gpu/ops) add theirs. */
export class ProgramBuilder {
  readonly gpu: Gpu;
  readonly input: StepInput;
  /** Room for inputs of products in 8 bits; null: none, products by integers are not used. */
  readonly int8: Int8Rows | null;
  readonly #dispatches: Recorded[] = [];
  readonly #groups = new Map<string, GPUBindGroup>();
  readonly #bufferIds = new Map<GPUBuffer, number>();
  readonly #held = new HeldRows();
  #when: When = {};

  constructor(gpu: Gpu, input: StepInput, int8: Int8Rows | null = null) {
    this.gpu = gpu;
    this.input = input;
    this.int8 = int8;
  }

  /** The most tokens of a step. */
  get maxTokens(): number {
    return this.input.maxTokens;
  }

  /**
   * Somebody puts these rows, `columns` from their first one on, into 8 bits.
   * @param options.besides read by the same dispatch: other rows go elsewhere; of one token.
   * @returns where to; null when there is no room for them or no need of them.
   */
  holdInt8(
    rows: Rows,
    count: Counted,
    columns: number,
    { besides }: { besides?: GPUBuffer | null } = {},
  ): GPUBuffer | null {
    if (!this.hasInt8(columns, rows.perToken)) return null;
    const buffer = this.#int8Besides(besides);
    const tokens = this.#during(count);
    const { isApart } = this.#when;
    this.#held.put(buffer, { key: this.#keyOf(rows, count, columns), tokens, isApart });
    return buffer;
  }

  /**
   * Room for a row of each sequence in 8 bits that is no row of floats, until the next one is
   * taken: where `holdInt8` puts nothing but what is made of it, for others may come before all
   * have read it.
   * @param besides read by the same dispatch: it goes elsewhere.
   * @returns null: none.
   */
  takeInt8(columns: number, besides: GPUBuffer | null): GPUBuffer | null {
    if (!this.hasInt8(columns)) return null;
    const { main, other } = this.int8!;
    const buffer = besides === other ? main : other;
    this.#held.drop(buffer);
    return buffer;
  }

  #int8Besides(besides?: GPUBuffer | null): GPUBuffer {
    const { main, other } = this.int8!;
    return besides === main ? other : main;
  }

  /** Where these rows are in 8 bits, and from how many tokens on they are not. */
  findInt8(rows: Rows, count: Counted, columns: number) {
    const range = this.#during(count);
    const { isApart } = this.#when;
    return this.#held.find(this.#keyOf(rows, count, columns), range, isApart) ??
      { buffer: this.int8!.main, missingFrom: range[0] };
  }

  /** The steps that are added to. */
  #during(count: Counted): Range {
    return count === "tokens" ? this.#when.tokens ?? ANY : ANY;
  }

  /** Rows of so many columns can be in 8 bits, and some product would read them there. */
  hasInt8(columns: number, perToken = 1): boolean {
    const { int8, gpu } = this;
    return int8 !== null && columns % INT8_COLUMNS === 0 &&
      int8RowsBytes(this.maxTokens * perToken, columns) <= int8.main.size &&
      Object.values(gpu.variants).some((kernel) => needsOf(kernel).includes("int8"));
  }

  #keyOf(rows: Rows, count: Counted, columns: number): string {
    const { buffer, offsetBytes, column = 0, perToken = 1 } = rows;
    return `${this.#bufferId(buffer)}:${offsetBytes} ${column} ${columns} ${count} ${perToken}`;
  }

  add(dispatch: Dispatch): void {
    this.#forgetWritten(dispatch);
    const { count = "tokens", when } = dispatch;
    const within = both(when, { ...this.#when, tokens: this.#during(count) });
    const most = within?.isApart ? this.input.sequences : this.maxTokens;
    if (within === null || within.tokens![0] > most) return;
    const own = { ...dispatch, when: within };
    this.#dispatches.push({ ...own, group: this.#group(dispatch), endsUnit: false });
  }

  /** What `add` adds is done in such steps only. */
  during(when: When, add: () => void): void {
    const outer = this.#when;
    const within = both(outer, when);
    if (within === null) return;
    this.#when = within;
    add();
    this.#when = outer;
  }

  /** Whoever has rows that are held in 8 bits may have changed them. */
  #forgetWritten({ bindings, keeps }: Dispatch): void {
    for (const { buffer, offset = 0 } of bindings) {
      if (keeps?.buffer === buffer && keeps.offsetBytes === offset) continue;
      this.#held.forget(`${this.#bufferId(buffer)}:${offset}`);
    }
  }

  /** Commands may be cut here: a layer, or half of one, is done. */
  boundary(): void {
    const last = this.#dispatches.at(-1);
    if (last) last.endsUnit = true;
  }

  /**
   * @param likely steps whose shaders are compiled now; others compile at their first use.
   * @throws {Error} when WebGPU refuses a shader or a binding: a bug.
   */
  async build(likely?: readonly StepValues[]): Promise<Program> {
    const { gpu, maxTokens: n, input: { sequences } } = this;
    const steps = likely ?? [
      { n, position: 0, m: 1 },
      ...APART_TOKENS.filter((n) => n <= sequences)
        .map((n) => ({ n, position: 0, m: n, isApart: true })),
    ];
    const program = new Program(gpu, this.input, this.#dispatches);
    gpu.device.pushErrorScope("validation");
    for (const step of steps) program.prepare(step);
    const error = await gpu.device.popErrorScope();
    check(error === null, `WebGPU refuses a program: ${error?.message}`);
    gpu.assertWell();
    return program;
  }

  #bufferId(buffer: GPUBuffer): number {
    const id = this.#bufferIds.get(buffer) ?? this.#bufferIds.size;
    this.#bufferIds.set(buffer, id);
    return id;
  }

  #group({ kernel, bindings }: Dispatch): GPUBindGroup {
    const layout = this.gpu.pipelines.layout(kernel);
    const parts = bindings.map(({ buffer, offset = 0, size = 0 }) => {
      return `${this.#bufferId(buffer)}:${offset}:${size}`;
    });
    const key = `${layout.label} ${parts.join(" ")}`;
    const made = this.#groups.get(key);
    if (made) return made;
    const entries = bindings.map((resource, binding) => ({ binding, resource }));
    const group = this.gpu.device.createBindGroup({ label: kernel, layout, entries });
    this.#groups.set(key, group);
    return group;
  }
}

export class Program {
  /** Bytes that steps copied from buffer to buffer, so far; read-back only. */
  copiedBytes = 0;
  readonly #gpu: Gpu;
  readonly #input: StepInput;
  readonly #dispatches: readonly Recorded[];
  readonly #limits: { readonly n: number[]; readonly m: number[]; readonly context: number[] };
  readonly #schedules = new Map<number, Found>();
  /** Of the slices of a step: where each ends, in units. */
  readonly #ends: number[] = [];

  constructor(gpu: Gpu, input: StepInput, dispatches: readonly Recorded[]) {
    this.#gpu = gpu;
    this.#input = input;
    this.#dispatches = dispatches;
    this.#limits = {
      n: limitsOf(dispatches, (each) => each.count === "scored" ? undefined : each.when?.tokens),
      m: limitsOf(dispatches, (each) => each.count === "scored" ? each.when?.tokens : undefined),
      context: limitsOf(dispatches, (each) => each.when?.context),
    };
  }

  /** The longest time that the GPU was not to be had, ms, of what was waited for. */
  get longestSliceMs(): number {
    return Math.max(0, ...[...this.#schedules.values()].map(({ pace }) => pace.longestMs));
  }

  /** Compiles what a step like this one needs. */
  prepare(step: StepValues): void {
    this.#find(step);
  }

  /** Dispatches of a step. */
  dispatchCount(step: StepValues): number {
    return this.#find(step).schedule.pipelines.length;
  }

  /**
   * Runs a step that was written to the input; `read` is copied behind its last dispatch. Comes
   * back while the GPU computes.
   * @throws {GpuLostError} when the GPU is gone, as far as that is known.
   */
  run(step: StepValues, read?: ReadRequest): void {
    const slices = this.#runSlices(step, read);
    // The next token's commands, while this one is computed.
    if (isApart(step)) slices.encodeAhead(this.#ends, read);
  }

  /** As `run`, of a step that follows one under way: no time is lost by encoding it only now. */
  runBehind(step: StepValues, read?: ReadRequest): void {
    this.#runSlices(step, read);
  }

  /**
   * Commands of a step that will follow what is under way, to be sent by themselves.
   * @returns null where they would have to go in slices, as far as is known.
   */
  encodeBehind(step: StepValues): GPUCommandBuffer | null {
    const { schedule, slices, pace } = this.#find(step);
    if (!pace.isWhole) return null;
    schedule.update(step);
    return slices.encodeAll();
  }

  #runSlices(step: StepValues, read?: ReadRequest): SliceEncoder {
    const gpu = this.#gpu;
    const { slices, pace, units } = this.#begin(step, read);
    for (let unit = 0; unit < units;) {
      const end = Math.min(units, unit + pace.unitsPerSlice);
      this.#submit(slices, unit, end, end === units ? read : undefined);
      if (pace.mustWait(end - unit, end === units) && gpu.isQuick) {
        gpu.drain();
        pace.waited();
      }
      unit = end;
    }
    return slices;
  }

  /** As `run`, where waiting has to be awaited. */
  async runLater(step: StepValues, read?: ReadRequest): Promise<void> {
    const gpu = this.#gpu;
    const { slices, pace, units } = this.#begin(step, read);
    for (let unit = 0; unit < units;) {
      const end = Math.min(units, unit + pace.unitsPerSlice);
      this.#submit(slices, unit, end, end === units ? read : undefined);
      if (pace.mustWait(end - unit, end === units)) {
        await gpu.drained();
        pace.waited();
      }
      unit = end;
    }
  }

  #begin(step: StepValues, read?: ReadRequest) {
    this.#gpu.assertWell();
    const { schedule, slices, pace } = this.#find(step);
    schedule.update(step);
    const units = schedule.unitEnds.length;
    this.#ends.length = 0;
    if (units === 0 && read) this.#submit(slices, 0, 0, read);
    pace.begin();
    return { slices, pace, units };
  }

  /** Submits some units. */
  #submit(slices: SliceEncoder, unit: number, endUnit: number, read?: ReadRequest): void {
    this.#ends.push(endUnit);
    if (read) {
      read.to.expect(this.#input.sequence, read.bytes);
      this.copiedBytes += 4 + read.bytes;
    }
    this.#gpu.submit([slices.take(unit, endUnit, read)]);
  }

  /** The schedule of steps like this one. */
  #find(step: StepValues): Found {
    const { n, m, context } = this.#limits;
    const tokens = kindOf(step.n, n) * (m.length + 1) + kindOf(step.m, m);
    const ofTokens = tokens * (context.length + 1) + kindOf(contextOf(step), context);
    const kind = 2 * ofTokens + (isApart(step) ? 1 : 0);
    const made = this.#schedules.get(kind);
    if (made) return made;
    const schedule = new Schedule(this.#ready(step));
    const pace = new SlicePace(schedule.unitEnds.length, this.#gpu.priority);
    const slices = new SliceEncoder(this.#gpu.device, this.#input, schedule);
    const found = { schedule, slices, pace };
    this.#schedules.set(kind, found);
    return found;
  }

  /** Those dispatches that a step has. */
  #ready(step: StepValues) {
    const isWithin = (value: number, range?: Range) =>
      range === undefined || value >= range[0] && value <= range[1];
    const ready = [];
    let endsUnit = false;
    for (const each of this.#dispatches.toReversed()) {
      endsUnit ||= each.endsUnit;
      const { kernel, constants, group, workgroups, count = "tokens", when } = each;
      const tokens = count === "scored" ? step.m : step.n;
      if (!isWithin(tokens, when?.tokens)) continue;
      if (!isWithin(contextOf(step), when?.context)) continue;
      if ((when?.isApart ?? isApart(step)) !== isApart(step)) continue;
      const pipeline = this.#gpu.pipelines.get(kernel, constants);
      ready.push({ pipeline, group, workgroups, count, endsUnit });
      endsUnit = false;
    }
    return ready.toReversed();
  }
}
