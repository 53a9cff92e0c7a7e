/** Where models lie that were pulled, and names that stand for them. */
import { existsSync } from "node:fs";
import type { Command } from "commander";
import { join } from "node:path";
import { UsageError } from "../base/errors.ts";
import { BUILT_IN_MODEL_ID, BUILT_IN_MODEL_PATH } from "../llm/built_in_model.ts";
import { isReference, ModelStore, parseReference, sourceOf } from "../pull/mod.ts";
import { nearest } from "../base/nearest.ts";
import { getEnv } from "./settings.ts";

/** Adds the flag that says which folder it is. */
export function addModelsFolder(verb: Command): Command {
  return verb.option(
    "--models-dir <folder>",
    "where pulled models lie (default: $XDG_DATA_HOME/ganglion/models)",
  );
}

/** @throws {UsageError} when nobody says, and there is no home. */
export function modelsFolder(named?: string): string {
  const folder = named ?? getEnv("GANGLION_MODELS_DIR") ?? defaultFolder();
  if (folder !== null) return folder;
  throw new UsageError("Cannot tell where pulled models lie: give --models-dir");
}

function defaultFolder(): string | null {
  const home = getEnv("HOME") ?? getEnv("USERPROFILE");
  const data = getEnv("XDG_DATA_HOME") ?? (home ? join(home, ".local", "share") : null);
  return data ? join(data, "ganglion", "models") : null;
}

/**
 * The file of a MODEL: a path, the name of a pulled model, what it was pulled as, or "built-in".
 * @param folder where pulled ones lie; left out: where they do by default.
 * @throws {UsageError} when it is none of these; a path of a file is not looked at.
 */
export function modelPath(text: string, folder?: string): string {
  const isThere = existsSync(text);
  // A folder is no model: one that is called like a model does not hide it.
  if (isThere && !Deno.statSync(text).isDirectory) return text;
  const path = findPulled(text, folder);
  if (path !== null) return path;
  if (text === BUILT_IN_MODEL_ID) return BUILT_IN_MODEL_PATH;
  if (isThere) return text;
  if (isReference(text)) {
    throw new UsageError(`Cannot use "${text}": it is not here yet: ganglion pull ${text}`);
  }
  // What looks like a path is one, and whoever opens it says what is wrong.
  if (/[\\/]|\.(gguf|ganglion)$/i.test(text)) return text;
  throw new UsageError(
    `Cannot find a model "${text}": ${cure(text, storeOrNull(folder)?.ids() ?? [])}`,
  );
}

/** The file of a pulled model, by its name or by what it was pulled as; null: it is not here. */
export function findPulled(text: string, folder?: string): string | null {
  const name = isReference(text) ? sourceOf(parseReference(text)) : text;
  return storeOrNull(folder)?.pathOf(name) ?? null;
}

/** What to do about a name that no model has. */
export function cure(name: string, ids: readonly string[]): string {
  const near = nearest(name, ids);
  if (near !== null) return `did you mean "${near}"?`;
  return "it is no file, and none was pulled under that name: ganglion list says which were";
}

/** Where pulled models lie; null: nobody can tell. */
export function storeOrNull(folder?: string): ModelStore | null {
  try {
    return new ModelStore(modelsFolder(folder));
  } catch {
    return null;
  }
}
