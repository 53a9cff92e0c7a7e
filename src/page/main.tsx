/** Where the page begins. */
import { render } from "preact";
import { AppContext } from "./components/context.ts";
import { Page } from "./components/page.tsx";
import { App } from "./state/app.ts";

const app = await App.start();
const root = document.getElementById("root")!;
render(
  <AppContext.Provider value={app}>
    <Page />
  </AppContext.Provider>,
  root,
);
