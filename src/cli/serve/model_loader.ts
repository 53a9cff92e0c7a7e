/** How the registry of `serve` gets its models: from files, with the flags of the command line. */
import { loadKernelModule } from "../../../wasm/mod.ts";
import {
  describeForUse,
  type LoadedModel,
  loadModel,
  type LoadOptions,
  memoryUse,
  type NamedAdapter,
  openForUse,
  openTowers,
  planBeside,
  planUse,
} from "../../llm/mod.ts";
import type { FileCatalog, ModelLoader } from "../../models/mod.ts";
import { machineProfile } from "../machine.ts";
import { loadForVerb } from "../load.ts";
import type { ServeLog } from "./serve_log.ts";

export interface FileLoading {
  readonly options: LoadOptions;
  /** Models that are another one with an adapter. */
  readonly named: readonly NamedAdapter[];
  /** Those of them that have engines of their own, and why. */
  readonly apart: LoadOptions["adaptersApart"];
  readonly log: ServeLog;
}

export class FileLoader implements ModelLoader {
  readonly #catalog: FileCatalog;
  readonly #options: LoadOptions;
  readonly #named: readonly NamedAdapter[];
  readonly #apart: FileLoading["apart"];
  readonly #log: ServeLog;
  /** Whether rows are written out, by id: what room was made for is what is loaded. */
  readonly #writeOut = new Map<string, "on" | "off">();

  constructor(catalog: FileCatalog, { options, named, apart, log }: FileLoading) {
    this.#catalog = catalog;
    this.#options = options;
    this.#named = named;
    this.#apart = apart;
    this.#log = log;
  }

  async bytesOf(id: string): Promise<number> {
    const options = { profile: machineProfile(), ...this.#optionsOf(id) };
    const path = this.#pathOf(id);
    const { file, packed } = openForUse(path, options);
    const model = describeForUse(file, options);
    const module = await loadKernelModule();
    const towers = openTowers(path, { config: model.config, module }, options);
    const wholeRows = towers.map((tower) => tower.wholeRows).find((rows) => rows !== undefined);
    const { planned: { plans, writesOut } } = planUse({ file, packed, model }, module, {
      ...options,
      wholeRows,
    });
    if (writesOut !== undefined) this.#writeOut.set(id, writesOut ? "on" : "off");
    const { draftModelPath: draft } = options;
    const beside = draft === undefined ? [] : planBeside(draft, plans, module, {
      ...{ file, config: model.config },
    }).plans;
    return memoryUse([...plans, ...beside, ...towers.flatMap((tower) => tower.plans)]).totalBytes;
  }

  async load(id: string, onProgress: (share: number) => void): Promise<LoadedModel> {
    const path = this.#pathOf(id);
    const options: LoadOptions = {
      id,
      ...this.#optionsOf(id),
      ...this.#writeOut.has(id) && { writeOut: this.#writeOut.get(id) },
      onProgress: ({ loadedBytes, totalBytes }) => onProgress(loadedBytes / totalBytes),
    };
    if (this.#log.isForPeople) return await loadForVerb(path, options);
    return await loadModel(path, {
      profile: machineProfile(),
      ...options,
      onNotice: ({ kind, text }) =>
        this.#log.log[kind === "warning" ? "warn" : "info"]("notice", { model: id, text }),
    });
  }

  /**
   * What has a name of its own has its own adapter, and no other one: in its weights, or beside
   * those of the model in whose engine it is.
   */
  #optionsOf(id: string): LoadOptions {
    const own = this.#named.find((each) => each.id === id);
    const options = { ...this.#options, ...this.#apart && { adaptersApart: this.#apart } };
    if (own !== undefined) return { ...options, adapters: [own.adapter] };
    const beside = this.#named.filter((each) => this.#catalog.baseOf(each.id) === id);
    return beside.length === 0 ? options : { ...options, namedAdapters: beside };
  }

  #pathOf(id: string): string {
    const path = this.#catalog.pathOf(id);
    if (path === undefined) throw new Error(`The file of "${id}" has gone`);
    return path;
  }
}
