/** What a loaded model is made of. */
import type { ChatTemplate } from "../chat/mod.ts";
import type { KvArchiveFile } from "../engine/kv_archive.ts";
import type { GgufFile } from "../gguf/types.ts";
import type { ModelConfig } from "../model/types.ts";
import type { RankPlan } from "../rank/plan/plan_types.ts";
import type { Tokenizer } from "../tokenizer/types.ts";
import type { AdaptersOfModel } from "./adapter_shares.ts";
import type { EngineSupply } from "./engine_supply.ts";
import type { Filled } from "./fill_options.ts";
import type { ImageReader } from "./images/image_reader.ts";
import type { Notice } from "./predictor_report.ts";
import type { TextHead } from "./text_head.ts";
import type { TriedPredictors } from "./try_predictors.ts";
import type { GenerateRequest, ModelDetails } from "./types.ts";

export interface LoadedModelParts {
  readonly id: string;
  readonly file: GgufFile;
  readonly config: ModelConfig;
  readonly plans: readonly RankPlan[];
  /** Of the model that guesses for it, and of what it sees or hears with. */
  readonly otherPlans: readonly RankPlan[];
  /** Decoded tokens per second that the planner expects of a packed model; else null. */
  readonly expectedDecodeTps: number | null;
  readonly predictors: TriedPredictors | null;
  readonly tokenizer: Tokenizer;
  readonly chatTemplate: ChatTemplate;
  readonly engines: EngineSupply;
  /** What computes it, for people. */
  readonly runsOn: string;
  /** What of a request depends on whether it fills in texts, and how. */
  readonly filling: (request: GenerateRequest) => Filled;
  /** How many requests may wait. */
  readonly waitingMax: number;
  /** Where keys and values are kept when it is closed; null: nowhere. */
  readonly archive: KvArchiveFile | null;
  /** Of the model with so much of each adapter: src/gguf/fingerprint.ts; made when it is needed. */
  readonly fingerprint: (shares: readonly number[]) => string;
  /** What is in its weights, and why, where a request may ask. */
  readonly mergedAdapters: Pick<AdaptersOfModel, "merged" | "apart">;
  /** Null: the file has nothing behind texts' vectors. */
  readonly textHead: TextHead | null;
  /** Null: it neither sees nor hears. */
  readonly images: ImageReader | null;
  /**
   * What its file says; made when it is needed. shares: how much of each adapter counts where a
   * request does not say.
   */
  readonly describe: (shares: readonly number[]) => ModelDetails;
  /** The same model with one of its adapters each. */
  readonly adapted: readonly AdaptedParts[];
  /** Told when they cannot be kept. */
  readonly notify: (notice: Notice) => void;
}

/** What a model has of its own that is another one with an adapter: it is in that one's engine. */
export interface AdaptedParts extends Pick<LoadedModelParts, "id" | "archive"> {
  /** How much of each adapter counts where a request does not say. */
  readonly shares: readonly number[];
}
