/** The page as a whole: chats at the left, the conversation, neurons at the right. */
import { useEffect } from "preact/hooks";
import { currentChat } from "../state/app_state.ts";
import { Composer } from "./composer.tsx";
import { useApp, useAppState } from "./context.ts";
import { Conversation } from "./conversation.tsx";
import { DropPlace } from "./drop_place.tsx";
import { ImageDialog } from "./images.tsx";
import { KeyDialog } from "./key_dialog.tsx";
import { NeuronPanel } from "./neuron_panel.tsx";
import { SettingsDialog } from "./settings_dialog.tsx";
import { handleShortcut } from "./shortcuts.ts";
import { ShortcutsDialog } from "./shortcuts_dialog.tsx";
import { Sidebar } from "./sidebar.tsx";
import { TopBar } from "./top_bar.tsx";

export function Page() {
  const app = useApp();
  const isSidebarOpen = useAppState((state) => state.isSidebarOpen);
  const isNeuronsOpen = useAppState((state) => state.isNeuronsOpen);
  const dialog = useAppState((state) => state.dialog);
  const title = useAppState((state) => currentChat(state)?.title);
  useEffect(() => {
    document.title = title === undefined ? "Ganglion" : `${title} · Ganglion`;
  }, [title]);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => handleShortcut(app, event);
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
  return (
    <div class="page">
      {isSidebarOpen && <Sidebar />}
      <DropPlace>
        <TopBar />
        <Conversation />
        <Composer />
      </DropPlace>
      {isNeuronsOpen && <NeuronPanel />}
      {dialog === "settings" && <SettingsDialog />}
      {dialog === "shortcuts" && <ShortcutsDialog />}
      {dialog === "key" && <KeyDialog />}
      {dialog === "image" && <ImageDialog />}
      <NoticeLine />
    </div>
  );
}

function NoticeLine() {
  const notice = useAppState((state) => state.notice);
  return (
    <div class="notice-place" role="status">
      {notice !== null && (
        <p class="notice">
          {notice.text}
          {notice.action && (
            <button type="button" class="link" onClick={notice.action.run}>
              {notice.action.label}
            </button>
          )}
        </p>
      )}
    </div>
  );
}
