/** One model of a server as those see it who only look: it is not loaded for that. */
import type { LanguageModel } from "../../llm/types.ts";
import { isManaged } from "../manage_models.ts";
import { idOf, type ModelCard, modelNotFound, type ModelSource } from "../model_source.ts";

type Live = Pick<LanguageModel, "neurons" | "load" | "runningMax">;

export interface ShownModel {
  readonly card: ModelCard;
  /** What changes while it works; null: it is not in memory. */
  readonly live: Live | null;
}

/**
 * The model of that name, or the default one.
 * @throws {RequestError} 404 when there is none.
 */
export function shownModel(models: ModelSource, asked: string | undefined): ShownModel {
  const all: ShownModel[] = isManaged(models)
    ? models.list().map((card) => ({ card, live: card.model }))
    : models.list().map((card) => ({ card, live: { load: NO_LOAD, ...liveOf(card) } }));
  // Of one model, any name is its name, as elsewhere.
  const isAny = !asked || all.length === 1;
  const wanted = isAny ? all[0]?.card.id : idOf(models, asked);
  const found = all.find(({ card }) => card.id === wanted);
  if (found === undefined) throw modelNotFound(models, asked);
  return found;
}

const NO_LOAD = { running: 0, waiting: 0 };

function liveOf({ neurons, load, runningMax }: ModelCard): Partial<Live> {
  return {
    ...neurons && { neurons },
    ...load && { load },
    ...runningMax !== undefined && { runningMax },
  };
}
