/** Which models the server has, and what is known of them. */
import type { ModelInfo } from "../types.ts";
import type { Client } from "./client.ts";

const STATES: readonly unknown[] = ["unloaded", "loading", "loaded", "unloading"];

export async function listModels(client: Client): Promise<readonly ModelInfo[]> {
  const { data } = await (await client.fetch("/models")).json();
  return Array.isArray(data) ? data.map(modelOf) : [];
}

/** Loads a model; resolves when it is there. */
export async function loadModel(client: Client, id: string): Promise<void> {
  await (await client.post("/models/load", { model: id })).body?.cancel();
}

// deno-lint-ignore no-explicit-any -- the server's own answer, of which each field is looked at
function modelOf(model: any): ModelInfo {
  const { value, progress, error } = model?.status ?? {};
  const modalities: unknown = model?.architecture?.input_modalities;
  const takes = (name: string) => Array.isArray(modalities) && modalities.includes(name);
  return {
    id: String(model?.id ?? ""),
    state: STATES.includes(value) ? value : "unloaded",
    progress: typeof progress === "number" ? Math.min(1, Math.max(0, progress)) : null,
    error: typeof error === "string" ? error : null,
    contextLength: typeof model?.context_length === "number" ? model.context_length : null,
    ...{ seesImages: takes("image"), hearsSounds: takes("audio") },
  };
}
