/** What keys do, wherever the cursor is. */
import { hearingModel } from "../state/app_state.ts";
import type { App } from "../state/app.ts";

/** As they are told to people. */
export const SHORTCUTS: readonly (readonly [keys: string, does: string])[] = [
  ["Enter", "Send the message"],
  ["Shift Enter", "Begin a new line"],
  ["Esc", "Stop the answer, or close what lies over it"],
  ["↑", "In an empty message: edit the last one"],
  ["Ctrl Shift O", "New chat"],
  ["Ctrl K", "Search chats"],
  ["Ctrl B", "Show or hide chats"],
  ["Alt N", "Show or hide neurons"],
  ["Alt R", "Record what you say, where a model hears, and end it"],
  ["Ctrl ,", "Settings"],
  ["Ctrl /", "These keys"],
];

export function handleShortcut(app: App, event: KeyboardEvent): void {
  const { store } = app;
  const { dialog, running, isSidebarOpen, isNeuronsOpen } = store.state;
  if (dialog !== null || event.isComposing) return;
  const isCommand = event.ctrlKey || event.metaKey;
  const key = event.key.toLowerCase();
  if (key === "escape" && running !== null) app.chats.stop();
  else if (key === "escape" && closesDrawer(app)) return;
  else if (isCommand && event.shiftKey && key === "o") startChat(app);
  else if (isCommand && key === "k") search(app);
  else if (isCommand && key === "b") store.set({ isSidebarOpen: !isSidebarOpen });
  else if (isCommand && key === ",") store.set({ dialog: "settings" });
  else if (isCommand && key === "/") store.set({ dialog: "shortcuts" });
  else if (isAlt(event, "N")) store.set({ isNeuronsOpen: !isNeuronsOpen });
  else if (isAlt(event, "R") && hearingModel(store.state) !== null) {
    // Who holds the key means it once.
    if (!event.repeat) app.voice.toggle();
  } else return;
  event.preventDefault();
}

/** Alt and a letter: on a Mac that types another one, so its place on the keyboard counts, too. */
function isAlt({ altKey, key, code }: KeyboardEvent, letter: string): boolean {
  return altKey && (key.toUpperCase() === letter || code === `Key${letter}`);
}

/** Closes what lies over the conversation on a narrow page; false: nothing does. */
function closesDrawer({ store }: App): boolean {
  const { isSidebarOpen, isNeuronsOpen } = store.state;
  if (matchMedia("(min-width: 60rem)").matches || !isSidebarOpen && !isNeuronsOpen) return false;
  store.set({ isSidebarOpen: false, isNeuronsOpen: false });
  return true;
}

/** A new chat, ready to be written in. */
export function startChat(app: App): void {
  app.chats.open(null);
  document.querySelector<HTMLElement>("#message")?.focus();
}

function search(app: App): void {
  app.store.set({ isSidebarOpen: true });
  requestAnimationFrame(() => document.querySelector<HTMLElement>("#search")?.focus());
}
