/** How components get at the page's parts. */
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { AppState } from "../state/app_state.ts";
import type { App } from "../state/app.ts";
import { useStore } from "../state/store.ts";

export const AppContext = createContext<App | null>(null);

export function useApp(): App {
  const app = useContext(AppContext);
  if (app === null) throw new Error("components live inside of the page");
  return app;
}

/** A part of the state, which the component follows. */
export function useAppState<T>(select: (state: AppState) => T): T {
  return useStore(useApp().store, select);
}
