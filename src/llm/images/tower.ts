/**
 * The model behind a model's eyes: its projector's file, planned when the model is loaded, and its
 * threads, started when the first image comes. Patches in, rows of the text model's stream out.
 */
import { EngineHandle } from "../../../workers/mod.ts";
import { UnsupportedModelError } from "../../base/errors.ts";
import { openModelFile } from "../../bundle/mod.ts";
import { type GgufFile, TensorReader } from "../../gguf/mod.ts";
import { dequantize, readVision } from "../../model/mod.ts";
import type { ModelConfig } from "../../model/types.ts";
import type { ImageConfig, TowerInput, VisionModel } from "../../model/vision_types.ts";
import type { RankPlan } from "../../rank/plan_types.ts";
import { planModel } from "../plan_load.ts";
import type { LoadOptions } from "../load_options.ts";
import type { Notice } from "../predictor_report.ts";
import { projectorBeside } from "./find_projector.ts";
import { usedTensors } from "../used_tensors.ts";

/**
 * What a model sees images with: the projector that was named, or the one beside it; null: none.
 * @throws as `Tower.open` of one that was named; without another one the model goes on.
 */
export function openTower(
  modelPath: string,
  of: Parameters<typeof Tower.open>[1],
  options: LoadOptions,
  notify: (notice: Notice) => void = () => {},
): Tower | null {
  const { projectorPath } = options;
  if (projectorPath !== undefined) return Tower.open(projectorPath, of, options);
  const path = projectorBeside(modelPath);
  if (path === null) return null;
  try {
    return Tower.open(path, of, options);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    notify({ kind: "warning", text: `The model sees no images: ${reason}` });
    return null;
  }
}

export class Tower {
  readonly #file: GgufFile;
  readonly #vision: VisionModel;
  readonly #plans: readonly RankPlan[];
  readonly #module: WebAssembly.Module;
  readonly #floats = new Map<string, Float32Array>();
  #engine: Promise<EngineHandle> | null = null;
  #isClosed = false;

  private constructor(
    of: { file: GgufFile; vision: VisionModel; plans: RankPlan[]; module: WebAssembly.Module },
  ) {
    this.#file = of.file;
    this.#vision = of.vision;
    this.#plans = of.plans;
    this.#module = of.module;
  }

  /**
   * Reads the file and plans its threads; starts none.
   * @throws {ModelFormatError} when the file is damaged, or no projector.
   * @throws {UnsupportedModelError} when this version cannot run it, or it is another model's.
   */
  static open(
    path: string,
    { config, module }: { readonly config: ModelConfig; readonly module: WebAssembly.Module },
    { threads, arenaBytesMax }: Pick<LoadOptions, "threads" | "arenaBytesMax"> = {},
  ): Tower {
    const { file } = openModelFile(path);
    const vision = readVision(file);
    const { description: model } = vision;
    const { outputLength } = model.config.projector!;
    if (outputLength % config.embeddingLength !== 0) {
      throw new UnsupportedModelError(
        `Cannot look at images with the projector "${path}": its rows have ${outputLength} ` +
          `numbers, the model's ${config.embeddingLength}: take the one that belongs to the model`,
      );
    }
    const options = { threads, arenaBytesMax, contextLength: model.config.contextLength };
    const plans = planModel({ file, model }, module, options);
    return new Tower({ file, vision, plans, module });
  }

  get images(): ImageConfig {
    return this.#vision.images;
  }

  /** What it takes once it has seen an image. */
  get plans(): readonly RankPlan[] {
    return this.#plans;
  }

  /** All of a tensor of the file, read once. */
  floats(name: string): Float32Array {
    const known = this.#floats.get(name);
    if (known !== undefined) return known;
    using reader = TensorReader.open(this.#file);
    const tensor = this.#file.tensors.get(name)!;
    const values = dequantize(tensor.type, reader.readAll(tensor));
    this.#floats.set(name, values);
    return values;
  }

  /** Rows of one tile, [kept / merged rows, outputLength]. One at a time. */
  async see(input: TowerInput, signal?: AbortSignal): Promise<Float32Array> {
    const engine = await this.#ready();
    return await engine.images.see(input, signal);
  }

  /** Its threads; others in their place when they have failed. */
  async #ready(): Promise<EngineHandle> {
    const engine = await this.#engine?.catch(() => null);
    if (engine && engine.failure === null) return engine;
    await engine?.close();
    this.#engine = this.#start();
    return await this.#engine;
  }

  async #start(): Promise<EngineHandle> {
    const { description: model } = this.#vision;
    const engine = await EngineHandle.start({
      plans: this.#plans,
      config: model.config,
      tensors: usedTensors(this.#file, model, this.#plans),
      parts: this.#file.parts,
      module: this.#module,
    });
    // Whoever closed meanwhile found none.
    if (this.#isClosed) await engine.close();
    return engine;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const engine = await this.#engine?.catch(() => null);
    await engine?.close();
  }
}
