/** What the page shows at a moment. */
import type { Chat, ModelInfo, NeuronSample, Settings, Trouble } from "../types.ts";
import { DEFAULT_SETTINGS } from "./settings.ts";
import { Store } from "./store.ts";

/** An answer under way. */
export interface Running {
  readonly chatId: string;
  readonly nodeId: string;
  readonly abort: AbortController;
}

/** A line that goes by itself. */
export interface Notice {
  readonly text: string;
  readonly action?: { readonly label: string; readonly run: () => void };
}

/** What the server told of neurons so far. */
export interface Neurons {
  readonly model: string;
  readonly isSparse: boolean;
  readonly isStreamed: boolean;
  readonly layerCount: number;
  /** The last ones, oldest first; those in which nothing was computed are left out. */
  readonly samples: readonly NeuronSample[];
  /** Nothing was computed between the last two looks. */
  readonly isIdle: boolean;
}

/** A microphone that is asked for, listens, or whose sound is being attached or written down. */
export interface Voice {
  readonly phase: "asking" | "recording" | "writing";
  /** Of the recording so far. */
  readonly seconds: number;
  /** How loud it is, 0 to 1. */
  readonly level: number;
}

export interface AppState {
  readonly chats: readonly Chat[];
  /** The chat that is shown; null: a new one. */
  readonly chatId: string | null;
  readonly running: Running | null;
  readonly query: string;
  readonly settings: Settings;
  readonly connection: "connecting" | "starting" | "ready" | "lost";
  readonly models: readonly ModelInfo[];
  /** The chosen one; "": the server's first. */
  readonly modelId: string;
  /** Why the last thing that was asked of the server, apart from answers, did not go well. */
  readonly trouble: Trouble | null;
  readonly dialog: "settings" | "shortcuts" | "key" | "image" | null;
  /** The image that the dialog shows. */
  readonly shownImage: string | null;
  /** The key that was given is not known to the server. */
  readonly isKeyWrong: boolean;
  readonly isSidebarOpen: boolean;
  readonly isNeuronsOpen: boolean;
  readonly neurons: Neurons | null;
  readonly notice: Notice | null;
  /** The message that is being edited. */
  readonly editingId: string | null;
  /** Images of the message that is being written, and how many more are being read. */
  readonly draft: { readonly images: readonly string[]; readonly reading: number };
  readonly voice: Voice | null;
  /** What was said and is to be a part of the message's text; "": nothing more. */
  readonly dictated: string;
}

export type AppStore = Store<AppState>;

export function createStore(settings: Settings = DEFAULT_SETTINGS): AppStore {
  return new Store<AppState>({
    ...{ chats: [], chatId: null, running: null, query: "", settings },
    ...{ connection: "connecting", models: [], modelId: "", trouble: null, dialog: null },
    ...{ isKeyWrong: false, isSidebarOpen: matchMedia("(min-width: 60rem)").matches },
    ...{ isNeuronsOpen: false, neurons: null, notice: null, editingId: null, shownImage: null },
    ...{ draft: { images: [], reading: 0 }, voice: null, dictated: "" },
  });
}

/** The chat that is shown, if it has begun. */
export function currentChat({ chats, chatId }: AppState): Chat | undefined {
  return chats.find(({ id }) => id === chatId);
}

/** The model that would answer now. */
export function currentModel({ models, modelId }: AppState): ModelInfo | undefined {
  return models.find(({ id }) => id === modelId) ?? models[0];
}

/** The model that would hear what is said: the one that answers, or any that can; null: none. */
export function hearingModel(state: AppState): string | null {
  const model = currentModel(state);
  if (model?.hearsSounds) return model.id;
  return state.models.find(({ hearsSounds }) => hearsSounds)?.id ?? null;
}

/** What people may show a model. */
export type Taken = "images" | "sounds" | "images and sounds";

/** Null: texts alone. */
export function takenBy(model: ModelInfo | undefined): Taken | null {
  if (model?.seesImages) return model.hearsSounds ? "images and sounds" : "images";
  return model?.hearsSounds ? "sounds" : null;
}
