/** What the page keeps and shows: chats as trees of messages, settings, models. Plain data. */

/** How fast an answer came. */
export interface AnswerFacts {
  /** Tokens of the answer. */
  readonly tokens: number;
  readonly tokensPerSecond: number;
  /** From sending to the first token, milliseconds. */
  readonly firstTokenMs: number;
  /** Tokens of the prompt, those that were remembered included; left out: nobody said. */
  readonly promptTokens?: number;
}

/** Why an answer ended early. */
export type Ending = "stopped" | "length";

/** What went wrong, and what helps. */
export interface Trouble {
  readonly message: string;
  readonly cure: string;
}

/** A message; messages of one parent are versions of one place in the conversation. */
export interface ChatNode {
  readonly id: string;
  /** The message before it; null: it begins the chat. */
  readonly parentId: string | null;
  readonly role: "user" | "assistant";
  readonly content: string;
  /** Shown before the text: data URLs, of sounds, too. */
  readonly images?: readonly string[];
  /** What the model thought before it answered. */
  readonly thoughts?: string;
  readonly model?: string;
  readonly facts?: AnswerFacts;
  readonly ending?: Ending;
  readonly trouble?: Trouble;
}

export interface Chat {
  readonly id: string;
  readonly title: string;
  /** Milliseconds since 1970. */
  readonly createdMs: number;
  readonly updatedMs: number;
  /** Parents before their children. */
  readonly nodes: readonly ChatNode[];
  /** The last message of the branch that is shown; null: there is none. */
  readonly leafId: string | null;
}

export type Theme = "" | "light" | "dark";

/** null: the server's own. */
export interface Settings {
  readonly system: string;
  readonly temperature: number | null;
  readonly topP: number | null;
  readonly topK: number | null;
  readonly minP: number | null;
  readonly repeatPenalty: number | null;
  readonly seed: number | null;
  readonly maxTokens: number | null;
  readonly theme: Theme;
}

export interface ModelInfo {
  readonly id: string;
  readonly state: "unloaded" | "loading" | "loaded" | "unloading";
  /** 0 to 1 while it is loaded; null: unknown. */
  readonly progress: number | null;
  /** Why it could not be loaded; null: it could, or was not tried. */
  readonly error: string | null;
  readonly contextLength: number | null;
  /** False: it does not, or that is not known before it is loaded. */
  readonly seesImages: boolean;
  /** The same of sounds. */
  readonly hearsSounds: boolean;
}

/** What a layer's neurons did between two looks. */
export interface LayerSample {
  readonly neurons: number;
  readonly hot: number;
  readonly cold: number;
  readonly skipped: number;
  readonly cacheHits: number;
  readonly cacheMisses: number;
  readonly diskReads: number;
  readonly diskBytes: number;
}

export interface NeuronSample {
  /** Between the looks. */
  readonly ms: number;
  readonly layers: readonly LayerSample[];
}
