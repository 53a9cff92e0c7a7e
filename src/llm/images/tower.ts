/**
 * The model behind a model's eyes or ears: its projector's file, planned when the model is loaded,
 * and its threads (or one with a GPU), started when the first image or sound comes. Patches in,
 * rows of the text model's stream out.
 */
import type { EngineHandle } from "../../../workers/mod.ts";
import { messageOf, UnsupportedModelError } from "../../base/errors.ts";
import { TensorReader } from "../../gguf/mod.ts";
import { dequantize } from "../../model/mod.ts";
import { givenWidth } from "../../model/given_width.ts";
import type { ModelConfig } from "../../model/types.ts";
import { isOfSounds } from "../../model/is_of_sounds.ts";
import type { ImageConfig, SoundConfig, TowerInput } from "../../model/vision_types.ts";
import type { RankPlan } from "../../rank/plan/plan_types.ts";
import { soundTexts } from "../../hearing/mod.ts";
import { type ImageKind, imageKindOf } from "../../vision/mod.ts";
import type { LoadOptions } from "../load_options.ts";
import type { Notice } from "../predictor_report.ts";
import { isGpuError } from "../engine_supply.ts";
import { chooseTowerGpu, towerBytes } from "./choose_tower_gpu.ts";
import { projectorBeside } from "./find_projector.ts";
import { SecondTower } from "./second_tower.ts";
import { type PlannedTower, planTowers, startTower, type TowerOptions } from "./load_tower.ts";
import { TowerThreads } from "./tower_threads.ts";

/** The model that is to see or hear, and the kernels of its threads. */
export interface SeeingModel {
  readonly config: ModelConfig;
  readonly module: WebAssembly.Module;
}

/**
 * What a model sees images with, and what it hears sounds with: of the projector that was named, or
 * of the one beside it.
 * @throws as `Tower.openAll` of one that was named; without another one the model goes on.
 */
export function openTowers(
  modelPath: string,
  of: SeeingModel,
  options: LoadOptions,
  notify: (notice: Notice) => void = () => {},
): Tower[] {
  const { projectorPath } = options;
  if (projectorPath !== undefined) return Tower.openAll(projectorPath, of, options);
  const path = projectorBeside(modelPath);
  if (path === null) return [];
  try {
    return Tower.openAll(path, of, options);
  } catch (error) {
    const reason = messageOf(error);
    notify({ kind: "warning", text: `The model neither sees nor hears: ${reason}` });
    return [];
  }
}

export class Tower {
  readonly #planned: PlannedTower;
  /** Null: it hears. */
  readonly #kind: ImageKind | null;
  readonly #floats = new Map<string, Float32Array>();
  /** Null: threads look. */
  #onGpu: PlannedTower | null = null;
  #notify: (notice: Notice) => void = () => {};
  /** Null: what its threads leave are rows of the text model. */
  readonly #second: SecondTower | null;
  readonly #threads = new TowerThreads(() => this.#start());

  private constructor(planned: PlannedTower) {
    this.#planned = planned;
    this.#second = planned.second ? new SecondTower(planned) : null;
    const { reads } = planned;
    this.#kind = isOfSounds(reads) ? null : imageKindOf(reads);
    if (isOfSounds(reads)) soundTexts(reads);
  }

  /** Rows of an image that see each other, and so are one step of the model; undefined: none do. */
  get wholeRows(): number | undefined {
    const { reads } = this;
    if (isOfSounds(reads) || !this.#kind!.seesAll) return undefined;
    const { imageSize, patchSize, mergeSide, pixelsMax } = reads;
    if (pixelsMax !== null) return Math.floor(pixelsMax / (patchSize * mergeSide) ** 2);
    return Math.floor(imageSize / patchSize / mergeSide) ** 2;
  }

  /**
   * Reads the file and plans its threads; starts none.
   * @returns the tower of its images, that of its sounds, or both in this order.
   * @throws {ModelFormatError} when the file is damaged, or no projector.
   * @throws {UnsupportedModelError} when this version cannot run it, or it is another model's.
   */
  static openAll(path: string, { config, module }: SeeingModel, options: TowerOptions = {}) {
    const width = givenWidth(config);
    return planTowers(path, module, options).map((planned): Tower => {
      const { description, second = { description } } = planned;
      const { outputLength } = second.description.config.projector!;
      const tower = new Tower(planned);
      if (outputLength === width) return tower;
      throw new UnsupportedModelError(
        `Cannot use the projector "${path}": its rows have ${outputLength} ` +
          `numbers, the model's ${width}: take the one that belongs to the model`,
      );
    });
  }

  get kind(): "images" | "sounds" {
    return isOfSounds(this.reads) ? "sounds" : "images";
  }

  /** What preparing what it reads takes. */
  get reads(): ImageConfig | SoundConfig {
    return this.#planned.reads;
  }

  /** What it takes once it has seen an image, or heard a sound. */
  get plans(): readonly RankPlan[] {
    const { plans, second } = this.#onGpu ?? this.#planned;
    return [...plans, ...second?.plans ?? []];
  }

  /**
   * Has a GPU look, where that is asked for or pays and the GPU can; else threads do.
   * @param options.describe left out: this machine's GPU.
   * @returns the bytes that it may take of the GPU's memory.
   */
  async chooseGpu(
    options: LoadOptions,
    notify: (notice: Notice) => void,
    by: Parameters<typeof chooseTowerGpu>[2] = {},
  ): Promise<number> {
    const choice = await chooseTowerGpu(this.#planned, options, by);
    this.#notify = notify;
    if ("onGpu" in choice) {
      this.#onGpu = choice.onGpu;
      return towerBytes(choice.onGpu);
    }
    const isAsked = options.gpu === "on" || options.gpu === "force";
    if (isAsked) notify({ kind: "info", text: this.#leftBy(choice.reason) });
    return 0;
  }

  /** All of a tensor of the file, read once. */
  floats(name: string): Float32Array {
    const known = this.#floats.get(name);
    if (known !== undefined) return known;
    const { file } = this.#planned;
    using reader = TensorReader.open(file);
    const tensor = file.tensors.get(name)!;
    const values = dequantize(tensor.type, reader.readAll(tensor));
    this.#floats.set(name, values);
    return values;
  }

  /**
   * Rows of one tile, [kept / merged rows, outputLength]. One at a time. Where the GPU is lost
   * meanwhile it is opened again, as it may be after a reset; where that is lost, too, threads look
   * from then on.
   */
  async see(input: TowerInput, signal?: AbortSignal): Promise<Float32Array> {
    const { second: _, ...own } = input;
    const rows = await this.#see(own, signal);
    return this.#second === null ? rows : await this.#second.see(rows, input, signal);
  }

  async #see(input: TowerInput, signal?: AbortSignal): Promise<Float32Array> {
    for (let isAgain = false;; isAgain = true) {
      const engine = await this.#threads.ready();
      try {
        return await engine.images.see(input, signal);
      } catch (error) {
        const isLost = this.#onGpu !== null && isGpuError(engine.failure);
        if (!isLost || this.#threads.isClosed || signal?.aborted) throw error;
        if (isAgain) this.#leaveGpu(engine.failure);
      }
    }
  }

  async #start(): Promise<EngineHandle> {
    return await this.#startOnGpu() ?? await startTower(this.#planned);
  }

  /** Null where it cannot be: threads look from then on. */
  async #startOnGpu(): Promise<EngineHandle | null> {
    if (this.#onGpu === null) return null;
    try {
      return await startTower(this.#onGpu);
    } catch (error) {
      if (!isGpuError(error)) throw error;
      this.#leaveGpu(error);
      return null;
    }
  }

  #leaveGpu(error: unknown): void {
    this.#onGpu = null;
    const reason = messageOf(error);
    this.#notify({ kind: "warning", text: this.#leftBy(reason) });
  }

  /** Who does a GPU's work, and why. */
  #leftBy(reason: string): string {
    const does = this.kind === "sounds" ? "hear sounds" : "look at images";
    return `Threads ${does}, not the GPU: ${reason}`;
  }

  async close(): Promise<void> {
    await Promise.all([this.#threads.close(), this.#second?.close()]);
  }
}
