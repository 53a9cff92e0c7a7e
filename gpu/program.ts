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
import type { KernelName } from "./kernels.ts";
import type { Constants } from "./pipelines.ts";
import { type ReadBack, STAMP_BYTES } from "./read_back.ts";
import { Schedule } from "./schedule.ts";
import { SlicePace } from "./slice_pace.ts";
import { SEQUENCE_OFFSET, type StepInput, type StepValues } from "./step_input.ts";

/** From and to, both included. */
export type Range = readonly [number, number];

/** One shader over one grid. */
export interface Dispatch {
  readonly kernel: KernelName;
  readonly constants: Constants;
  /** In the order of the shader's bindings. */
  readonly bindings: readonly GPUBufferBinding[];
  /** Over N tokens (n, or m where `count` says so) and S = P + N positions. */
  readonly workgroups: readonly [ExprLike, ExprLike, ExprLike];
  readonly count?: "tokens" | "scored";
  /** Only in steps where the count, and the context (position + n), are within these. */
  readonly when?: { readonly tokens?: Range; readonly context?: Range };
}

/** What comes back with a step. */
export interface ReadRequest {
  to: ReadBack;
  from: GPUBuffer;
  offsetBytes: number;
  bytes: number;
}

interface Recorded extends Dispatch {
  readonly group: GPUBindGroup;
  endsUnit: boolean;
}

/** Collects dispatches; operations (gpu/ops) add theirs. */
export class ProgramBuilder {
  readonly gpu: Gpu;
  readonly input: StepInput;
  readonly #dispatches: Recorded[] = [];
  readonly #groups = new Map<string, GPUBindGroup>();
  readonly #bufferIds = new Map<GPUBuffer, number>();
  #tokens: Range = [0, Infinity];

  constructor(gpu: Gpu, input: StepInput) {
    this.gpu = gpu;
    this.input = input;
  }

  /** The most tokens of a step. */
  get maxTokens(): number {
    return this.input.maxTokens;
  }

  add(dispatch: Dispatch): void {
    const { count = "tokens", when } = dispatch;
    const [from, to] = when?.tokens ?? [0, Infinity];
    const [outerFrom, outerTo] = count === "tokens" ? this.#tokens : [0, Infinity];
    const tokens: Range = [Math.max(from, outerFrom), Math.min(to, outerTo)];
    if (tokens[0] > Math.min(tokens[1], this.maxTokens)) return;
    const own = { ...dispatch, when: { ...when, tokens } };
    this.#dispatches.push({ ...own, group: this.#group(dispatch), endsUnit: false });
  }

  /** What `add` adds is done in steps of so many tokens only. */
  during(tokens: Range, add: () => void): void {
    const outer = this.#tokens;
    this.#tokens = [Math.max(outer[0], tokens[0]), Math.min(outer[1], tokens[1])];
    add();
    this.#tokens = outer;
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
    const { gpu, maxTokens: n } = this;
    const steps = likely ?? [{ n: 1, position: 0, m: 1 }, { n, position: 0, m: 1 }];
    const program = new Program(gpu, this.input, this.#dispatches);
    gpu.device.pushErrorScope("validation");
    for (const step of steps) program.prepare(step);
    const error = await gpu.device.popErrorScope();
    check(error === null, `WebGPU refuses a program: ${error?.message}`);
    gpu.assertWell();
    return program;
  }

  #group({ kernel, bindings }: Dispatch): GPUBindGroup {
    const layout = this.gpu.pipelines.layout(kernel);
    const parts = bindings.map(({ buffer, offset = 0, size = 0 }) => {
      const id = this.#bufferIds.get(buffer) ?? this.#bufferIds.size;
      this.#bufferIds.set(buffer, id);
      return `${id}:${offset}:${size}`;
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
  readonly #schedules = new Map<number, { schedule: Schedule; pace: SlicePace }>();

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
    const gpu = this.#gpu;
    gpu.assertWell();
    const { schedule, pace } = this.#find(step);
    schedule.update(step);
    const units = schedule.unitEnds.length;
    if (units === 0 && read) this.#submit(schedule, 0, 0, read);
    pace.begin();
    for (let unit = 0; unit < units;) {
      const end = Math.min(units, unit + pace.unitsPerSlice);
      this.#submit(schedule, unit, end, end === units ? read : undefined);
      if (pace.mustWait(end - unit, end === units) && gpu.isQuick) {
        gpu.drain();
        pace.waited();
      }
      unit = end;
    }
  }

  /** As `run`, where waiting has to be awaited. */
  async runLater(step: StepValues, read?: ReadRequest): Promise<void> {
    const gpu = this.#gpu;
    gpu.assertWell();
    const { schedule, pace } = this.#find(step);
    schedule.update(step);
    const units = schedule.unitEnds.length;
    if (units === 0 && read) this.#submit(schedule, 0, 0, read);
    pace.begin();
    for (let unit = 0; unit < units;) {
      const end = Math.min(units, unit + pace.unitsPerSlice);
      this.#submit(schedule, unit, end, end === units ? read : undefined);
      if (pace.mustWait(end - unit, end === units)) {
        await gpu.drained();
        pace.waited();
      }
      unit = end;
    }
  }

  /** Encodes and submits some units. */
  #submit(schedule: Schedule, unit: number, endUnit: number, read?: ReadRequest): void {
    const { pipelines, groups, workgroups, unitEnds } = schedule;
    const { device } = this.#gpu;
    const encoder = device.createCommandEncoder();
    const end = endUnit === 0 ? 0 : unitEnds[endUnit - 1];
    const pass = encoder.beginComputePass();
    for (let i = unit === 0 ? 0 : unitEnds[unit - 1]; i < end; i++) {
      const x = workgroups[3 * i];
      const y = workgroups[3 * i + 1];
      const z = workgroups[3 * i + 2];
      if (x === 0 || y === 0 || z === 0) continue;
      pass.setPipeline(pipelines[i]);
      pass.setBindGroup(0, groups[i]);
      pass.dispatchWorkgroups(x, y, z);
    }
    pass.end();
    if (read) this.#copy(encoder, read);
    this.#gpu.submit([encoder.finish()]);
  }

  /** What comes back, behind the number of the step that it belongs to. */
  #copy(encoder: GPUCommandEncoder, { to, from, offsetBytes, bytes }: ReadRequest): void {
    const input = this.#input;
    to.expect(input.sequence, bytes);
    encoder.copyBufferToBuffer(input.buffer, SEQUENCE_OFFSET, to.buffer, 0, 4);
    if (bytes > 0) encoder.copyBufferToBuffer(from, offsetBytes, to.buffer, STAMP_BYTES, bytes);
    this.copiedBytes += 4 + bytes;
  }

  /** The schedule of steps like this one. */
  #find(step: StepValues): { schedule: Schedule; pace: SlicePace } {
    const { n, m, context } = this.#limits;
    const kind = (kindOf(step.n, n) * (m.length + 1) + kindOf(step.m, m)) * (context.length + 1) +
      kindOf(step.position + step.n, context);
    const made = this.#schedules.get(kind);
    if (made) return made;
    const schedule = new Schedule(this.#ready(step));
    const pace = new SlicePace(schedule.unitEnds.length, this.#gpu.priority);
    this.#schedules.set(kind, { schedule, pace });
    return { schedule, pace };
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
      if (!isWithin(step.position + step.n, when?.context)) continue;
      const pipeline = this.#gpu.pipelines.get(kernel, constants);
      ready.push({ pipeline, group, workgroups, count, endsUnit });
      endsUnit = false;
    }
    return ready.toReversed();
  }
}

/** Where conditions begin or cease to hold, ascending. */
function limitsOf(
  dispatches: readonly Dispatch[],
  rangeOf: (dispatch: Dispatch) => Range | undefined,
): number[] {
  const limits = dispatches.flatMap((dispatch) => {
    const range = rangeOf(dispatch);
    return range === undefined ? [] : [range[0], range[1] + 1];
  });
  return [...new Set(limits)].filter(Number.isFinite).toSorted((a, b) => a - b);
}

/** How many limits a value has reached. */
function kindOf(value: number, limits: readonly number[]): number {
  let kind = 0;
  while (kind < limits.length && value >= limits[kind]) kind++;
  return kind;
}
