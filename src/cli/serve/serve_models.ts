/**
 * What `serve` does once it is called: the chat page and the API, until it is interrupted. Apart
 * from the verb, so that no other verb has to load the server.
 */
import { UsageError } from "../../base/errors.ts";
import { counted } from "../../base/units.ts";
import { FileCatalog, modelName, ModelRegistry, type NamedFile } from "../../models/mod.ts";
import { ApiKeys, type RunningServer, serve, ServerMetrics } from "../../server/mod.ts";
import { attachObstacle, type LoadOptions, openForUse } from "../../llm/mod.ts";
import { BUILT_IN_MODEL_ID, BUILT_IN_MODEL_PATH } from "../../llm/built_in_model.ts";
import { EXIT_INTERRUPTED, onHangup, onInterrupt } from "../interrupt.ts";
import { machineProfile } from "../machine.ts";
import { type LoadFlags, toLoadOptions } from "../load.ts";
import { storeOrNull } from "../models_folder.ts";
import { toPullOptions } from "../pull_options.ts";
import { pullIfMissing } from "../pull_progress.ts";
import { getEnv } from "../settings.ts";
import { requireModel } from "../verb.ts";
import { FileLoader } from "./model_loader.ts";
import { openBatches } from "./open_batches.ts";
import { createServeLog, logRegistryEvent, type ServeLog } from "./serve_log.ts";
import {
  conversationFolder,
  prefixCacheFolder,
  readKeys,
  readTls,
  type ServerFlags,
} from "./serve_options.ts";
import { mayChange, ServedLibrary } from "./served_library.ts";

type Options = LoadFlags & ServerFlags;

/** Of the machine's memory, what all models together may take when nobody says. */
const MEMORY_SHARE = 0.8;
const NAMES_MAX = 10;

/** Serves these models, the default one first, until it is told to stop. */
export async function serveModels(paths: readonly string[], options: Options): Promise<void> {
  await using log = createServeLog(options);
  const keys = new ApiKeys(readKeys(options));
  for (const path of paths) await pullIfMissing(path, options);
  const metrics = new ServerMetrics({ compat: options.metricsCompat });
  const { catalog, apart } = await createCatalog(paths, options, log);
  const batches = await openBatches(options, (text) => log.log.warn("queue", { text }));
  await using _closing = { [Symbol.asyncDispose]: async () => await batches?.store.close() };
  const models = createRegistry({ catalog, apart }, options, { log, metrics });
  await using _leaving = {
    [Symbol.asyncDispose]: () => models.close({ abandonsLoads: true }),
  };
  // It listens before it loads: a port that is taken is known at once, and clients hear "loading".
  const server = serve({
    ...{ models, metrics, apiKeys: keys, log: log.log, logPrompts: options.logPrompts },
    library: createLibrary(catalog, models, options),
    ...{ hostname: options.host, port: options.port, tls: readTls(options) },
    allowedHosts: options.allowHosts,
    allowedOrigins: options.allowOrigins,
    requestsMax: options.maxRequests,
    bodyBytesMax: options.maxBody,
    imageBytesMax: options.maxImages,
    strictRequests: options.strictRequests,
    thoughtTokensMax: options.thinkingBudget,
    requestTimeoutMs: options.requestTimeout === undefined
      ? undefined
      : options.requestTimeout * 1000,
    drainMs: options.drainTimeout * 1000,
    ...{ conversations: conversationFolder(options), batches },
  });
  using _signals = onInterrupt(stopping(server, log));
  using _hangup = onHangup(() => reload(keys, options, log));
  try {
    // Of a folder that may hold anything, nothing is loaded before somebody asks.
    const isAsked = paths.length > 0 || options.modelsDir === undefined;
    const loaded = isAsked ? models.preload() : Promise.resolve();
    // Who is told to leave meanwhile has nobody to answer, and large files take minutes.
    const isUp = await Promise.race([loaded.then(() => true), server.finished.then(() => false)]);
    if (isUp) announceServing(log, { names: catalog.ids(), url: server.url, options });
  } catch (error) {
    await server.shutdown();
    throw error;
  }
  await server.finished;
  if (server.cutCount === 0) return;
  throw new Error(
    `Cannot finish ${counted(server.cutCount, "answer")} before leaving: cut short: raise ` +
      "--drain-timeout",
  );
}

function announceServing(
  { announce }: ServeLog,
  { names, url, options: { modelsDir } }: {
    readonly names: readonly string[];
    readonly url: string;
    readonly options: Options;
  },
): void {
  const more = names.length > NAMES_MAX ? ` and ${names.length - NAMES_MAX} more` : "";
  const none = `no models yet (there are none in ${modelsDir})`;
  const served = names.length > 0 ? names.slice(0, NAMES_MAX).join(", ") + more : none;
  announce(`Serving ${served} at ${url}`);
  announce(`Chat there with a browser; OpenAI's API is at ${url}/v1; Ctrl-C stops`);
}

/** Which models there are. */
interface Served {
  readonly catalog: FileCatalog;
  /** Those that were to lie beside another one's weights and could not; undefined: all could. */
  readonly apart: LoadOptions["adaptersApart"];
}

async function createCatalog(
  paths: readonly string[],
  options: Options,
  log: ServeLog,
): Promise<Served> {
  const { modelsDir, mmproj, chatTemplateFile, loraModel = [] } = options;
  const store = storeOrNull(modelsDir);
  const named = paths.length > 0
    ? paths.map((path) => requireModel(path, { modelsDir }))
    : modelsDir === undefined || getEnv("GANGLION_MODEL") !== undefined
    ? [requireModel(undefined, { env: "GANGLION_MODEL", modelsDir })]
    : [];
  const isAlone = named.length === 1 && modelsDir === undefined;
  if (mmproj !== undefined && !isAlone) {
    throw new UsageError(
      "Cannot use --mmproj with several models: put each projector beside its model, as " +
        "model.mmproj.gguf beside model.gguf",
    );
  }
  if (chatTemplateFile !== undefined && !isAlone) {
    throw new UsageError(
      "Cannot use --chat-template-file with several models: a template belongs to one of them: " +
        "serve that alone",
    );
  }
  checkAlone(options, isAlone);
  const files: NamedFile[] = named.map((path) => ({
    id: path === BUILT_IN_MODEL_PATH ? BUILT_IN_MODEL_ID : modelName(path),
    path,
  }));
  const own: { id: string; obstacle: string }[] = [];
  for (const { id, adapter } of loraModel) {
    if (files.some((file) => file.id === id)) {
      throw new UsageError(`Cannot use --lora-model ${id}: another model is called so: rename it`);
    }
    // What does not fit is known at once, not when somebody asks.
    openForUse(named[0], { adapters: [adapter] });
    const obstacle = await attachObstacle(named[0], adapter, {
      ...{ profile: machineProfile(), ...toLoadOptions(options) },
    });
    const base = obstacle === null ? files[0].id : undefined;
    files.push({ id, path: named[0], ...base !== undefined && { base } });
    if (obstacle === null) continue;
    own.push({ id, obstacle });
    log.announce(`${id} is loaded as a model of its own (--lora-model): ${obstacle}`);
  }
  const namesOfPulled = store === null ? undefined : () => store.namesOfPulled();
  return {
    catalog: new FileCatalog({ files, folder: modelsDir, namesOfPulled }),
    apart: own.length === 0 ? undefined : { base: files[0].id, models: own },
  };
}

/** @throws {UsageError} when what belongs to one model is to be used with several. */
function checkAlone(
  { lora, loraModel = [], controlVector, controlVectorScaled }: Options,
  isAlone: boolean,
): void {
  if (isAlone) return;
  const flag = loraModel.length > 0 ? "--lora-model" : lora !== undefined ? "--lora" : null;
  if (flag !== null) {
    throw new UsageError(
      `Cannot use ${flag} with several models: an adapter belongs to one of them: serve that alone`,
    );
  }
  if ((controlVector ?? controlVectorScaled) === undefined) return;
  throw new UsageError(
    "Cannot use --control-vector with several models: it belongs to one of them: serve that alone",
  );
}

/**
 * Null: nobody has said that clients may change the folder. That it is named says nothing: the
 * variable that names it is `pull`'s, too.
 * @throws {UsageError} when somebody has, and there is none, or it cannot be changed.
 */
function createLibrary(
  catalog: FileCatalog,
  registry: ModelRegistry,
  { modelsDir: folder, manageModels = false }: Options,
): ServedLibrary | null {
  if (!manageModels) return null;
  if (folder === undefined) {
    throw new UsageError("Cannot use --manage-models: say of which folder with --models-dir");
  }
  if (!mayChange(folder)) {
    throw new UsageError(
      `Cannot use --manage-models: this process may not write to "${folder}": start it with ` +
        "`deno task ganglion serve`, and see that the folder is there",
    );
  }
  return new ServedLibrary({ catalog, registry, pull: { ...toPullOptions({}), folder } });
}

function createRegistry(
  { catalog, apart }: Served,
  options: Options,
  { log, metrics }: { readonly log: ServeLog; readonly metrics: ServerMetrics },
): ModelRegistry {
  const { maxWaiting, parallel = "auto" } = options;
  const limits = { maxWaiting, parallel, prefixCacheFolder: prefixCacheFolder(options) } as const;
  const loadOptions = { ...toLoadOptions(options), ...limits };
  // With adapters in its engine it is one model all the same.
  const engines = catalog.ids().filter((id) => catalog.baseOf(id) === undefined);
  const isAlone = options.modelsDir === undefined && engines.length === 1;
  return new ModelRegistry({
    catalog,
    loader: new FileLoader(catalog, {
      ...{ options: loadOptions, named: options.loraModel ?? [], apart, log },
    }),
    memoryBytes: options.memory ?? Math.floor(MEMORY_SHARE * Deno.systemMemoryInfo().total),
    keepAliveMs: options.keepAlive ?? (isAlone ? Infinity : undefined),
    onEvent: (event) => {
      metrics.registryEvent(event);
      // People have seen the progress of loading.
      if (!log.isForPeople || event.kind !== "loaded") logRegistryEvent(log.log, event);
    },
  });
}

/** Ctrl-C: once lets running answers end, twice cuts them short, three times leaves. */
function stopping(server: RunningServer, log: ServeLog): () => void {
  let count = 0;
  return () => {
    count++;
    if (count > 2) Deno.exit(EXIT_INTERRUPTED);
    log.announce(
      count === 1 ? "Stopping when running answers have ended; Ctrl-C stops at once" : "Stopping",
    );
    server.shutdown();
  };
}

/** SIGHUP: keys may have changed. A file that is broken now leaves the old ones in force. */
function reload(keys: ApiKeys, options: Options, log: ServeLog): void {
  try {
    keys.replace(readKeys(options));
    log.announce("The keys were read again");
  } catch (error) {
    log.log.error("keys not read again", error);
  }
}
