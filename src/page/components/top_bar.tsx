/** Above the conversation: which model answers, is it there, and the ways to everything else. */
import { currentModel } from "../state/app_state.ts";
import type { ModelInfo } from "../types.ts";
import { useApp, useAppState } from "./context.ts";
import { IconButton } from "./icon.tsx";

export function TopBar() {
  const app = useApp();
  const isSidebarOpen = useAppState((state) => state.isSidebarOpen);
  const isNeuronsOpen = useAppState((state) => state.isNeuronsOpen);
  return (
    <header class="top-bar">
      <IconButton
        icon="menu"
        label={isSidebarOpen ? "Hide chats" : "Show chats"}
        pressed={isSidebarOpen}
        onClick={() => app.store.set({ isSidebarOpen: !isSidebarOpen })}
      />
      <ModelPicker />
      <div class="top-actions">
        <button
          type="button"
          class="quiet"
          aria-pressed={isNeuronsOpen}
          aria-label="Neurons"
          title="What the model's neurons do (Alt N)"
          onClick={() => app.store.set({ isNeuronsOpen: !isNeuronsOpen })}
        >
          <span class="pulse" aria-hidden="true" /> <span class="wide-only">Neurons</span>
        </button>
        <IconButton
          icon="keyboard"
          kind="wide-only"
          label="Keys"
          onClick={() => app.store.set({ dialog: "shortcuts" })}
        />
        <IconButton
          icon="settings"
          label="Settings"
          onClick={() => app.store.set({ dialog: "settings" })}
        />
      </div>
    </header>
  );
}

function ModelPicker() {
  const app = useApp();
  const models = useAppState((state) => state.models);
  const model = useAppState(currentModel);
  const connection = useAppState((state) => state.connection);
  const isLoading = connection === "starting" || model?.state === "loading";
  return (
    <div class="picker">
      <span class={`dot ${dotOf(connection, model)}`} aria-hidden="true" />
      {models.length > 0 && (
        <select
          aria-label="Model"
          value={model?.id}
          onChange={(event) => app.models.choose(event.currentTarget.value)}
        >
          {models.map((each) => (
            <option key={each.id} value={each.id}>{each.id}{hintOf(each)}</option>
          ))}
        </select>
      )}
      <span class={`picker-state${isLoading ? " wide-only" : ""}`} role="status">
        {connection === "lost"
          ? (
            <>
              No connection<span class="wide-only">: is the server running?</span>
            </>
          )
          : wordsOf(connection, model)}
      </span>
      {isLoading && (
        <progress
          aria-label="Loading the model"
          max={1}
          value={model?.progress ?? undefined}
        />
      )}
    </div>
  );
}

function hintOf({ state }: ModelInfo): string {
  return state === "unloaded" ? " (not loaded)" : state === "loading" ? " (loading)" : "";
}

function dotOf(connection: string, model: ModelInfo | undefined): string {
  if (connection === "lost") return "bad";
  if (connection !== "ready" || model?.state === "loading") return "busy";
  return model?.error ? "bad" : model?.state === "loaded" ? "good" : "";
}

function wordsOf(connection: string, model: ModelInfo | undefined): string {
  if (connection === "connecting") return "Connecting…";
  if (connection === "starting" || model?.state === "loading") {
    return model?.progress == null ? "Loading…" : `Loading ${Math.floor(model.progress * 100)} %`;
  }
  if (model === undefined) return "The server has no models.";
  return model.error ?? "";
}
